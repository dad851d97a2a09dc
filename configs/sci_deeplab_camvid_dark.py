"""tdir's SCI and the DeepLabV3+ of configs/heads/deeplab_camvid.py in the dark: CamVid with gamma between 1 and 10."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light", gamma=(1.0, 10.0), shot=0.0, read=0.0)

restorer = dict(type="sci", weights="sci_dark.safetensors")  # in deep darkness better than the published ones
head = dict(type="deeplab", weights="deeplab_camvid.safetensors")
degraded = dict(type="camvid", root="camvid", split="train", degradation=_dark)
clean = dict(type="camvid", root="camvid", split="train")
val = dict(type="camvid", root="camvid", split="val", degradation=_dark)
# From gamma 3 on the head's own labels are wrong almost everywhere. A frame by day, mixed with a dark one, is that
# frame in dim light, and its labels are right: they alone teach what to do in the dark.
objective = dict(degraded_task=0.0, clean_task=2.0, clean_through_gate=1.0)
teacher = dict(score=0.5, epsilon=0.9)
optim = dict(steps=600, batch_size=4)
name = "sci_deeplab_camvid_dark"
