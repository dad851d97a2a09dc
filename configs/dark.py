"""The bundle "dark" that comes with tdir: no restorer before it, every class of a COCO-trained YOLOv8n."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light")

restorer = dict(type="identity")
head = dict(type="yolo", weights="yolov8n.pt")
degraded = dict(type="voc", root="voc5", split="train", degradation=_dark)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=["person", "car", "bus", "train", "cat"], degradation=_dark)
# With the mix, unlike behind a restorer: without one, a degraded photo's labels are what the head finds in it anyway.
name = "dark"
