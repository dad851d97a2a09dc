"""The commands with heads that say maps or classes instead of boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import tdir
from tdir.cli import main
from tdir.data.camvid import CLASSES
from tdir.heads.deeplab import HEADER, network
from tests.classes import write_cifar, write_clip


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, as ``tdir train-head`` writes it."""
    torch.manual_seed(0)
    described = {"model": "unet", "encoder": "tu-mobilenetv3_small_100", "names": list(CLASSES)}
    tensors = {name: value.contiguous() for name, value in network(described, "a test").state_dict().items()}
    file = tmp_path_factory.mktemp("head") / "tiny.safetensors"
    save_file(tensors, file, {HEADER: json.dumps(described)})
    return file


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("head") / "tiny_clip.safetensors")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Three frames to train with and two to score on, each of two halves."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for folder in (split, f"{split}annot"):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
        for i in range(count):
            labels = np.full((48, 64), 3, dtype=np.uint8)
            labels[:24] = 0
            labels[:, 60:] = 11
            image = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8) + np.where(labels == 0, 150, 40)[..., None]
            assert cv2.imwrite(str(tmp_path / f"camvid/{split}annot/{i}.png"), labels)
            assert cv2.imwrite(str(tmp_path / f"camvid/{split}/{i}.png"), image.astype(np.uint8))
    return tmp_path / "camvid"


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    return write_cifar(tmp_path / "cifar10")


@pytest.fixture
def bundle(segmenter: Path, tmp_path: Path) -> Path:
    translator = tdir.translator("vat-light", side=32)
    pipeline = tdir.Pipeline(tdir.restorer("dcp"), translator, tdir.head(f"deeplab:{segmenter}"), 64)
    pipeline.save(tmp_path / "tiny.tdir", include_head=True)
    return tmp_path / "tiny.tdir"


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return found


