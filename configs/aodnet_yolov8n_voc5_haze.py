"""AOD-Net and YOLOv8n in IA-YOLO's synthetic haze, at its own strength."""

_base_ = "vat_light_320.py"

_classes = ["person", "car", "bus", "train", "cat"]
_haze = dict(type="haze")

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
degraded = dict(type="voc", root="voc5", split="train", degradation=_haze)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=_classes, degradation=_haze)
name = "aodnet_yolov8n_haze"
