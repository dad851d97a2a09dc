from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.loss import ClipLoss
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from tdir.data.image_folder import ImageFolder
from tdir.data.images import to_tensor, write_image
from tdir.data.streets import Streets
from tdir.errors import ConfigError, DataError
from tdir.heads import _clip
from tdir.heads.clip import CLIP
from tdir.training.by_openclip import OpenCLIPTraining, _varied, contrast
from tdir.training.head import HeadConfig
from tdir.training.optim import OptimSettings

CONFIG = Path(__file__).parents[2] / "configs" / "heads" / "clip_cifar10.py"
TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 4},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
COLOURS = {"blue": (20, 40, 200), "green": (30, 190, 60), "red": (210, 30, 20)}


def training(steps: int, model: dict[str, Any] = TINY, **settings: Any) -> OpenCLIPTraining:
    optim = OptimSettings(steps=steps, batch_size=9, lr=3e-3, warmup=10, ema=0.9)
    return OpenCLIPTraining(model, ["a photo of a {}.", "the {}."], optim=optim, **settings)


@pytest.fixture
def plain(tmp_path: Path) -> ImageFolder:
    """Two images of each colour, with some noise."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(2):
            image = np.clip(rng.normal(colour, 20, (20, 26, 3)), 0, 255).astype(np.uint8)
            write_image(tmp_path / "set" / "train" / name / f"{number}.png", image)
    return ImageFolder(tmp_path / "set", "train")


def test_it_learns_colours_by_their_names(plain: ImageFolder, tmp_path: Path) -> None:
    by, file = training(80), tmp_path / "colours.safetensors"
    by.train({"train": plain}, 16, 0, file, "cpu")
    head = by.head(file, plain.classes)
    assert isinstance(head, CLIP)
    assert head.classes == ["blue", "green", "red"]
    assert head.architecture()["templates"] == by.templates
    images = torch.stack([to_tensor(plain.image(i)) for i in range(6)])
    with torch.no_grad():
        found = head.decode(head(images))
    assert [one.label for one in found] == [plain.truth(i).label for i in range(6)]
    with safe_open(file, "pt") as tensors:
        kinds = {tensors.get_tensor(name).dtype for name in tensors.keys()}  # noqa: SIM118, not a dict
    assert kinds == {torch.float16}


def test_a_seed_decides_all(plain: ImageFolder, tmp_path: Path) -> None:
    def digest(seed: int) -> str:
        file = tmp_path / "again.safetensors"
        training(2).train({"train": plain}, 16, seed, file, "cpu")
        return hashlib.sha256(file.read_bytes()).hexdigest()

    assert digest(1) == digest(1) != digest(2)


def test_logits_are_no_sharper_than_clips(plain: ImageFolder, tmp_path: Path) -> None:
    by, file = training(20, {**TINY, "init_logit_scale": 6.0}), tmp_path / "sharp.safetensors"
    by.train({"train": plain}, 16, 0, file, "cpu")
    head: Any = by.head(file, plain.classes)
    assert 80 < float(head._scale) < 101


def test_with_a_caption_for_each_image_the_loss_is_clips_own() -> None:
    images, texts = (F.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    own = ClipLoss()(images, texts, torch.tensor(7.0))
    torch.testing.assert_close(contrast(7 * images @ texts.T, torch.arange(5)), own)


def test_images_of_one_caption_are_not_each_others_opposites() -> None:
    truth = torch.tensor([0, 0, 1])
    logits = torch.randn(3, 4)  # two captions of which the batch has no image

    def of_caption(k: int) -> Tensor:
        own = (truth == k).float()
        return F.cross_entropy(logits[:, k], own / own.sum())

    captions = (2 * of_caption(0) + of_caption(1)) / 3
    torch.testing.assert_close(contrast(logits, truth), (F.cross_entropy(logits, truth) + captions) / 2)
    apart = torch.tensor([[50.0, 0], [50, 0], [0, 50]])
    # All as it should be: what is left is that a caption has two images.
    assert contrast(apart, truth).item() == pytest.approx(2 / 3 * np.log(2) / 2, abs=1e-5)


def test_examples_are_moved_mirrored_and_cut() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[16, 20] = 255
    places = set()
    for seed in range(200):
        varied = _varied(image, 0, np.random.default_rng(seed))
        assert varied.shape == image.shape
        places.add(tuple(np.argwhere(varied[..., 0] == 255)[0].tolist()))
    assert {row for row, _ in places} == set(range(12, 21))
    assert {column for _, column in places} == set(range(16, 25)) | set(range(7, 16))
    shares = [(_varied(image, 0.5, np.random.default_rng(seed))[..., 1] == 114).mean() for seed in range(200)]
    assert max(shares) == 0.25
    assert min(shares) >= 0.25 / 4
    assert not (image == 114).any()


def test_what_has_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no class, and a CLIP is trained with them"):
        training(1).train({"train": Streets(count=1, size=(32, 32))}, 16, 0, tmp_path / "none.safetensors", "cpu")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: training(1, cut=1.5), r"by\.cut is a number in \[0, 1\], got 1\.5"),
        (lambda: OpenCLIPTraining(TINY, ["a photo"]), "templates is a list of texts"),
        (lambda: OpenCLIPTraining(TINY, optim=OptimSettings(None, 3)), "one of optim.steps in fp32, bf16 or auto"),
        (
            lambda: training(1, {**TINY, "embed": 3}).train({}, 16, 0, Path("none"), "cpu"),
            "open_clip cannot build the network of the training: .*embed",
        ),
        (
            lambda: training(1, "RN5").train({}, 16, 0, Path("none"), "cpu"),
            "open_clip has no model 'RN5': did you mean",
        ),
    ],
)
def test_a_wrong_setting_is_named(build: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_the_shipped_config_is_one_of_a_network_that_can_be_built() -> None:
    config = HeadConfig.from_file(CONFIG)
    by: Any = config.by
    assert isinstance(by, OpenCLIPTraining)
    assert config.name == CONFIG.stem
    network = _clip.network(by.model, "the config")
    with torch.no_grad():
        assert network.eval().encode_image(torch.rand(1, 3, 64, 64)).shape == (1, by.model["embed_dim"])