def test_a_sweep_has_every_method_at_every_strength(
    bundle: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["camvid-dark", "--data-root", str(camvid), "--pipeline", str(bundle), "--beside", "identity"]
    assert main(["benchmark", *argv, "--samples", "20", "--examples", "1", "--out", str(out)]) == 0
    record, printed = record_of(out), capsys.readouterr().out
    assert list(record["columns"]) == ["1", "2", "6", "10"]
    for label, column in record["columns"].items():
        rows = ["degraded", "identity", "restorer", "vat", *([] if label == "1" else ["clean"])]
        assert list(column["rows"]) == rows
        assert column["rows"]["identity"] == column["rows"]["degraded"]
        assert {"vat - degraded", "vat - restorer"} <= set(column["differences"])
        truths = [one["truths"] for one in column["rows"]["vat"]["per_class"].values()]
        assert sum(truths) == 2 * 48 * 60  # what is void does not count
    assert record["columns"]["1"]["rows"]["degraded"] == record["columns"]["10"]["rows"]["clean"]
    assert record["columns"]["1"]["rows"]["degraded"] != record["columns"]["10"]["rows"]["degraded"]
    assert record["protocol"]["name"] == "miou"
    assert record["data"]["split"] == "val"
    assert printed.strip() == (out / "table.md").read_text().strip()
    assert "| input " in printed and "| VaT " in printed and "| gamma 10 |" in printed
    page = (out / "page.html").read_text(encoding="utf-8")
    assert page.count('class="seen"') in (0, 1 + 4 * 3)  # a frame that gains, if one does, at each strength
    assert f'<td class="good">{max(one["miou"] for one in record["columns"]["6"]["rows"].values()):.3f}' in page
    assert not (out / "predictions.partial").exists()


def test_what_a_sweep_settles_is_not_asked_for(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["benchmark", "camvid-dark", "--pipeline", str(bundle)]
    assert main([*argv, "--degradation", "haze", "--protocol", "voc07"]) == 2
    assert "camvid-dark says what is scored and how, but --degradation, --protocol given too" in capsys.readouterr().err
    assert main([*argv, "--data-root", str(bundle.parent), "--beside", "dcp", "dcp"]) == 2
    assert "no CamVid with a val split" in capsys.readouterr().err


def test_noise_is_added_to_every_strength(
    segmenter: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["camvid-dark", "--data-root", str(camvid), "--restorer", "identity", "--head", f"deeplab:{segmenter}"]
    argv += ["--degradation-options", "read=0.01", "--limit", "1", "--samples", "9", "--out", str(tmp_path / "out")]
    assert main(["benchmark", *argv]) == 0
    made = record_of(tmp_path / "out")["sweep"]["columns"]
    assert made["1"] is None
    assert made["6"] == {"type": "low_light", "gamma": [6, 6], "shot": 0.0, "read": 0.01}


def test_a_plain_benchmark_of_maps(bundle: Path, camvid: Path, tmp_path: Path) -> None:
    argv = ["--pipeline", str(bundle), "--data", str(camvid), "--degradation", "low_light", "--samples", "20"]
    assert main(["benchmark", *argv, "--out", str(tmp_path / "out"), "--pictures", "1", "--examples", "1"]) == 0
    record = record_of(tmp_path / "out")
    assert list(record["rows"]) == ["clean", "degraded", "restorer", "vat", "clean + restorer", "clean + vat"]
    assert {"miou", "pixel_accuracy"} <= set(record["rows"]["vat"])
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert "<th>mIoU</th><th>pixels</th>" in page
    assert "Found, missed and false" not in page
    assert cv2.imread(str(tmp_path / "out/pictures.jpg")) is not None


def test_a_plain_benchmark_of_classes_has_roc_curves(clip: Path, cifar: Path, tmp_path: Path) -> None:
    argv = ["--restorer", "identity", "--head", f"clip:{clip}", "--data", str(cifar), "--degradation", "low_light"]
    assert main(["benchmark", *argv, "--samples", "20", "--out", str(tmp_path / "out"), "--examples", "1"]) == 0
    record = record_of(tmp_path / "out")
    assert record["rows"]["clean"]["images"] == 10
    assert set(record["intervals"]["clean"]) == {"top1", "auc"}
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert "True positive rate over false positive rate" in page
    assert "<th>accuracy</th><th>images</th>" in page


def test_a_sweep_of_classes_has_roc_curves_of_every_row(clip: Path, cifar: Path, tmp_path: Path) -> None:
    argv = ["cifar-dark", "--data-root", str(cifar), "--restorer", "identity", "--head", f"clip:{clip}"]
    assert main(["benchmark", *argv, "--beside", "dcp", "--samples", "20", "--out", str(tmp_path / "out")]) == 0
    record = record_of(tmp_path / "out")
    assert list(record["columns"]) == ["clean", "low light"]
    assert list(record["columns"]["low light"]["rows"]) == ["degraded", "dcp", "restorer", "clean"]
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert "True positive rate over false positive rate" in page
    assert "| dcp " in (tmp_path / "out/table.md").read_text()


def test_head_and_set_are_for_one_task(
    segmenter: Path, cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["benchmark", "--restorer", "identity", "--head", f"deeplab:{segmenter}", "--data", str(cifar)]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 2
    assert "the head is for segmentation, and the set for classification" in capsys.readouterr().err
    assert main([*argv, "--protocol", "voc07", "--out", str(tmp_path / "out")]) == 2
    assert "protocol 'voc07' is for detection, and the set for classification" in capsys.readouterr().err


def test_maps_are_written_as_numbers_of_classes(bundle: Path, camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "said"
    assert main(["infer", str(camvid / "val"), "--pipeline", str(bundle), "--out", str(out)]) == 0
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["map"] for line in lines] == ["maps/0.png.png", "maps/1.png.png"]
    pipeline = tdir.load(bundle)
    for line in lines:
        labels = np.asarray(Image.open(out / line["map"]))
        assert np.array_equal(labels, pipeline.predict(camvid / "val" / line["image"]).labels.numpy())
        assert sum(line["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert (out / "pictures/0.png").is_file()


def test_classes_are_written_with_their_scores(clip: Path, camvid: Path, tmp_path: Path) -> None:
    pipeline = tdir.Pipeline(tdir.restorer("identity"), None, tdir.head(f"clip:{clip}"), 64)
    pipeline.save(tmp_path / "clip.tdir")
    out = tmp_path / "said"
    argv = ["infer", str(camvid / "val/0.png"), "--pipeline", str(tmp_path / "clip.tdir"), "--head", f"clip:{clip}"]
    assert main([*argv, "--out", str(out)]) == 0
    line = json.loads((out / "predictions.jsonl").read_text())
    assert line["class"] == max(line["scores"], key=line["scores"].get)
    assert sum(line["scores"].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", ["maps", "classes"])
def test_a_translator_is_trained_before_any_head(
    kind: str, segmenter: Path, clip: Path, camvid: Path, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the preview through every term of the objective to the scores; the head's weights stay as they are."""
    head = {"type": "deeplab", "weights": str(segmenter)} if kind == "maps" else {"type": "clip", "weights": str(clip)}
    layout, root, size = ("camvid", camvid, 64) if kind == "maps" else ("cifar10", cifar, 32)
    data = {"type": layout, "root": str(root), "split": "train"}
    dark = {"type": "low_light"}
    val = {**data, "split": "val" if kind == "maps" else "test", "degradation": dark}
    config = tmp_path / "config.py"
    config.write_text(
        f"restorer = 'dcp'\nhead = {head}\ndegraded = {dict(data, degradation=dark)}\nclean = {data}\n"
        f"val = {val}\n"
        f"size = {size}\ntranslator = dict(type='vat-light', side=32)\nname = 'tiny'\n"
        f"teacher = dict(score=0.0, dims=2, neighbours=2, epsilon=0.9, align={kind == 'classes'})\n"
        "objective = dict(cycle=1.0, uncertainty='certain')\n"
        "optim = dict(steps=2, batch_size=2, warmup=1)\n"
    )
    before = segmenter.read_bytes(), clip.read_bytes()
    assert main(["train", str(config), "--work-dir", str(tmp_path / "look"), "--preview"]) == 0
    assert (tmp_path / "look/preview.png").is_file()
    assert main(["train", str(config), "--work-dir", str(tmp_path / "work")]) == 0
    (line,) = (tmp_path / "work/validation.jsonl").read_text().splitlines()
    main_score = "miou" if kind == "maps" else "top1"
    assert all(0 <= json.loads(line)[row][main_score] <= 1 for row in ("clean", "degraded", "restorer", "vat"))
    assert (tmp_path / "work/tiny.tdir").is_file()
    assert (segmenter.read_bytes(), clip.read_bytes()) == before
