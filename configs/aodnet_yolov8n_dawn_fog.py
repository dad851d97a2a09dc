"""AOD-Net and YOLOv8n in real fog: the translator of the synthetic haze, adapted on 92 unlabelled foggy photos."""

_base_ = "vat_light_320.py"

_classes = ["car", "truck", "person", "bus", "motorcycle", "bicycle"]

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
# The bundle that the config of that name trains; put its folder into TDIR_WEIGHTS, or its path here.
translator = dict(type="vat-light", weights="aodnet_yolov8n_haze_strong.tdir")
# What is left out are photos that the test split shows too, in another file: `tdir check dawn_fog` finds them.
_shown_twice = ["mist-024", "mist-039", "foggy-058", "haze-139", "haze-121", "foggy-085", "haze-072", "haze-142"]
degraded = dict(type="voc", root="dawn_fog", split="train", leave_out=_shown_twice)
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="dawn_fog", split="test", classes=_classes)
# A short training from a trained translator: a lower rate, and no more steps than a hundred photos bear.
optim = dict(steps=300, lr=5e-4)
name = "aodnet_yolov8n_dawn_fog"
