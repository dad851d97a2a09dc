"""tdir's SCI and the DeepLabV3+ of configs/heads/deeplab_camvid.py in the dark: CamVid with gamma between 1 and 10."""

_base_ = "vat_light_320.py"

_dark = dict(type="low_light", gamma=(1.0, 10.0), shot=0.0, read=0.0)

restorer = dict(type="sci", weights="sci_dark.safetensors")  # in deep darkness better than the published ones
# Cross-entropy counts pixels, most of them road and sky; Dice counts every class of a frame alike, as mean IoU does.
head = dict(type="deeplab", weights="deeplab_camvid.safetensors", dice=1.0)
degraded = dict(type="camvid", root="camvid", split="train", degradation=_dark)
clean = dict(type="camvid", root="camvid", split="train")
val = dict(type="camvid", root="camvid", split="val", degradation=_dark)
# The loss against the head's own labels does not show what a day loses, so clean frames are held to themselves as well.
objective = dict(clean_task=3.0, identity=10.0, clean_through_gate=1.0)
teacher = dict(score=0.5, epsilon=0.9)
optim = dict(steps=500, batch_size=4)
name = "sci_deeplab_camvid_dark"
