"""SCI and YOLOv8n in the dark with the noise of a small sensor at very high gain: gamma between 1.5 and 5."""

_base_ = "vat_light_320.py"

_classes = ["person", "car", "bus", "train", "cat"]
# White is 200 photo-electrons: what the dark takes from the detector here is lost in noise, more than in contrast.
_dark = dict(type="low_light", gamma=(1.5, 5.0), shot=0.005, read=0.02)

restorer = dict(type="sci", weights="sci/difficult.pt")  # the best of the three published ones here
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
degraded = dict(type="voc", root="voc5", split="train", degradation=_dark)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="voc5", split="test", classes=_classes, degradation=_dark)
# As in sci_yolov8n_voc5_dark.py.
objective = dict(alpha=None, cycle=1.0)
name = "sci_yolov8n_dark_noisy"
