"""AOD-Net for the built-in scenes: haze by their true depth, undone by the mean absolute error."""

_haze = dict(type="depth_haze")

restorer = dict(type="aodnet")
pairs = dict(type="streets", split="train", count=500, degradation=_haze)
val = dict(type="streets", split="test", count=100, degradation=_haze)
optim = dict(steps=1000, batch_size=8, lr=3e-3)
name = "aodnet_streets"
