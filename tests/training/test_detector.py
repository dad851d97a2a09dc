from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tdir import parts
from tdir.cli import main
from tdir.data.streets import Streets
from tdir.data.yolo import YOLO
from tdir.errors import ConfigError, DataError
from tdir.structures import Detections
from tdir.training.config import build_data
from tdir.training.detector import DetectorConfig, train_detector, write_yolo, yolo_lines

CONFIGS = Path(__file__).parents[2] / "configs" / "heads"


def scenes(count: int, split: str = "train") -> dict[str, Any]:
    return {"type": "streets", "split": split, "count": count, "size": [64, 96]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DetectorConfig]:
    """A weight file after two epochs of two steps, and how it was made."""
    work_dir = tmp_path_factory.mktemp("detector")
    config = DetectorConfig(
        "yolov8.yaml", scenes(8), scenes(4, "val"), 0.33, 0.125, size=96, epochs=2, batch_size=4, name="tiny"
    )
    return train_detector(config, work_dir), config


def test_it_trains_a_detector_that_a_head_opens(trained):
    file, config = trained
    assert file.name == "tiny.pt"
    assert file.stat().st_size < 3e6
    head = parts.head(file)
    assert head.classes == Streets().classes
    record = json.loads(file.with_suffix(".json").read_text())
    assert record["sha256"] == head.weights_sha256
    assert record["scores"]["images"] == 4
    assert record["config"]["epochs"] == config.epochs
    assert 5e5 < sum(parameter.numel() for parameter in head.parameters()) < 1e6


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
    with pytest.raises(DataError, match="train has no labels"):
        write_yolo(tmp_path, {"train": build_data({"type": "folder", "root": str(root / "clean")})})


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"epochs": 0}, "epochs is a whole number from 1, got 0"), ({"width": 0}, "width is a number above 0, got 0")],
)
def test_a_wrong_setting_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        DetectorConfig("yolov8.yaml", scenes(1), scenes(1), **changes)


@pytest.mark.parametrize(
    "changes", [{"model": "yolov99.yaml"}, {"options": {"learning_rate": 1}}], ids=["model", "option"]
)
def test_what_ultralytics_does_not_know_is_named(tmp_path, changes):
    values = {"model": "yolov8.yaml", "train": scenes(1), "val": scenes(1, "val"), "width": 0.125, **changes}
    with pytest.raises(ConfigError, match=rf"ultralytics cannot train '{values['model']}'"):
        train_detector(DetectorConfig(**values), tmp_path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_shipped_config_names_labelled_sets(path):
    config = DetectorConfig.from_file(path, {"train.count": 1, "val.count": 1})
    assert config.name == path.stem
    assert all(build_data(one).truth(0) is not None for one in (config.train, config.val))


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["train-head", str(CONFIGS / "yolo_streets.py"), "--cfg-options", "epoch=3"]) == 2
    assert "has no setting 'epoch': did you mean 'epochs'" in capsys.readouterr().err
