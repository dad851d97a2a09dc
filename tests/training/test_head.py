from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tdir.cli import main
from tdir.data.images import write_image
from tdir.data.made import RECIPES
from tdir.data.streets import Streets
from tdir.data.yolo import YOLO
from tdir.errors import ConfigError, DataError
from tdir.structures import Detections
from tdir.training.by_torchvision import TorchvisionTraining, _example, _mirrored
from tdir.training.by_ultralytics import UltralyticsTraining, write_yolo, yolo_lines
from tdir.training.config import build_data
from tdir.training.head import HeadConfig, train_head
from tdir.training.optim import OptimSettings

CONFIGS = Path(__file__).parents[2] / "configs" / "heads"


def scenes(count: int, split: str = "train") -> dict[str, Any]:
    return {"type": "streets", "split": split, "count": count, "size": [64, 96]}


SMALL = {
    "ultralytics": UltralyticsTraining("yolov8.yaml", 0.33, 0.125, epochs=2, batch_size=4),
    "torchvision": TorchvisionTraining("mobilenet_v3_small_fpn", OptimSettings(steps=3, batch_size=2)),
}


@pytest.mark.parametrize("kind", SMALL)
def test_it_trains_a_detector_that_a_head_opens(tmp_path, kind):
    by = SMALL[kind]
    config = HeadConfig(by, scenes(8), scenes(4, "val"), size=96, name="tiny")
    file = train_head(config, tmp_path)
    assert file == tmp_path / f"tiny{by.suffix}"
    head = by.head(file, Streets().classes)
    assert head.classes == Streets().classes
    record = json.loads(file.with_suffix(".json").read_text())
    assert record["sha256"] == head.weights_sha256
    assert record["scores"]["images"] == 4
    assert record["config"]["by"]["model"] == by.model
    # The file may be given away: it holds no folder of this machine.
    with zipfile.ZipFile(file) as parts:
        inside = b"".join(parts.read(name) for name in parts.namelist() if name.endswith(".pkl"))
    assert str(tmp_path).encode() not in inside
    assert str(Path(__file__).parents[2]).encode() not in inside


def test_the_precision_that_a_processor_chose_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    by = TorchvisionTraining("mobilenet_v3_small_fpn", OptimSettings(steps=1, batch_size=2, precision="auto"))
    file = train_head(HeadConfig(by, scenes(4), scenes(2, "val"), size=96), tmp_path)
    assert json.loads(file.with_suffix(".json").read_text())["config"]["by"]["optim"]["precision"] == "bf16"


def test_torchvision_learns_scenes_by_heart(tmp_path):
    """Two scenes: after training the detector finds most of what it found nothing of before."""
    # MobileNet's batch norms take in a hundredth of each step: fewer steps leave them far from what the network sees.
    by = TorchvisionTraining(
        "mobilenet_v3_small_fpn", OptimSettings(steps=500, batch_size=2, lr=3e-3, warmup=20, ema=0.9)
    )
    two = {"type": "streets", "count": 2, "size": [96, 160]}
    train_head(HeadConfig(by, two, two, size=160, name="learnt"), tmp_path)
    assert json.loads((tmp_path / "learnt.json").read_text())["scores"]["ap50"] > 0.3


def test_a_mirrored_image_has_its_boxes_mirrored():
    image, target = _example(Streets("val", count=1, size=(64, 96)), 0, 48)
    again, boxes = _mirrored(*_mirrored(image, target))
    assert image.shape == (3, 32, 48)
    assert torch.equal(again, image)
    torch.testing.assert_close(boxes["boxes"], target["boxes"])
    turned = _mirrored(image, target)[1]["boxes"]
    torch.testing.assert_close(turned[:, 0] + target["boxes"][:, 2], torch.full((len(turned),), 48.0))


