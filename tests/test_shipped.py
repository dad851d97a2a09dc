"""The bundles that come with tdir: small, with their recipe beside them, and of use on the day of install."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import tdir
from tdir import bundle as bundles
from tdir import weights as weight_files
from tdir.cli import main
from tdir.data.degradations import Haze, LowLight
from tdir.data.images import to_tensor
from tdir.data.streets import Streets
from tdir.data.streets_crops import StreetsCrops
from tdir.data.streets_maps import StreetsMaps
from tdir.evaluation import base_rows, evaluate, vat_rows
from tdir.report.records import portable
from tdir.training.config import TrainConfig, build_data
from tdir.training.head import HeadConfig
from tdir.training.restorer import RestorerConfig
from tests.training.scenes import picture, write_detector

ROOT = Path(__file__).parents[1]
NAMES = ["dark", "fog"]
HEADS = {
    "clip_streets": (".safetensors", StreetsCrops, 100),
    "deeplab_streets": (".safetensors", StreetsMaps, 24),
    "retinanet_streets": (".pth", Streets, 24),
    "yolo_streets": (".pt", Streets, 24),
}
RESTORERS = ["aodnet_streets", "sci_dark"]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"))


def test_these_are_the_ones() -> None:
    assert bundles.shipped() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_by_its_name_with_any_detector_and_is_small(name: str, detector: Path) -> None:
    assert bundles.find(name).stat().st_size < 2e6
    pipeline = tdir.load(name, head=detector)
    image, _ = picture(np.random.default_rng(0), (96, 128))
    assert len(pipeline.predict(image, score=0.0)) > 0
    assert pipeline.enhance(image).shape == image.shape


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_its_recipe_makes(name: str) -> None:
    recipe = TrainConfig.from_file(ROOT / "configs" / f"{name}.py")
    trained = bundles.read(bundles.find(name)).trained["config"]
    assert recipe.made(trained)
    assert not recipe.made({**trained, "seed": 1})


@pytest.mark.parametrize("name", NAMES)
def test_its_scores_lie_beside_it_and_are_those_of_this_file(name: str) -> None:
    record = json.loads(bundles.find(name).with_suffix(".json").read_text(encoding="utf-8"))
    assert record["weights"]["bundle"]["sha256"] == weight_files.sha256(bundles.find(name))
    rows = {row: scores["map"] for row, scores in record["rows"].items()}
    assert rows["vat"] > rows["degraded"]
    assert rows["clean + vat"] > rows["clean"] - 0.005


@pytest.mark.parametrize("name", RESTORERS)
def test_a_restorer_is_what_its_recipe_makes(name: str) -> None:
    file = weight_files.find(f"{name}.safetensors")
    record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    recipe = portable(asdict(RestorerConfig.from_file(ROOT / "configs" / "restorers" / f"{name}.py")))
    assert record["config"] == json.loads(json.dumps(recipe))
    assert record["sha256"] == weight_files.sha256(file)
    assert record["error"]["restored"] < 0.8 * record["error"]["degraded"]


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_what_its_recipe_makes_and_knows_the_scenes(name: str) -> None:
    suffix, kind, count = HEADS[name]
    file = weight_files.find(f"{name}{suffix}")
    record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    recipe = HeadConfig.from_file(ROOT / "configs" / "heads" / f"{name}.py")
    assert record["config"] == json.loads(json.dumps(portable(asdict(recipe))))
    assert record["sha256"] == weight_files.sha256(file)
    assert file.stat().st_size < 3.2e6
    scenes = kind("test", count)
    head = recipe.by.head(file, scenes.classes)
    scores = evaluate(tdir.Pipeline(tdir.restorer("identity"), None, head, recipe.size), scenes)
    metric = scores.SAMPLED[-1]
    assert abs(getattr(scores, metric) - record["scores"][metric]) < 0.12


@pytest.mark.parametrize("name", ["aodnet_deeplab_streets", "sci_clip_streets_dark"])
def test_a_quickstart_of_maps_and_of_classes_runs(name: str, tmp_path: Path) -> None:
    few = ["degraded.count=8", "clean.count=8", "teacher.nuq=False", "optim.steps=2", "optim.batch_size=2", "val=None"]
    argv = ["train", str(ROOT / "configs" / f"{name}.py"), "--work-dir", str(tmp_path), "--cfg-options", *few]
    assert main(argv) == 0
    (bundle,) = tmp_path.glob("*.tdir")
    config = TrainConfig.from_file(ROOT / "configs" / f"{name}.py")
    assert config.val is not None
    data = ["--data", config.val["type"], "--degradation", config.val["degradation"]["type"], "--limit", "6"]
    argv = ["benchmark", "--pipeline", str(bundle), *data, "--samples", "5", "--out", str(tmp_path / "out")]
    assert main([*argv, "--pictures", "1"]) == 0
    rows = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))["rows"]
    assert list(rows) == ["clean", "degraded", "restorer", "vat", "clean + restorer", "clean + vat"]


def test_sci_brings_light() -> None:
    rng = np.random.default_rng(2)
    clean, _ = picture(rng, (96, 128))
    dark = LowLight(gamma=(3.0, 3.0))(clean, rng)
    restored = tdir.restorer("sci", "sci_dark.safetensors")(to_tensor(dark)[None])[0]
    before, after = ((image - to_tensor(clean)).abs().mean() for image in (to_tensor(dark), restored))
    assert after < 0.6 * before


def test_fog_takes_haze_away(detector: Path) -> None:
    rng = np.random.default_rng(1)
    image, _ = picture(rng, (240, 320))
    hazy = Haze(light=0.75, low=5, high=5)(image, rng)
    assert tdir.load("fog", head=detector).enhance(hazy).std() > 1.5 * hazy.std()


def test_dark_brings_light(detector: Path) -> None:
    rng = np.random.default_rng(1)
    image, _ = picture(rng, (240, 320))
    dark = LowLight(gamma=(4.0, 4.0))(image, rng)
    assert tdir.load("dark", head=detector).enhance(dark).mean() > 2 * dark.mean()


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_a_detector_finds_more_with_it(name: str, data_root: Path, weights_root: Path) -> None:
    config = TrainConfig.from_file(ROOT / "configs" / f"{name}.py")
    assert config.val is not None
    data_set = build_data(config.val)
    some = data_set.subset(range(0, len(data_set), 5))
    pipeline = tdir.load(name, head="yolov8n.pt")
    rows = {**base_rows(pipeline, some), **vat_rows(pipeline, some)}
    assert rows["vat"].map > rows["degraded"].map
