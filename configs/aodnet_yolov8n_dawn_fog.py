"""AOD-Net and YOLOv8n in real fog: the translator of the synthetic haze, adapted on 100 unlabelled foggy photos."""

_base_ = "vat_light_320.py"

_classes = ["car", "truck", "person", "bus", "motorcycle", "bicycle"]

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
head = dict(type="yolo", weights="yolov8n.pt", classes=_classes)
# The bundle that the config of that name trains; put its folder into TDIR_WEIGHTS, or its path here.
translator = dict(type="vat-light", weights="aodnet_yolov8n_haze_strong.tdir")
degraded = dict(type="voc", root="dawn_fog", split="train")
clean = dict(type="voc", root="voc5", split="train")
val = dict(type="voc", root="dawn_fog", split="test", classes=_classes)
# A short training from a trained translator: a lower rate, and no more steps than a hundred photos bear.
optim = dict(steps=300, lr=5e-4)
name = "aodnet_yolov8n_dawn_fog"
