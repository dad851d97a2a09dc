from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

import tdir
from tdir.data.images import to_tensor
from tdir.errors import ConfigError, ShapeError, WeightsError
from tdir.frozen import state_hash
from tdir.heads import _clip
from tdir.heads.clip import CLIP, ClassOutputs
from tdir.structures import ClassScores

NAMES = ["cat", "dog", "owl", "fox"]
TEMPLATES = ["a photo of a {}.", "a drawing of the {}."]
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": TEXT,
}
RESNET: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
    "text_cfg": TEXT,
}
MODELS = {
    "vit": VIT,
    "resnet": RESNET,
    "quickgelu": {**VIT, "quick_gelu": True},
    "custom": {**VIT, "custom_text": True},
}


def network(config: dict[str, Any]) -> Any:
    """A network with weights that make its classes differ, as a training would leave it."""
    torch.manual_seed(3)
    made = _clip.network(config, "the test")
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.05 * torch.randn_like(value))
        made.logit_scale.fill_(3.0)
    return made.eval()


@pytest.fixture(params=MODELS)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODELS[request.param]


def saved(config: dict[str, Any], folder: Path, **header: Any) -> Path:
    path = folder / "net.safetensors"
    described = {_clip.HEADER: json.dumps(header)} if header else None
    save_file({name: value.contiguous() for name, value in network(config).state_dict().items()}, path, described)
    return path


@pytest.fixture
def head(config: dict[str, Any], tmp_path: Path) -> CLIP:
    return CLIP(saved(config, tmp_path), config, NAMES, TEMPLATES)


def test_logits_are_the_librarys_own(head: CLIP, config: dict[str, Any]) -> None:
    model, images = network(config), torch.rand(3, 3, 32, 32)
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=16)
    with torch.no_grad():
        of_templates = [
            model.encode_text(tokenizer([t.format(name) for name in NAMES]), normalize=True) for t in TEMPLATES
        ]
        texts = F.normalize(torch.stack(of_templates).mean(0), dim=1)
        size = config["vision_cfg"]["image_size"]
        fitted = images if size == 32 else F.interpolate(images, (size, size), mode="bicubic", antialias=True)
        mean, std = (torch.tensor(values)[:, None, None] for values in (open_clip.OPENAI_DATASET_MEAN,
                                                                        open_clip.OPENAI_DATASET_STD))  # fmt: skip
        seen = model.encode_image((fitted.clamp(0, 1) - mean) / std, normalize=True)
        theirs = model.logit_scale.exp() * seen @ texts.T
    outputs = head(images)
    torch.testing.assert_close(outputs.logits, theirs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outputs.features, seen, rtol=1e-4, atol=1e-5)
    assert theirs.std() > 0.1
    assert head.classes == NAMES
    assert head.task == "classification"
    assert not head.pads


@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(61, 83), (83, 61), (64, 64), (20, 31), (32, 32), (33, 200)])
def test_images_are_fitted_as_open_clip_fits_them(size: tuple[int, int], interpolation: str, mode: str) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(levels).resize(size[::-1], Image.Resampling.BICUBIC)
    own = PreprocessCfg(size=32, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation=interpolation, resize_mode=mode)
    theirs = image_transform_v2(own, is_train=False)(image)
    prepare = _clip.Preprocessing((32, 32), (0.5,) * 3, (0.5,) * 3, interpolation, mode)
    ours = prepare.fitted(to_tensor(np.asarray(image))[None])[0]
    # Theirs rounds to whole levels, after each of the two directions.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2 / 255)


def test_one_side_may_be_longer_than_the_other() -> None:
    prepare = _clip.Preprocessing((20, 40), (0.5,) * 3, (0.5,) * 3, "bicubic", "shortest")
    ramp = torch.linspace(0, 1, 40).expand(1, 3, 40, 40)
    torch.testing.assert_close(prepare.fitted(ramp), ramp[..., 10:30, :])
    assert prepare.fitted(torch.rand(2, 3, 7, 100)).shape == (2, 3, 20, 40)


