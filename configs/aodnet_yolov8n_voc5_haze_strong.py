"""AOD-Net and YOLOv8n in thick synthetic haze: air light 0.75, scattering 1.5 times IA-YOLO's."""

_base_ = "vat_light_320.py"

_classes = ["person", "car", "bus", "train", "cat"]
_haze = dict(type="haze", light=0.75, scale=1.5)

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
# The degraded and the clear photos are the same set, drawn independently; no label of it is read.
degraded = dict(type="voc", root="voc5", split="train", degradation=_haze)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=_classes, degradation=_haze)
name = "aodnet_yolov8n_haze_strong"
