"""tdir's SCI and the small CLIP of configs/heads/clip_cifar10.py in the dark: CIFAR-10 with gamma between 1.5 and 5."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light", gamma=(1.5, 5.0), shot=0.0, read=0.0)

restorer = dict(type="sci", weights="sci_dark.safetensors")  # more images are told right than behind the published ones
head = dict(type="clip", weights="clip_cifar10.safetensors")
degraded = dict(type="cifar10", root="cifar10", split="train", degradation=_dark)
clean = dict(type="cifar10", root="cifar10", split="train")
val = dict(type="cifar10", root="cifar10", split="test", degradation=_dark)
size = 32
# No mix: half of a dark image and half of one by day is one by day, with the labels of both.
objective = dict(alpha=None)
# In the dark this head takes many images for frogs and few for dogs: the labels get the clean set's shares.
teacher = dict(score=0.5, epsilon=0.9, align=True, batch_size=64)
optim = dict(steps=800, batch_size=64)
name = "sci_clip_cifar_dark"
