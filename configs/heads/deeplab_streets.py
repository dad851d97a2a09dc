"""A small DeepLabV3+ of segmentation-models-pytorch (MIT licence) for the built-in scenes, clear days only."""

by = dict(
    type="smp",
    model="deeplabv3plus",
    encoder="tu-mobilenetv3_small_050",
    crop=(160, 256),
    optim=dict(steps=1500, batch_size=8, lr=2e-3),
)
train = dict(type="streets_maps", split="train", count=1500, seed=1)  # other scenes than translators are trained on
val = dict(type="streets_maps", split="test", count=200)
size = 320
name = "deeplab_streets"
