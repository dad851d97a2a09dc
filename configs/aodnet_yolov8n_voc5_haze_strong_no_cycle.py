"""As aodnet_yolov8n_voc5_haze_strong.py without the cycle, which in thick haze costs more than it gives."""

_base_ = "vat_light_320.py"

_classes = ["person", "car", "bus", "train", "cat"]
_haze = dict(type="haze", light=0.75, scale=1.5)

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
degraded = dict(type="voc", root="voc5", split="train", degradation=_haze)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=_classes, degradation=_haze)
objective = dict(cycle=0.0)
name = "aodnet_yolov8n_haze_strong"
