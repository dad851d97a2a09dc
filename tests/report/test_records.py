from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest
import torch

import tdir
from tdir.data.degradations import Degraded, Haze
from tdir.data.folder import Folder
from tdir.metrics.coco import CocoMAP
from tdir.metrics.protocols import PROTOCOLS
from tdir.metrics.scores import DetectionScores
from tdir.report.records import (
    PACKAGES,
    compare,
    describe_classes,
    describe_data,
    describe_pipeline,
    environment,
    portable,
    portable_command,
    write_record,
)
from tdir.structures import Detections

IMAGES = 8


def scored(hits: int) -> DetectionScores:
    """One car in each image, found in the first ``hits``."""
    box = torch.tensor([[4.0, 4, 40, 40]])
    truth, label = Detections(box, torch.tensor([0])), torch.tensor([0])
    found = [Detections(box if i < hits else box + 100, label, torch.tensor([0.9])) for i in range(IMAGES)]
    metric = CocoMAP(["car", "bus"])
    metric.update(found, [truth] * IMAGES)
    return metric.compute()


@pytest.fixture
def rows() -> dict[str, DetectionScores]:
    return {
        "clean": scored(8),
        "degraded": scored(2),
        "restorer": scored(4),
        "vat": scored(6),
        "clean + vat": scored(8),
    }


def test_a_record_holds_what_is_needed_to_read_it(rows: dict[str, DetectionScores], tmp_path: Path) -> None:
    path = tmp_path / "new/case.json"
    written = write_record(path, rows, samples=50, seed=3, command="benchmarks/case.py", seeds=[0, 1])
    read = json.loads(path.read_text())
    assert read == json.loads(json.dumps(written))
    assert (read["command"], read["seed"], read["samples"], read["seeds"]) == ("benchmarks/case.py", 3, 50, [0, 1])
    assert read["rows"]["vat"]["map"] == rows["vat"].map
    assert read["rows"]["vat"]["per_class"]["bus"]["map"] is None
    assert read["environment"]["versions"]["torch"] == torch.__version__


def test_the_command_of_this_process_is_the_default(
    rows: dict[str, DetectionScores], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/home/me/tdir/benchmarks/haze.py", "--data", "/mnt/voc5/"])
    assert write_record(tmp_path / "a.json", rows, samples=5)["command"] == "benchmarks/haze.py --data voc5"


def test_rows_are_compared(rows: dict[str, DetectionScores]) -> None:
    found = compare(rows, samples=200)
    gap = rows["clean"].map - rows["degraded"].map
    assert found["recovered"]["vat"] == pytest.approx((rows["vat"].map - rows["degraded"].map) / gap)
    assert found["recovered"]["restorer"] < found["recovered"]["vat"]
    assert found["intervals"]["vat"]["map"]["low"] < rows["vat"].map <= found["intervals"]["vat"]["map"]["high"]
    assert set(found["class_intervals"]) == set(rows)
    for name, one in found["class_intervals"]["vat"].items():
        for key, bounds in one.items():
            assert bounds["low"] <= bounds["value"] == rows["vat"].per_class[name][key] <= bounds["high"]
    assert found["class_intervals"]["vat"]["bus"] == {}
    assert set(found["differences"]["vat - degraded"]) == {"map", "ap50"}
    assert found["differences"]["vat - degraded"]["map"]["difference"] == rows["vat"].map - rows["degraded"].map
    assert compare({"degraded": rows["degraded"]}, samples=5)["recovered"] == {}


def test_the_environment_names_versions_and_no_machine() -> None:
    found = environment()
    assert found["versions"]["tdir"] == tdir.__version__
    assert all(found["versions"][name] for name in ("python", "torch", *PACKAGES))
    assert found["machine"]["cpu"]
    assert found["machine"]["cores"] >= 1
    # The host's name might stand in the processor's by accident only when it is very short.
    assert len(platform.node()) < 4 or platform.node() not in json.dumps(found)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"type": "aodnet", "weights": "/a/b/dehazer.pth"}, {"type": "aodnet", "weights": "dehazer.pth"}),
        ({"weights": "aodnet/dehazer.pth"}, {"weights": "dehazer.pth"}),
        ({"encoder_weights": "of/imagenet.pth"}, {"encoder_weights": "imagenet.pth"}),
        ({"root": "../shared/voc5"}, {"root": "voc5"}),
        ({"classes": ["car/van", "bus"]}, {"classes": ["car/van", "bus"]}),
        ({"other": "/home/me/file"}, {"other": "file"}),
        ({"other": r"C:\me\file"}, {"other": "file"}),
        ([Path("/a/b"), 3, None, True, 0.5], ["b", 3, None, True, 0.5]),
    ],
)
def test_of_paths_only_base_names_are_kept(value: Any, kept: Any) -> None:
    assert portable(value) == kept


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["/x/tools/benchmark.py", "--data", "/mnt/voc5"], "tools/benchmark.py --data voc5"),
        (["/usr/bin/tdir", "list"], "tdir list"),
        (["tdir benchmark", "--restorer", "aodnet:/w/dehazer.pth"], "tdir benchmark --restorer aodnet:dehazer.pth"),
        (["a.py", "--data=/mnt/voc5", "x.root=../voc5"], "a.py --data=voc5 x.root=voc5"),
        (["a.py", "--classes", "traffic light"], "a.py --classes 'traffic light'"),
        (["a.py", r"C:\data\voc5"], "a.py voc5"),
    ],
)
def test_a_command_loses_its_folders(command: list[str], text: str) -> None:
    assert portable_command(command) == text


def test_a_pipeline_is_described() -> None:
    head = tdir.head("yolo", model="yolov8n.yaml")
    pipeline = tdir.Pipeline(tdir.restorer("aodnet"), tdir.translator("vat-light", side=32), head, 96)
    pipeline.trained = {"config": {"clean": {"root": "/mnt/voc5"}}}
    found = describe_pipeline(pipeline)
    assert found["pipeline"] == pipeline.config
    assert found["trained"] == {"config": {"clean": {"root": "voc5"}}}
    assert found["weights"]["restorer"] == {"name": None, "sha256": None}
    assert found["weights"]["head"] == {"name": "yolov8n.yaml", "sha256": head.weights_sha256}
    assert found["protocol"] == {**PROTOCOLS["coco"].settings(), "size": 96}
    assert describe_pipeline(pipeline, PROTOCOLS["voc07"])["protocol"]["curve"] == "voc07"


def test_a_data_set_is_described(tmp_path: Path) -> None:
    (tmp_path / "fog").mkdir()
    for name in "ab":
        (tmp_path / f"fog/{name}.png").write_bytes(b"")
    images = Folder(tmp_path / "fog")
    plain = {"name": "fog", "manifest": None, "classes": [], "images": 2, "unreadable": []}
    assert describe_data(images) == {**plain, "degradation": None, "degradation_seed": None}
    hazy = describe_data(Degraded(images, Haze(light=0.75), seed=7).subset([1]), ["a.png"])
    assert hazy["name"] == "fog"
    assert (hazy["images"], hazy["unreadable"]) == (1, ["a.png"])
    assert (hazy["degradation"]["light"], hazy["degradation_seed"]) == (0.75, 7)


def test_classes_without_a_partner_are_described(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    images = Folder(tmp_path)
    images.classes = ["Motorbike", "gnu"]
    head = tdir.head("yolo", model="yolov8n.yaml")
    head.classes = ["car", "motorcycle"]
    assert describe_classes(images, head) == {"unknown": ["gnu"], "unlabelled": ["car"]}
