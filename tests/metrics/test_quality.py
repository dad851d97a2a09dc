"""Image quality against direct formulas, with networks of chance: no download."""

from __future__ import annotations

import math
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from scipy.ndimage import correlate1d

from tdir.errors import ConfigError, WeightsError
from tdir.metrics.quality import QUALITY, Frechet, Score, quality_named

CPU = torch.device("cpu")
FILES = {name: one.file.name for name, one in QUALITY.items() if one.file}


@pytest.fixture
def pairs():
    """Two images of different sizes, each with a clean one."""
    rng = np.random.default_rng(0)
    clean = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((48, 64, 3), (33, 80, 3))]
    return [(np.clip(0.7 * one + rng.normal(30, 9, one.shape), 0, 255).astype(np.uint8), one) for one in clean]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A folder that TDIR_WEIGHTS names, and torch.hub's."""
    weights, hub = tmp_path / "weights", tmp_path / "hub"
    weights.mkdir()
    (hub / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv("TDIR_WEIGHTS", str(weights))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    return weights, hub / "checkpoints"


def scored(measure, pairs) -> Score:
    for image, clean in pairs:
        measure.update(image, clean)
    return measure.compute()


def test_every_metric_says_what_it_is():
    assert list(QUALITY) == ["psnr", "ssim", "lpips", "fid", "niqe"]
    assert [one.direction for one in QUALITY.values()] == ["higher", "higher", "lower", "lower", "lower"]
    assert [name for name, one in QUALITY.items() if not one.needs_clean] == ["niqe"]
    assert QUALITY["psnr"].settings() == {
        "title": "PSNR", "unit": "dB", "direction": "higher", "needs_clean": True, "range": [0, None], "weights": None
    }  # fmt: skip


def test_a_wrong_name_is_answered_with_the_nearest():
    assert quality_named("ssim") is QUALITY["ssim"]
    with pytest.raises(ConfigError, match="no metric of image quality 'pnsr': did you mean 'psnr'"):
        quality_named("pnsr")


def test_psnr_is_the_mean_over_images_of_the_formula(pairs):
    by_hand = [10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2)) for a, b in pairs]
    measure = QUALITY["psnr"].measure(CPU)
    assert scored(measure, pairs) == Score(pytest.approx(sum(by_hand) / 2, abs=1e-4), 2)
    # Anew for the next row.
    assert scored(measure, pairs[:1]) == Score(pytest.approx(by_hand[0], abs=1e-4), 1)


def test_of_two_equal_images_the_psnr_is_left_out(pairs):
    same = (pairs[0][1], pairs[0][1])
    measure = QUALITY["psnr"].measure(CPU)
    assert scored(measure, [same]) == Score(None, 0)
    assert scored(measure, [same, pairs[1]]).images == 1
    assert scored(QUALITY["ssim"].measure(CPU), [same]) == Score(pytest.approx(1), 1)


def ssim_by_hand(image: np.ndarray, clean: np.ndarray) -> float:
    """Wang et al., 2004: a Gaussian window of 11 pixels and deviation 1.5; beyond an edge the image is mirrored."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()

    def local(values: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(values, weights, axis=0, mode="mirror"), weights, axis=1, mode="mirror")

    x, y = image / 255, clean / 255
    mx, my = local(x), local(y)
    vx, vy, both = local(x * x) - mx * mx, local(y * y) - my * my, local(x * y) - mx * my
    found = (2 * mx * my + 0.01**2) * (2 * both + 0.03**2) / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))
    return float(found.mean())


def test_ssim_is_the_formula(pairs):
    by_hand = [ssim_by_hand(*pair) for pair in pairs]
    assert scored(QUALITY["ssim"].measure(CPU), pairs) == Score(pytest.approx(sum(by_hand) / 2, abs=1e-4), 2)


def test_lpips_is_of_the_backbone_that_is_found(pairs, places, monkeypatch):
    net = torchvision.models.alexnet(weights=None)
    kept = {name: value for name, value in net.state_dict().items() if name.startswith("features.")}
    torch.save(kept, places[1] / FILES["lpips"])
    measure = QUALITY["lpips"].measure(CPU)
    lpips = scored(measure, pairs)
    assert lpips.images == 2 and lpips.value > 0
    assert scored(measure, [(pairs[0][1], pairs[0][1])]) == Score(0, 1)
    # The very function of torchmetrics, given the same backbone.
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights: net)
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    theirs = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    values = [theirs(*(torch.from_numpy(one).permute(2, 0, 1)[None] / 255 for one in pair)) for pair in pairs]
    assert lpips.value == pytest.approx(float(sum(values)) / 2, rel=1e-5)


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An InceptionV3 that knows nothing."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **options: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        net = module.FeatureExtractorInceptionV3("chance", ["64"])
    path = tmp_path_factory.mktemp("inception") / FILES["fid"]
    torch.save(net.state_dict(), path)
    return path


def test_fid_is_between_all_images_and_all_clean_ones(pairs, inception):
    measure = Frechet(CPU, inception, features=64)
    swapped = [(pairs[1][1], pairs[0][1]), (pairs[0][1], pairs[1][1])]
    assert scored(measure, swapped) == Score(pytest.approx(0, abs=1e-4), 2)
    # Held against the clean images of the first row.
    worse = scored(measure, [(image, None) for image, _ in pairs])
    assert worse.images == 2 and worse.value > 1e-3
    assert scored(Frechet(CPU, inception, features=64), pairs) == Score(pytest.approx(worse.value, rel=1e-4), 2)
    assert scored(measure, pairs[:1]) == Score(None, 1)


@pytest.mark.parametrize(
    ("name", "get"),
    [
        ("lpips", "download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
        ("fid", "download https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015"),
        ("niqe", "pip download --no-deps mmagic==1.2.0; unzip that one file"),
    ],
)
def test_a_missing_file_is_named_with_how_to_come_by_it(name, get, places):
    with pytest.raises(WeightsError) as caught:
        QUALITY[name].measure(CPU)
    said = str(caught.value)
    assert said.startswith(f"{QUALITY[name].title} needs {FILES[name]}: ")
    assert get in said and str(places[1]) in said and str(places[0] / FILES[name]) in said


def test_the_addresses_are_those_of_the_libraries():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    from torchvision.models import AlexNet_Weights

    assert QUALITY["lpips"].file.get == f"download {AlexNet_Weights.DEFAULT.url}"
    assert QUALITY["fid"].file.get == f"download {URL_INCEPTION_V3}"
    assert all(one.file.get.endswith(one.file.name) for one in (QUALITY["lpips"], QUALITY["fid"]))


class MakesFolder:
    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["lpips", "fid"])
def test_a_file_of_another_model_or_with_code_is_refused(name, places, tmp_path):
    file = places[0] / FILES[name]
    torch.save({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=f"{FILES[name]} does not hold the network of {QUALITY[name].title}"):
        QUALITY[name].measure(CPU)
    file.write_bytes(pickle.dumps(MakesFolder(tmp_path / "made"), protocol=2))
    with pytest.raises(WeightsError, match="wants to run code"):
        QUALITY[name].measure(CPU)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("name", "package"), [("psnr", "torchmetrics"), ("fid", "torch_fidelity")])
def test_an_absent_package_is_named(name, package, places, inception, monkeypatch):
    (places[0] / FILES["fid"]).symlink_to(inception)
    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"needs {package}: pip install 'tdir\[quality\]'"):
        QUALITY[name].measure(CPU)
