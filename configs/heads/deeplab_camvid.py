"""A DeepLabV3+ on the MobileNetV2 of segmentation-models-pytorch, on CamVid by day; about an hour on one CPU core."""

by = dict(type="smp", model="deeplabv3plus", encoder="mobilenet_v2", optim=dict(steps=1400, batch_size=8, lr=2e-3))
train = dict(type="camvid", root="camvid", split="train")
val = dict(type="camvid", root="camvid", split="val")
size = 480
name = "deeplab_camvid"