def test_what_is_written_reads_as_the_same_objects(tmp_path):
    data_set = Streets("val", count=5, size=(64, 96))
    assert write_yolo(tmp_path, {"val": data_set}) == tmp_path / "data.yaml"
    again = YOLO(tmp_path, "val")
    assert again.classes == data_set.classes
    assert len(again) == 5
    for i in range(5):
        assert (again.image(i) == data_set.image(i)).all()
        truth, found = data_set.truth(i), again.truth(i)
        easy = truth[~truth.difficult]
        assert found.labels.tolist() == easy.labels.tolist()
        torch.testing.assert_close(found.boxes, easy.boxes, rtol=0, atol=1e-3)


def test_a_line_is_the_centre_and_the_size_as_shares():
    truth = Detections(torch.tensor([[10.0, 20, 30, 60]]), torch.tensor([3]))
    assert yolo_lines(truth, 80, 40) == ["3 0.500000 0.500000 0.500000 0.500000"]


def test_unlabelled_images_are_refused(tmp_path, root):
    with pytest.raises(DataError, match="has no labels, and a detector is trained with them"):
        write_yolo(tmp_path, {"train": build_data({"type": "folder", "root": str(root / "clean")})})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: UltralyticsTraining("yolov8.yaml", epochs=0), r"by\.epochs is a whole number from 1, got 0"),
        (lambda: UltralyticsTraining("yolov8.yaml", width=0), r"by\.width is a number above 0, got 0"),
        (lambda: TorchvisionTraining("resnet50"), "did you mean 'resnet50_fpn'"),
        (lambda: HeadConfig(SMALL["torchvision"], scenes(1), scenes(1), size=0), "size is a whole number from 1"),
    ],
)
def test_a_wrong_setting_is_named(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


@pytest.mark.parametrize("changes", [{"model": "yolov99.yaml"}, {"options": {"learning_rate": 1}}])
def test_what_ultralytics_does_not_know_is_named(tmp_path, changes):
    by = UltralyticsTraining(**{"model": "yolov8.yaml", "width": 0.125, **changes})
    with pytest.raises(ConfigError, match=f"ultralytics cannot train '{by.model}'"):
        train_head(HeadConfig(by, scenes(1), scenes(1, "val")), tmp_path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_streets.py")), ids=lambda path: path.stem)
def test_a_shipped_config_of_the_scenes_names_labelled_sets(path):
    config = HeadConfig.from_file(path, {"train.count": 1, "val.count": 1})
    assert config.name == path.stem
    assert all(build_data(one).truth(0) is not None for one in (config.train, config.val))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_voc?.py")), ids=lambda path: path.stem)
def test_the_paper_s_detectors_are_trained_on_photos_of_both_years_that_hold_their_classes(path, tmp_path, monkeypatch):
    monkeypatch.setenv("TDIR_DATA", str(tmp_path))
    for year, split in (("2007", "trainval"), ("2007", "test"), ("2012", "trainval")):
        root = tmp_path / "VOCdevkit" / f"VOC{year}"
        (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        names = [f"{year}_{split}_{kind}" for kind in ("car", "sheep")]
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
        for name in names:
            write_image(root / f"JPEGImages/{name}.png", np.zeros((20, 30, 3), dtype=np.uint8))
            box = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
            (root / "Annotations").mkdir(exist_ok=True)
            text = f"<annotation><object><name>{name.split('_')[-1]}</name>{box}</object></annotation>"
            (root / f"Annotations/{name}.xml").write_text(text)
    config = HeadConfig.from_file(path)
    assert config.name == path.stem
    assert build_data(config.train).names == ["2007_trainval_car", "2012_trainval_car"]
    assert build_data(config.val).names == ["2007_test_car"]
    # Their classes are those of the set that is scored with them.
    assert build_data(config.train).classes == list(RECIPES[path.stem.split("_")[1]].classes)


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["train-head", str(CONFIGS / "yolo_streets.py"), "--cfg-options", "by.epoch=3"]) == 2
    assert "by has no setting 'epoch': did you mean 'epochs'" in capsys.readouterr().err
    assert main(["train-head", str(CONFIGS / "yolo_streets.py"), "--cfg-options", "by.type=ultralitics"]) == 2
    assert "got 'ultralitics': did you mean 'ultralytics'?" in capsys.readouterr().err
