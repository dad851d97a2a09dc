"""The quickstart's scenes with a small DeepLabV3+ for a head: the class of every pixel, in haze by depth."""

_base_ = "vat_light_320.py"

_haze = dict(type="depth_haze")

restorer = dict(type="aodnet", weights="aodnet_streets.safetensors")  # both come with tdir
head = dict(type="deeplab", weights="deeplab_streets.safetensors")
degraded = dict(type="streets_maps", split="train", count=400, seed=2, degradation=_haze)
clean = dict(type="streets_maps", split="train", count=400, seed=3)
val = dict(type="streets_maps", split="test", count=200, degradation=_haze)
teacher = dict(score=0.5)
optim = dict(steps=400)
name = "streets_maps_haze"
