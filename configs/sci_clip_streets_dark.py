"""Objects of the built-in scenes in the dark, SCI and a tiny CLIP: the class of every image."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light", gamma=(1.5, 5.0), shot=0.0, read=0.0)

restorer = dict(type="sci", weights="sci_dark.safetensors")  # both come with tdir
head = dict(type="clip", weights="clip_streets.safetensors")
degraded = dict(type="streets_crops", split="train", count=2000, seed=2, degradation=_dark)
clean = dict(type="streets_crops", split="train", count=2000, seed=3)
val = dict(type="streets_crops", split="test", count=500, degradation=_dark)
size = 64
objective = dict(alpha=None)  # no mix, and labels with the shares of the clean set, as in sci_clip_cifar_dark.py
teacher = dict(score=0.5, align=True, batch_size=64)
optim = dict(steps=300, batch_size=32)
name = "streets_crops_dark"