def test_it_is_differentiable_at_any_size(head: CLIP) -> None:
    images = torch.rand(2, 3, 40, 57, requires_grad=True)
    target = ClassScores.of(1, 4)
    losses = head.loss(head(images), [target, None])
    assert losses.shape == (2,)
    losses.sum().backward()
    assert images.grad is not None
    assert images.grad[0].abs().sum() > 0
    assert not images.grad[1].any()
    assert not any(value.requires_grad for value in head.parameters())


def test_the_loss_of_an_image_is_its_cross_entropy() -> None:
    head = CLIP(model=VIT, names=NAMES)
    outputs = head(torch.rand(4, 3, 32, 32))
    unlabelled = ClassScores(torch.zeros(4))
    losses = head.loss(outputs, [ClassScores.of(2, 4), None, unlabelled, ClassScores(torch.tensor([0.1, 0.2, 0, 0.7]))])
    own = F.cross_entropy(outputs.logits[[0, 3]], torch.tensor([2, 3]), reduction="none")
    torch.testing.assert_close(losses, torch.stack([own[0], own[0] * 0, own[0] * 0, own[1]]))
    with pytest.raises(ShapeError, match="4 images but 1 targets"):
        head.loss(outputs, [None])
    with pytest.raises(ShapeError, match="a target of 3 classes for a head of 4"):
        head.loss(outputs[:1], [ClassScores.of(0, 3)])


def test_class_255_is_a_class_like_any_other() -> None:
    head = CLIP(model=VIT, names=[f"kind {k}" for k in range(300)])
    outputs = head(torch.rand(1, 3, 32, 32))
    own = F.cross_entropy(outputs.logits, torch.tensor([255]), reduction="none")
    torch.testing.assert_close(head.loss(outputs, [ClassScores.of(255, 300)]), own)


def test_what_is_below_the_score_has_no_label() -> None:
    head = CLIP(model=VIT, names=NAMES)
    outputs = ClassOutputs(torch.tensor([[9.0, 0, 0, 0], [0.2, 0, 0, 0]]), torch.rand(2, 24))
    for score, labels in ((0.0, [0, 0]), (0.5, [0, -1]), (1.0, [-1, -1])):
        found = head.decode(outputs, score=score)
        assert [one.label for one in found] == labels
    sure, unsure = head.decode(outputs, score=0.5)
    torch.testing.assert_close(sure.scores, outputs.logits[0].softmax(0))
    assert not unsure.scores.any()
    assert head.merge(unsure, sure) is head.merge(sure, unsure) is sure


def test_outputs_can_be_sliced_and_embedded(head: CLIP) -> None:
    outputs = head(torch.rand(3, 3, 32, 32))
    part = outputs[torch.tensor([2, 0])]
    assert (len(outputs), len(part), len(outputs[1:])) == (3, 2, 2)
    assert torch.equal(part.logits, outputs.logits[[2, 0]])
    vectors = head.embed(part, head.decode(part))
    assert [tuple(one.shape) for one in vectors] == [(1, 24), (1, 24)]
    assert torch.equal(vectors[0][0], outputs.features[2])


def test_chosen_classes_are_all_that_an_image_may_be(config: dict[str, Any], tmp_path: Path) -> None:
    path, images = saved(config, tmp_path), torch.rand(2, 3, 32, 32)
    full, two = (CLIP(path, config, NAMES, classes=classes) for classes in (None, ["fox", "cat"]))
    assert two.classes == ["fox", "cat"]
    torch.testing.assert_close(two(images).logits, full(images).logits[:, [3, 0]])
    torch.testing.assert_close(two.decode(two(images))[0].scores.sum(), torch.tensor(1.0))
    with pytest.raises(ConfigError, match="has no class 'dgo': did you mean 'dog'"):
        CLIP(path, config, NAMES, classes=["dgo"])


