"""The bundle "dark" that comes with tdir: no restorer before it, every class of a COCO-trained YOLOv8n."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light")

restorer = dict(type="identity")
head = dict(type="yolo", weights="yolov8n.pt")
degraded = dict(type="voc", root="voc5", split="train", degradation=_dark)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=["person", "car", "bus", "train", "cat"], degradation=_dark)
# As in sci_yolov8n_voc5_dark.py.
objective = dict(alpha=None)
name = "dark"
