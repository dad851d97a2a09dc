"""A tiny CLIP of open_clip (MIT licence) for objects of the built-in scenes, clear days only."""

by = dict(
    type="open_clip",
    model=dict(
        embed_dim=32,
        vision_cfg=dict(image_size=64, layers=[1, 1, 1, 1], width=8, head_width=32),
        text_cfg=dict(context_length=16, width=16, heads=2, layers=1),
    ),
    templates=["a photo of a {}.", "a {} in a street.", "a blurry photo of a {}."],
    optim=dict(steps=2000, batch_size=64, lr=5e-4, weight_decay=0.05, warmup=200, ema=0.998, precision="bf16"),
)
train = dict(type="streets_crops", split="train", count=4000, seed=1)  # other scenes than translators are trained on
val = dict(type="streets_crops", split="test", count=500)
size = 64
name = "clip_streets"
