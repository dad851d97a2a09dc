"""The quickstart's scenes with a RetinaNet of torchvision for a head: nothing in it is under the AGPL."""

_base_ = "vat_light_320.py"

_haze = dict(type="depth_haze")

restorer = dict(type="aodnet", weights="aodnet_streets.safetensors")  # both come with tdir
head = dict(type="retinanet", weights="retinanet_streets.pth", names=["person", "car", "bus", "bicycle", "motorbike"])
degraded = dict(type="streets", split="train", count=400, seed=2, degradation=_haze)
clean = dict(type="streets", split="train", count=400, seed=3)
val = dict(type="streets", split="test", count=200, degradation=_haze)
teacher = dict(score=0.5)  # at 0.25, good for a YOLO, six of seven predictions of this small RetinaNet are wrong
optim = dict(steps=600)
name = "streets_haze_retinanet"
