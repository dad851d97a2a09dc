"""A small RetinaNet of torchvision (BSD licence) for the built-in scenes, clear days only."""

by = dict(type="torchvision", model="mobilenet_v3_small_fpn", optim=dict(steps=2000, batch_size=8, lr=2e-3))
train = dict(type="streets", split="train", count=3000, seed=1)  # other scenes than those translators are trained on
val = dict(type="streets", split="test", count=200)
size = 320
name = "retinanet_streets"
