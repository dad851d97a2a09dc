"""The bundle "fog" that comes with tdir: no restorer before it, every class of a COCO-trained YOLOv8n."""

_base_ = "vat_light_320.py"

_haze = dict(type="haze", light=0.75, scale=1.5)

restorer = dict(type="identity")
head = dict(type="yolo", weights="yolov8n.pt")
degraded = dict(type="voc", root="voc5", split="train", degradation=_haze)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=["person", "car", "bus", "train", "cat"], degradation=_haze)
name = "fog"
