"""The bundle "dark" that comes with tdir: SCI as tdir trained it, every class of a COCO-trained YOLOv8n."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light")

restorer = dict(type="sci", weights="sci_dark.safetensors")  # comes with tdir
head = dict(type="yolo", weights="yolov8n.pt")
degraded = dict(type="voc", root="voc5", split="train", degradation=_dark)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=["person", "car", "bus", "train", "cat"], degradation=_dark)
objective = dict(alpha=None, cycle=1.0)  # as in sci_yolov8n_voc5_dark.py
name = "dark"