def test_the_header_says_all_and_settings_go_before_it(tmp_path: Path) -> None:
    own = {"mean": [0.5] * 3, "std": [0.25] * 3}
    path = saved(RESNET, tmp_path, model_cfg=RESNET, preprocess_cfg=own, names=NAMES, templates=TEMPLATES)
    head = tdir.head(f"clip:{path}")
    assert head.architecture() == {
        "model": {"model_cfg": RESNET, "preprocess_cfg": {**_clip.PREPROCESS, **own}},
        "names": NAMES,
        "templates": TEMPLATES,
    }
    assert head.weights_name == str(path)
    assert head._mean.flatten().tolist() == [0.5] * 3
    assert tdir.head("clip", path, names=["a", "b"], templates=["{}"]).architecture()["templates"] == ["{}"]
    again = CLIP(**head.architecture())
    again.load_state_dict(head.state_dict())
    images = torch.rand(1, 3, 40, 40)
    assert torch.equal(again(images).logits, head(images).logits)
    assert state_hash(again) == state_hash(head)


def test_a_config_beside_the_file_or_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = saved(VIT, tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(VIT))
    by_file = CLIP(path, str(tmp_path / "mine.json"), NAMES)
    hub = {"model_cfg": VIT, "preprocess_cfg": {"size": 32, "resize_mode": "squash", "mean": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(hub))
    beside = CLIP(path, names=NAMES)
    assert state_hash(by_file) == state_hash(beside)
    assert beside._prepare.resize_mode == "squash"
    assert beside._prepare.mean == [0.5] * 3
    (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"open_clip_config\.json says of its network cannot be read"):
        CLIP(path, names=NAMES)


def test_a_name_brings_what_its_networks_want_of_images() -> None:
    quick = _clip.described(None, "ViT-B-32-quickgelu")
    assert quick["model_cfg"]["quick_gelu"]
    assert quick["preprocess_cfg"]["mean"] == pytest.approx(open_clip.OPENAI_DATASET_MEAN)
    assert _clip.described(None, "MobileCLIP-S1")["preprocess_cfg"]["std"] == (1.0, 1.0, 1.0)
    # Some of this one's were trained on other images than others.
    assert _clip.described(None, "ViT-L-14")["preprocess_cfg"] == _clip.PREPROCESS


@pytest.fixture
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("a download")

    monkeypatch.setattr("socket.socket.connect", fail)
    monkeypatch.setattr("open_clip.factory.download_pretrained", fail)


@pytest.mark.usefixtures("no_downloads")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"weights": "laion2b_s34b_b79k", "model": "ViT-B-32"},
            r"is a tag that open_clip would download.*fetch open_clip_model\.safetensors of "
            r"https://huggingface\.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K and give its path as weights=",
        ),
        ({"weights": "openai", "model": "ViT-B-32-quickgelu"}, "huggingface.co/timm/vit_base_patch32_clip_224.openai"),
        ({"model": "ViT-B-33"}, "open_clip has no model 'ViT-B-33': did you mean"),
        ({"model": "hf-hub:someone/something"}, "open_clip has no model 'hf-hub:someone/something'"),
        ({"model": "nothing.json"}, r"the config of a CLIP cannot be read from nothing\.json"),
        ({"model": {**VIT, "text_cfg": {"hf_model_name": "roberta-base"}}}, "hf_model_name 'roberta-base', which tdir"),
        ({"model": {**VIT, "text_cfg": {**TEXT, "hf_tokenizer_name": "x"}}}, "hf_tokenizer_name 'x', which tdir"),
        ({"model": {**VIT, "vision_cfg": {"timm_model_name": "hf-hub:a/b"}}}, "a network of a hub, which tdir cannot"),
        ({"model": {**VIT, "multimodal_cfg": {}}}, "a decoder of texts"),
        (
            {"model": {**VIT, "text_cfg": {**TEXT, "vocab_size": 99}}},
            "vocab_size is a whole number from 49408",
        ),
        ({"model": {**VIT, "vision_cfg": {"depth": 3}}}, "open_clip cannot build the network of an own CLIP: .*depth"),
        ({"model": {**VIT, "text_cfg": {**TEXT, "heads": 3}}}, "open_clip cannot build the network"),
        ({"model": {"model_cfg": VIT, "preprocess_cfg": {"resize_mode": "longest"}}}, "resize_mode='shortest' or"),
        ({"model": {"model_cfg": VIT, "preprocess_cfg": {"std": [1, 0, 1]}}}, "std above 0"),
        ({"model": {"model_cfg": []}}, r"model_cfg of a CLIP is a table, got \[\]"),
        ({}, "does not say what network it is: give model='ViT-B-32'"),
        ({"names": None}, "does not say what its classes are"),
        ({"names": "cat"}, "does not say what its classes are"),
        ({"names": ["cat", "cat"]}, "a list of different names"),
        ({"templates": "a photo of a {}."}, "templates is a list of texts"),
        ({"templates": []}, "templates is a list of texts"),
        ({"templates": ["a photo"]}, "templates is a list of texts"),
        ({"templates": ["{} {}"]}, "templates is a list of texts"),
        ({"templates": ["{0.__class__}"]}, "templates is a list of texts"),
    ],
)
def test_what_cannot_be_is_named_and_nothing_is_downloaded(settings: dict[str, Any], message: str) -> None:
    usual = {} if settings.keys() & {"model"} or not settings else {"model": VIT}
    with pytest.raises(ConfigError, match=message):
        CLIP(**{"names": NAMES, **usual, **settings})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": 5}, "does not say what its classes are"),
        ({"names": [1, 2]}, "does not say what its classes are"),
        ({"templates": 5}, "templates is a list of texts"),
        ({"preprocess_cfg": {"mean": "abc"}}, "mean and std are three numbers"),
        ({"preprocess_cfg": 5}, "preprocess_cfg of a CLIP is a table, got 5"),
        ({"model_cfg": {**VIT, "text_cfg": 5}}, "text_cfg of a CLIP is a table"),
        ({"model_cfg": {**VIT, "text_cfg": {**TEXT, "vocab_size": "x"}}}, "text_cfg.vocab_size is a whole number"),
        ({"model_cfg": {**VIT, "text_cfg": {**TEXT, "context_length": -3}}}, "open_clip cannot build"),
        ({"model_cfg": {**VIT, "text_cfg": {**TEXT, "tokenizer_kwargs": {"clean": "x"}}}}, "tokenizer does not take"),
        ({"model_cfg": {**VIT, "text_cfg": {**TEXT, "tokenizer_kwargs": 5}}}, "tokenizer_kwargs of a CLIP is a table"),
        ({"model_cfg": {}}, "open_clip cannot build the network"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = saved(VIT, tmp_path, **{"model_cfg": VIT, "names": NAMES, **changes})
    with pytest.raises((ConfigError, WeightsError), match=message):
        CLIP(path)


@pytest.mark.usefixtures("no_downloads")
def test_a_name_that_is_no_tag_is_a_missing_file() -> None:
    with pytest.raises(WeightsError, match="no weight file 'laion'"):
        CLIP("laion", "ViT-B-32", NAMES)


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.safetensors is of another network: .*\n.*visual"):
        CLIP(saved(VIT, tmp_path), RESNET, NAMES)


def test_tensors_older_than_networks_with_a_text_tower_of_their_own_are_read(tmp_path: Path) -> None:
    both = [CLIP(saved(VIT, tmp_path), {**VIT, "custom_text": own}, NAMES) for own in (False, True)]
    assert state_hash(both[0]) == state_hash(both[1])


def test_the_text_tower_is_left_behind(head: CLIP) -> None:
    assert {name.split(".")[0] for name in head.state_dict()} == {"visual", "_texts", "_scale"}
    assert head._texts.shape == (4, 24)


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ConfigError, match=r"head 'clip' needs open_clip_torch .*pip install 'tdir\[clip\]'"):
        CLIP(model=VIT, names=NAMES)
