"""The quickstart's scenes with a small DeepLabV3+ for a head: the class of every pixel, in haze by depth."""

_base_ = "vat_light_320.py"

_haze = dict(type="depth_haze")

restorer = dict(type="aodnet", weights="aodnet_streets.safetensors")  # both come with tdir
head = dict(type="deeplab", weights="deeplab_streets.safetensors", dice=1.0)
degraded = dict(type="streets_maps", split="train", count=400, seed=2, degradation=_haze)
clean = dict(type="streets_maps", split="train", count=400, seed=3)
val = dict(type="streets_maps", split="test", count=200, degradation=_haze)
objective = dict(alpha=None, clean_through_gate=1.0)
# In haze this head is wrong with confidence: with labels of the images as they are, VaT stays below AOD-Net.
teacher = dict(score=0.5, epsilon=0.9, sources=["restored"])
optim = dict(steps=250)
name = "streets_maps_haze"
