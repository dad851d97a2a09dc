from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

import tdir
from tdir import weights as weight_files
from tdir.cli import main
from tdir.data.classes import COCO_CLASSES
from tdir.pipeline import Pipeline

REPOSITORY = Path(__file__).parents[2]


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["benchmark", *argv]) == 2
    return capsys.readouterr().err


def test_a_bundle_on_made_haze_has_all_rows(
    bundle: Path, detector: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--degradation", "haze", "--samples", "20", "--limit", "3"]
    argv += ["--degradation-options", "light=0.75", "scale=1.5", "--seed", "4", "--out", str(tmp_path / "out")]
    assert main(["benchmark", *argv, "--pictures", "2"]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())

    assert list(record["rows"]) == ["clean", "degraded", "restorer", "vat", "clean + restorer", "clean + vat"]
    assert {row["images"] for row in record["rows"].values()} == {3}
    assert {"vat - degraded", "vat - restorer", "clean + vat - clean"} <= set(record["differences"])
    assert list(record["intervals"]) == list(record["rows"])
    haze = {"type": "haze", "light": 0.75, "low": 0, "high": 9, "scale": 1.5}
    assert record["data"] == {
        "layout": "voc", "split": "test", "name": "shapes", "classes": ["car", "person"], "images": 3,
        "manifest": None, "unreadable": [], "degradation": haze, "degradation_seed": 4,
        "unknown": [], "unlabelled": [name for name in COCO_CLASSES if name not in ("car", "person")],
    }  # fmt: skip
    assert record["weights"]["bundle"] == {"name": "tiny.tdir", "sha256": weight_files.sha256(bundle)}
    assert record["weights"]["head"] == {"name": "detector.pt", "sha256": weight_files.sha256(detector)}
    assert (record["seed"], record["samples"], record["protocol"]["size"]) == (4, 20, 64)
    assert record["command"].startswith("tdir benchmark --pipeline tiny.tdir --data shapes --degradation haze")
    assert str(tmp_path) not in json.dumps(record)

    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert all(f"<td>{row}</td>" in page for row in record["rows"])
    printed = capsys.readouterr().out
    assert (tmp_path / "out/table.md").read_text() in printed
    assert all(f"\n| {row} " in printed for row in record["rows"])
    # Four columns 480 wide, two lines 360 high, gaps of 4 and the titles.
    assert cv2.imread(str(tmp_path / "out/pictures.jpg")).shape == (28 + 2 * 364, 4 * 484 - 4, 3)


def test_the_built_in_scenes_need_no_folder(detector: Path, tmp_path: Path) -> None:
    argv = ["--restorer", "dcp", "--head", str(detector), "--data", "streets", "--classes", "car", "person"]
    argv += ["--degradation", "depth_haze", "--limit", "2", "--size", "96", "--samples", "5", "--out", str(tmp_path)]
    assert main(["benchmark", *argv, "--quality", "psnr", "ssim"]) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    data = record["data"]
    assert (data["layout"], data["split"], data["name"], data["images"]) == ("streets", "test", "streets", 2)
    assert data["degradation"]["type"] == "depth_haze"

    quality = record["quality"]
    assert quality["images"] == 2
    assert list(quality["metrics"]) == ["psnr", "ssim"]
    assert list(quality["rows"]) == ["degraded", "restorer"]
    degraded, restored = quality["rows"].values()
    assert degraded["psnr"]["images"] == 2
    assert 5 < degraded["psnr"]["value"] < restored["psnr"]["value"] < 40
    assert 0 < degraded["ssim"]["value"] < 1
    page, table = ((tmp_path / name).read_text(encoding="utf-8") for name in ("page.html", "table.md"))
    for value in (degraded["psnr"]["value"], restored["ssim"]["value"]):
        assert f"<td>{value:.3f}</td>" in page and f" {value:.3f} |" in table
    assert "Image quality of 2 images at their own size" in page and "Image quality of 2 images" in table


def test_a_restorer_and_a_head_on_real_degradation(
    detector: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(tdir.restorer("aodnet").state_dict(), tmp_path / "dehazer.pth")
    argv = ["--restorer", "aodnet:dehazer.pth", "--head", str(detector), "--data", str(voc)]
    argv += ["--samples", "10", "--size", "64"]
    assert main(["benchmark", *argv, "--split", "train", "--classes", "person"]) == 0
    record = json.loads((tmp_path / "work_dirs/benchmark_aodnet_detector_shapes/record.json").read_text())
    assert list(record["rows"]) == ["degraded", "restorer"]
    assert record["recovered"] == {}
    assert record["data"]["split"] == "train"
    assert list(record["rows"]["degraded"]["per_class"]) == ["person"]
    assert "| person " in capsys.readouterr().out


def test_the_yolo_layout_is_told_from_the_folder(detector: Path, voc: Path, tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    for folder in ("images", "labels"):
        (root / folder / "val").mkdir(parents=True)
    (voc / "JPEGImages/0.png").rename(root / "images/val/0.png")
    (root / "labels/val/0.txt").write_text("2 0.25 0.5 0.4 0.6\n")
    argv = ["--restorer", "identity", "--head", str(detector), "--data", str(root), "--samples", "5", "--size", "64"]
    assert main(["benchmark", *argv, "--classes", "car", "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert (record["data"]["layout"], record["data"]["split"]) == ("yolo", "val")
    assert record["rows"]["degraded"]["truths"] == 1


def test_another_protocol_is_in_the_record_and_in_the_table(
    bundle: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--samples", "5", "--out", str(tmp_path / "out")]
    assert main(["benchmark", *argv, "--protocol", "voc07", "--plus-one"]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert (record["protocol"]["name"], record["protocol"]["plus_one"]) == ("voc07", True)
    assert record["rows"]["vat"]["ap75"] is None
    printed = capsys.readouterr().out
    assert "Scored by Pascal VOC 2007" in printed
    assert "mAP50-95" not in printed
    assert "plus_one=True with protocol 'coco'" in refused([*argv, "--plus-one"], capsys)


def test_another_head_and_size_replace_the_bundles(
    bundle: Path, detector: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TDIR_WEIGHTS")
    other = detector.rename(tmp_path / "other.pt")
    argv = ["--pipeline", str(bundle), "--head", str(other), "--data", str(voc), "--size", "32", "--limit", "1"]
    assert main(["benchmark", *argv, "--samples", "5", "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["weights"]["head"]["name"] == "other.pt"
    assert record["protocol"]["size"] == 32


def test_what_cannot_be_scored_is_refused(
    bundle: Path, detector: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(voc)]
    assert "--pipeline BUNDLE, or both --restorer" in refused([*data, "--restorer", "aodnet"], capsys)
    untrained = ["--restorer", "aodnet", "--head", str(detector)]
    assert "restorer 'aodnet' has no weights" in refused([*data, *untrained], capsys)
    assert "brings its restorer" in refused([*data, "--pipeline", str(bundle), "--restorer", "sci"], capsys)
    pipeline = ["--pipeline", str(bundle), "--out", str(tmp_path / "out")]
    assert "--degradation-options without" in refused([*data, *pipeline, "--degradation-options", "light=1"], capsys)
    hazy = [*data, *pipeline, "--degradation", "haze", "--degradation-options", "lite=1"]
    assert "no setting 'lite': did you mean 'light'" in refused(hazy, capsys)
    assert "no labels to score against" in refused(["--data", str(voc / "JPEGImages"), *pipeline], capsys)
    assert "no data set" in refused(["--data", str(tmp_path / "missing"), *pipeline], capsys)
    assert "no split 'val'" in refused([*data, "--split", "val", *pipeline], capsys)
    assert "not a YOLO layout" in refused([*data, "--layout", "yolo", *pipeline], capsys)
    assert not (tmp_path / "out").exists()


def test_image_quality_that_cannot_be_had_is_said_before_anything_is_scored(
    bundle: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tdir.evaluation.evaluate", None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--out", str(tmp_path / "out"), "--quality"]
    assert "no metric of image quality 'nique': did you mean 'niqe'?" in refused([*argv, "nique"], capsys)
    said = refused([*argv, "psnr", "niqe", "fid"], capsys)
    assert "PSNR, FID: clean images are needed, and there are none: make the degraded ones with --degradation" in said
    assert "0 is 64 x 48 pixels, and NIQE needs 192 on each side" in refused([*argv, "niqe"], capsys)
    lpips = [*argv, "psnr", "lpips", "--degradation", "haze"]
    assert "LPIPS needs alexnet-owt-7be5be79.pth: download https://" in refused(lpips, capsys)
    assert not (tmp_path / "out").exists()


def test_image_quality_is_the_first_process_s_work(
    bundle: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one does not even look for LPIPS' file."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("tdir.distributed.is_first", lambda: False)
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--degradation", "haze", "--limit", "1"]
    assert main(["benchmark", *argv, "--quality", "lpips", "--out", str(tmp_path / "out")]) == 0
    # What this process predicted is left to the first one to remove.
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.partial"]


@pytest.mark.real
def test_real_fog(data_root: Path, weights_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    restorer = f"aodnet:{weights_root / 'aodnet/dehazer.pth'}"
    argv = ["--restorer", restorer, "--head", str(weights_root / "yolov8n.pt"), "--data", str(data_root / "dawn_fog")]
    assert main(["benchmark", *argv, "--limit", "4", "--size", "320", "--out", str(tmp_path), "--pictures", "1"]) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["rows"]["degraded"]["images"] == 4
    assert record["rows"]["degraded"]["map"] > 0.4
    assert record["rows"]["restorer"]["map"] > 0.4
    said = capsys.readouterr().out + (tmp_path / "record.json").read_text()
    assert str(data_root) not in said
    assert str(weights_root) not in said
    assert "--restorer aodnet:dehazer.pth" in said


BRIEF = ["--samples", "5", "--examples", "0", "--batch-size", "1"]
IN_TWO = [*BRIEF, "--launcher", "pytorch", "--device", "cpu"]
PROGRAM = str(REPOSITORY / "tools/benchmark.py")


def more(voc: Path, count: int) -> list[int]:
    """Copies of the first images of a set, every third one upright; the numbers of all."""
    for i in range(4, count):
        image = cv2.imread(str(voc / f"JPEGImages/{i % 4}.png"))
        assert cv2.imwrite(str(voc / f"JPEGImages/{i}.png"), image if i % 3 else image.transpose(1, 0, 2))
        (voc / f"Annotations/{i}.xml").write_text((voc / f"Annotations/{i % 4}.xml").read_text())
    return list(range(count))


def test_two_processes_score_as_one(bundle: Path, voc: Path, tmp_path: Path) -> None:
    """Each predicts on its share."""
    (voc / "ImageSets/Main/test.txt").write_text("".join(f"{i}\n" for i in more(voc, 20)))
    argv = ["--pipeline", str(bundle), "--data", str(voc)]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, PROGRAM, *argv, *IN_TWO, "--out", str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("20 images, longest side 64") == 1  # one of the processes speaks
    assert main(["benchmark", *argv, *BRIEF, "--out", str(tmp_path / "one")]) == 0
    one, two = (json.loads((tmp_path / name / "record.json").read_text()) for name in ("one", "two"))
    assert one["rows"] == two["rows"]
    assert one["differences"] == two["differences"]
    assert not (tmp_path / "two/predictions.partial").exists()


def test_what_stops_one_of_two_processes_stops_both(bundle: Path, voc: Path, tmp_path: Path) -> None:
    """By the same line. Without torchrun, which ends the second process as soon as it sees the first one fail."""
    (voc / "Annotations/3.xml").write_text("<annotation>")
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--classes", "car", "person", *IN_TWO]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    both = [
        subprocess.Popen(
            [sys.executable, PROGRAM, *argv, "--out", str(tmp_path / "two")],
            env={**os.environ, "OMP_NUM_THREADS": "1", **group, "RANK": rank, "LOCAL_RANK": rank},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    for process in both:
        said = process.communicate(timeout=140)[1]
        assert process.returncode == 2, said
        assert len(re.findall(r"error: .*3\.xml: not a readable VOC annotation", said)) == 1


def test_an_interrupted_benchmark_goes_on(
    bundle: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (voc / "ImageSets/Main/test.txt").write_text("".join(f"{i}\n" for i in more(voc, 12)))
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--degradation", "haze", *BRIEF]
    assert main(["benchmark", *argv, "--out", str(tmp_path / "whole")]) == 0
    predict, asked = Pipeline.predict, [0]

    def counted(self: Pipeline, images: Any, *given: Any, **settings: Any) -> Any:
        if isinstance(images, list):
            asked[0] += len(images)
        if asked[0] == stop:
            raise KeyboardInterrupt
        return predict(self, images, *given, **settings)

    monkeypatch.setattr(Pipeline, "predict", counted)
    stop = 3 * 12  # in the second half of the third row
    out = tmp_path / "out"
    assert main(["benchmark", *argv, "--out", str(out)]) == 130
    assert (out / "predictions.partial").is_dir()
    asked[0], stop = 0, -1
    assert main(["benchmark", *argv, "--out", str(out)]) == 0
    assert asked[0] == 3 * 12 + 4
    assert capsys.readouterr().err.count("images of row") == 3
    assert not (out / "predictions.partial").exists()
    whole, again = (json.loads((tmp_path / name / "record.json").read_text()) for name in ("whole", "out"))
    for key in ("rows", "intervals", "differences", "recovered"):
        assert again[key] == whole[key]
    # What is done is measured anew.
    asked[0] = 0
    assert main(["benchmark", *argv, "--out", str(out)]) == 0
    assert asked[0] == 6 * 12


def test_classes_without_a_partner_are_listed(
    bundle: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = ["person", "car", "gnu"]
    argv = ["--pipeline", str(bundle), "--data", str(voc), "--classes", *classes, *BRIEF]
    annotation = voc / "Annotations/0.xml"
    annotation.write_text(annotation.read_text().replace("person", "gnu"))
    assert main(["benchmark", *argv, "--out", str(tmp_path)]) == 0
    data = json.loads((tmp_path / "record.json").read_text())["data"]
    assert data["unknown"] == ["gnu"]
    assert data["unlabelled"] == [name for name in COCO_CLASSES if name not in classes]
    said = "Classes of the set that the head does not know, 1: gnu. They score 0 wherever there is an object to find."
    printed = capsys.readouterr()
    assert said in printed.out
    assert said in (tmp_path / "page.html").read_text()
    assert "classes of the head that the data set does not label, 78: bicycle, motorcycle" in printed.err


def test_a_published_set_is_scored_by_its_name(bundle: Path, voc: Path, tmp_path: Path) -> None:
    voc.rename(tmp_path / "RTTS")
    argv = ["rtts", "--data-root", str(tmp_path), "--pipeline", str(bundle), "--samples", "5", "--limit", "2"]
    assert main(["benchmark", *argv, "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["data"]["name"] == "RTTS"
    assert record["data"]["classes"] == ["bicycle", "bus", "car", "motorbike", "person"]
    assert record["command"].startswith("tdir benchmark rtts --data-root")


def test_the_labelled_set_of_a_config_is_scored(bundle: Path, voc: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.py"
    val = {"root": str(voc), "classes": ["car"], "degradation": {"type": "haze"}}
    config.write_text(f"restorer=head=degraded=clean=dict(type='x')\ntranslator=dict(type='vat-light')\nval={val!r}\n")
    argv = [str(config), "--pipeline", str(bundle), "--samples", "5", "--out", str(tmp_path / "out")]
    assert main(["benchmark", *argv]) == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert "clean + vat" in record["rows"]
    assert record["data"]["classes"] == ["car"]


def test_what_to_score_on_is_said_once(
    bundle: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = ["--pipeline", str(bundle)]
    assert "say what to score on: --data ROOT, one of rtts" in refused(pipeline, capsys)
    assert "rtts says what to score on, but --data given too" in refused(
        ["rtts", "--data", str(voc), *pipeline], capsys
    )
    assert "no benchmark 'rtt': did you mean 'rtts'?" in refused(["rtt", *pipeline], capsys)
    (tmp_path / "bare.py").write_text("restorer=head=degraded=clean=translator=dict(type='x')\n")
    assert "has no 'val'" in refused([str(tmp_path / "bare.py"), *pipeline], capsys)
