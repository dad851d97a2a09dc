"""VaT's detector for haze: YOLOv3 on the clean photos of Pascal VOC that hold one of the five classes; for a GPU.

ultralytics' YOLOv3 is anchor-free (v3u), the paper's was not.
"""

_classes = ["bicycle", "bus", "car", "motorbike", "person"]
_years = [dict(type="voc", root=f"VOCdevkit/VOC{y}", split="trainval", classes=_classes) for y in ("2007", "2012")]

by = dict(type="ultralytics", model="yolov3.yaml", epochs=100, batch_size=16)
train = dict(type="joined", sets=_years, with_objects=True)
val = dict(type="voc", root="VOCdevkit/VOC2007", split="test", classes=_classes, with_objects=True)
size = 640
name = "yolov3_voch"
