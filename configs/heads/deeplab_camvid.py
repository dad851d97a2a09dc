"""A DeepLabV3+ on the MobileNetV2 of segmentation-models-pytorch, on CamVid by day; 18 to 25 minutes of two cores."""

by = dict(
    type="smp",
    model="deeplabv3plus",
    encoder="mobilenet_v2",
    # Of ImageNet; torchvision's file of mobilenet_v2 does, too. Which ones these were is in benchmarks/README.md.
    encoder_weights="mobilenet_v2_imagenet.safetensors",
    optim=dict(steps=1000, batch_size=8, lr=1e-3),
)
train = dict(type="camvid", root="camvid", split="train")
val = dict(type="camvid", root="camvid", split="val")
size = 480
name = "deeplab_camvid"
