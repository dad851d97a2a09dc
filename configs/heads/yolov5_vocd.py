"""VaT's detector for the dark: YOLOv5s on the clean photos of Pascal VOC that hold one of the ten classes; for a GPU.

ultralytics' YOLOv5 is anchor-free (v5u), the paper's was not, and the paper does not say how large it was.
"""

_classes = ["bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person"]
_years = [dict(type="voc", root=f"VOCdevkit/VOC{y}", split="trainval", classes=_classes) for y in ("2007", "2012")]

by = dict(type="ultralytics", model="yolov5.yaml", depth=0.33, width=0.5, epochs=100, batch_size=16)
train = dict(type="joined", sets=_years, with_objects=True)
val = dict(type="voc", root="VOCdevkit/VOC2007", split="test", classes=_classes, with_objects=True)
size = 640
name = "yolov5_vocd"
