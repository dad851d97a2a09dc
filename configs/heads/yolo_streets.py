"""A YOLOv8 of an eighth of the channels for the built-in scenes, clear days only."""

by = dict(
    type="ultralytics",
    model="yolov8.yaml",
    depth=0.33,
    width=0.125,
    epochs=20,
    options=dict(rect=True, close_mosaic=0),  # images as they are and not in mosaics: there are enough of them
)
train = dict(type="streets", split="train", count=3000, seed=1)  # other scenes than those translators are trained on
val = dict(type="streets", split="test", count=200)
size = 320
name = "yolo_streets"
