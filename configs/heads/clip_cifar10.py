"""A small CLIP of open_clip (MIT licence) on CIFAR-10's classes; about 40 minutes of two CPU cores."""

by = dict(
    type="open_clip",
    model=dict(
        embed_dim=64,
        # Its first layers leave a sixteenth of an image: at CIFAR's own 32 pixels too little to see anything in.
        vision_cfg=dict(image_size=64, layers=[1, 1, 1, 1], width=32, head_width=64),
        text_cfg=dict(context_length=16, width=32, heads=2, layers=1),
    ),
    # From CLIP's own list for CIFAR-10.
    templates=[
        "a photo of a {}.",
        "a blurry photo of a {}.",
        "a low contrast photo of a {}.",
        "a bad photo of a {}.",
        "a good photo of a {}.",
        "a photo of the {}.",
    ],
    optim=dict(steps=4500, batch_size=64, lr=5e-4, weight_decay=0.05, warmup=200, ema=0.998, precision="fp32"),
)
train = dict(type="cifar10", root="cifar10", split="train")
val = dict(type="cifar10", root="cifar10", split="test")
size = 32
name = "clip_cifar10"
