"""A detector without training, a labelled set of drawn rectangles, and a bundle: no download, no real data."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import tdir
from tdir.data.classes import COCO_CLASSES
from tdir.heads.yolo import Yolo

SIDE = 64
ANNOTATION = """<annotation><object><name>{name}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>
<ymax>{3}</ymax></bndbox></object></annotation>"""


@functools.cache
def untrained() -> torch.nn.Module:
    torch.manual_seed(0)
    model = Yolo(model="yolov8n.yaml", fold=False).model
    model.names = dict(enumerate(COCO_CLASSES))
    return model


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weight file of an untrained detector, which bundles find by its name."""
    path = tmp_path / "weights" / "detector.pt"
    path.parent.mkdir()
    torch.save({"model": untrained()}, path)
    monkeypatch.setenv("TDIR_WEIGHTS", str(path.parent))
    return path


def rectangle(path: Path, box: tuple[int, int, int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(90, 130, (48, SIDE, 3), dtype=np.uint8)
    cv2.rectangle(image, box[:2], box[2:], (250, 250, 250), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Six images in Pascal VOC layout with one rectangle each, four of them in the test split."""
    root = tmp_path / "shapes"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for i in range(6):
        box = (4 + 2 * i, 6, 30 + 4 * i, 40)
        rectangle(root / "JPEGImages" / f"{i}.png", box, seed=i)
        text = ANNOTATION.format(*box, name=("person", "car")[i % 2])
        (root / "Annotations" / f"{i}.xml").write_text(text)
    (root / "ImageSets/Main/test.txt").write_text("0\n1\n2\n3\n")
    (root / "ImageSets/Main/train.txt").write_text("4\n5\n")
    return root


@pytest.fixture
def bundle(detector: Path, tmp_path: Path) -> Path:
    """An untrained pipeline, saved."""
    path = tmp_path / "tiny.tdir"
    head = tdir.head(str(detector))
    tdir.Pipeline(tdir.restorer("aodnet"), tdir.translator("vat-light", side=32), head, SIDE).save(path)
    return path
