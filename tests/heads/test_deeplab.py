"""What a DeepLab head shares with segmentation-models-pytorch, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

import tdir
from tdir.errors import ConfigError, ShapeError, TdirError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.deeplab import HEADER, MEAN, STD, DeepLab
from tdir.structures import IGNORE, SemanticMap
from tests.contracts.bad_files import bad_files

NAMES = ["road", "sky", "car", "person"]
SMALL = {"model": "deeplabv3plus", "encoder": "mobilenet_v2", "names": NAMES}


@cache
def untrained(classes: tuple[str, ...] | None = None, dice: float = 0.0) -> DeepLab:
    torch.manual_seed(0)
    return DeepLab(**SMALL, classes=classes, dice=dice)


def normalised(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def scribbles(count: int, size: tuple[int, int], classes: int = 4) -> list[SemanticMap]:
    """Maps of random labels, some of them none."""
    labels = torch.randint(0, classes + 1, (count, *size))
    return [SemanticMap(one.masked_fill(one == classes, IGNORE).byte()) for one in labels]


def noisy(head: DeepLab, size: tuple[int, int], count: int = 1) -> Any:
    """Outputs of many classes: an untrained network sees one of them everywhere."""
    with torch.no_grad():
        outputs = head(torch.rand(count, 3, *size))
    outputs.logits = 2 * torch.randn_like(outputs.logits)
    return outputs


def test_a_size_of_whole_cells_is_seen_as_smp_sees_it() -> None:
    head, images = untrained(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(head(images).logits, head.network(normalised(images)))


def test_a_network_can_want_other_colours(tmp_path: Path) -> None:
    file, images = tmp_path / "net.safetensors", torch.rand(1, 3, 64, 96)
    save_file(untrained().network.state_dict(), file)
    head = tdir.head("deeplab", weights=file, **SMALL, mean=[0.5, 0, 0], std=(1, 2, 1))
    with torch.no_grad():
        wanted = head.network(
            (images - torch.tensor([0.5, 0, 0])[:, None, None]) / torch.tensor([1, 2, 1])[:, None, None]
        )
        torch.testing.assert_close(head(images).logits, wanted)
    # A bundle with the head in it knows.
    pipeline = tdir.Pipeline(tdir.restorer("identity"), tdir.translator("vat-light", side=32), head, 64)
    pipeline.save(tmp_path / "b.tdir", include_head=True)
    file.unlink()
    with torch.no_grad():
        torch.testing.assert_close(tdir.load(tmp_path / "b.tdir").head(images).logits, wanted)


@pytest.mark.parametrize("wrong", [{"mean": 0.5}, {"mean": [0, 0]}, {"std": [1, 1, 0]}, {"std": [1, 1, float("nan")]}])
def test_wrong_colours_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="mean and std are three numbers, std above 0, got"):
        DeepLab(**SMALL, **wrong)


@pytest.mark.parametrize("size", [(61, 83), (33, 64), (1, 1)])
def test_other_sizes_repeat_their_border_and_are_cropped_back(size: tuple[int, int]) -> None:
    head, images = untrained(), torch.rand(1, 3, *size)
    rows, columns = (torch.arange(-(-side // 32) * 32).clamp(max=side - 1) for side in size)
    with torch.no_grad():
        logits = head(images).logits
        whole = head.network(normalised(images[:, :, rows][..., columns]))
    assert logits.shape[-2:] == size
    torch.testing.assert_close(logits, whole[..., : size[0], : size[1]])


def test_decoding_takes_the_most_probable_class() -> None:
    outputs = noisy(untrained(), (20, 30))
    probabilities = outputs.logits[0].softmax(0)
    (found,) = untrained().decode(outputs)
    assert found.labels.dtype == torch.uint8
    assert torch.equal(found.labels.long(), probabilities.argmax(0))
    torch.testing.assert_close(found.confidence, probabilities.amax(0))
    (sure,) = untrained().decode(outputs, score=0.6)
    below = probabilities.amax(0) < 0.6
    assert below.any() and not below.all()
    assert (sure.labels[below] == IGNORE).all()
    assert torch.equal(sure.labels[~below], found.labels[~below])
    assert torch.equal(sure.confidence, found.confidence)


@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_the_loss_of_an_image_is_the_cross_entropy_of_its_labelled_pixels(size: tuple[int, int]) -> None:
    head, images, targets = untrained(), torch.rand(3, 3, *size), scribbles(3, size)
    with torch.no_grad():
        outputs = head(images)
        ours = head.loss(outputs, targets)
        theirs = [
            F.cross_entropy(logits[:, target.labels != IGNORE].T, target.labels[target.labels != IGNORE].long())
            for logits, target in zip(outputs.logits, targets, strict=True)
        ]
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-5, atol=0)


def test_the_dice_loss_is_added_by_its_weight() -> None:
    outputs = noisy(untrained(), (20, 30), count=2)
    targets = scribbles(2, (20, 30), classes=3)  # no person, whose overlap is then not asked for
    added = untrained(dice=0.5).loss(outputs, targets) - untrained().loss(outputs, targets)
    for one, target, logits in zip(added, targets, outputs.logits, strict=True):
        known = target.labels != IGNORE
        parts = []
        for k, probability in enumerate(logits.softmax(0)):
            there = (target.labels == k) & known
            overlap = 2 * probability[there].sum() / (probability[known].sum() + there.sum())
            parts.append(1 - overlap if there.any() else torch.tensor(0.0))
        torch.testing.assert_close(one, 0.5 * torch.stack(parts).mean())


def test_chosen_classes_have_their_own_labels_in_maps_and_targets() -> None:
    head, outputs = untrained(classes=("car", "road")), noisy(untrained(), (20, 30))
    best = outputs.logits[0].argmax(0)
    (found,) = head.decode(outputs)
    assert head.classes == ["car", "road"]
    for output, label in ((2, 0), (0, 1), (1, IGNORE), (3, IGNORE)):
        assert (found.labels[best == output] == label).all()
    (target,) = scribbles(1, (20, 30), classes=2)
    of_all = target.relabelled(torch.tensor([2, 0]), 3)
    torch.testing.assert_close(head.loss(outputs, [target]), untrained().loss(outputs, [of_all]))


def test_a_target_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"a target of \(20, 31\) for an image of \(20, 30\)"):
        untrained().loss(noisy(untrained(), (20, 30)), scribbles(1, (20, 31)))


@pytest.mark.parametrize("size", [(64, 96), (61, 83), (20, 33), (1, 17)])
def test_embeddings_are_the_means_of_the_cells_of_16_pixels(size: tuple[int, int]) -> None:
    head = untrained()
    with torch.no_grad():
        outputs = head(torch.rand(1, 3, *size))
        (found,) = head.decode(outputs)
        (vectors,) = head.embed(outputs, [found])
    assert len(vectors) == len(found.embedded_labels) == -(-size[0] // 16) * -(-size[1] // 16)
    features = outputs.features[0]  # one for each four pixels
    for k, vector in enumerate(vectors):
        row, column = divmod(k, -(-size[1] // 16))
        cell = features[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        torch.testing.assert_close(vector, cell.mean((1, 2)))


def test_what_was_on_a_canvas_has_the_embeddings_of_its_own_cells() -> None:
    head = untrained()
    with torch.no_grad():
        outputs = head(torch.rand(2, 3, 96, 128))
        whole = head.decode(outputs)
        sizes = [(50, 70), (96, 128)]
        found = [one.clipped(size) for one, size in zip(whole, sizes, strict=True)]
        cut, full = head.embed(outputs, found)
        uncut = head.embed(outputs, whole)
    assert [len(cut), len(full)] == [len(one.embedded_labels) for one in found] == [4 * 5, 6 * 8]
    assert torch.equal(cut.view(4, 5, -1), uncut[0].view(6, 8, -1)[:4, :5])
    assert torch.equal(full, uncut[1])


def test_what_smp_saved_opens(tmp_path: Path) -> None:
    model = smp.create_model("fpn", "mobilenet_v2", encoder_weights=None, classes=4, activation="softmax2d").eval()
    model.save_pretrained(tmp_path)
    head = tdir.head("deeplab", tmp_path / "model.safetensors", names=NAMES, classes=["sky"])
    assert head.architecture() == {"model": "FPN", "encoder": "mobilenet_v2", "names": NAMES}
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(head(images).logits.softmax(1), model(normalised(images)))
    assert state_hash(tdir.head("deeplab", tmp_path, names=NAMES, classes=["sky"])) == state_hash(head)
    with pytest.raises(ConfigError, match=r"model\.safetensors does not say its names: give head 'deeplab' model="):
        DeepLab(tmp_path / "model.safetensors")


@pytest.mark.parametrize("setting", [{"encoder_output_stride": 8}, {"decoder_atrous_rates": (6, 12, 18)}])
def test_a_network_that_smp_saved_with_other_settings_is_refused(tmp_path: Path, setting: dict[str, Any]) -> None:
    """Its tensors fit, and its predictions would not be its own."""
    smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None, classes=4, **setting).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=rf"config\.json is of a network with {next(iter(setting))}="):
        DeepLab(tmp_path / "model.safetensors", names=NAMES)


@pytest.mark.parametrize("text", ["{", "3", '{"_model_class": "Unet"}'])
def test_another_config_beside_the_file_is_named(tmp_path: Path, text: str) -> None:
    save_file(untrained().network.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json is not what SMP's save_pretrained writes"):
        DeepLab(tmp_path / "net.safetensors", names=NAMES)


@pytest.mark.parametrize("text", ["{}", '{"optim": {"steps": 3}}'])
def test_somebody_else_s_config_beside_the_file_says_nothing(tmp_path: Path, text: str) -> None:
    head = untrained()
    save_file(head.network.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match="does not say its model"):
        DeepLab(tmp_path / "net.safetensors", names=NAMES)
    assert DeepLab(tmp_path / "net.safetensors", **head.architecture()).classes == NAMES


@pytest.mark.parametrize("names", ["car", ["car", "car"], [1, 2]])
def test_names_are_a_list_of_different_ones(names: object) -> None:
    with pytest.raises(ConfigError, match=r"give names=\[a list of different names\]"):
        DeepLab(model="unet", encoder="mobilenet_v2", names=names)
    with pytest.raises(ConfigError, match="has 300 classes, and a map has 255 at most"):
        DeepLab(model="unet", encoder="mobilenet_v2", names=list(map(str, range(300))))


def saved(folder: Path, header: str | None = None) -> Path:
    path = folder / "net.safetensors"
    save_file(untrained().network.state_dict(), path, None if header is None else {HEADER: header})
    return path


def test_tdirs_own_file_says_what_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path, json.dumps(SMALL))
    head = tdir.head(f"deeplab:{path}")
    assert head.classes == NAMES
    assert head.architecture() == SMALL
    assert state_hash(head) == state_hash(untrained())
    assert head.weights_name == str(path)
    renamed = DeepLab(path, names=["a", "b", "c", "d"])
    assert renamed.classes == ["a", "b", "c", "d"]


@pytest.mark.parametrize("header", ["{", "3", "[]", "{}", '{"model": "unet", "encoder": "resnet18", "names": 3}'])
def test_a_header_of_something_else_is_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(WeightsError, match=r"the header of .*net\.safetensors does not describe a network"):
        DeepLab(saved(tmp_path, header))


@pytest.mark.parametrize("changes", [{"model": "fpn"}, {"encoder": "resnet18"}, {"names": NAMES[:3]}])
def test_weights_of_another_network_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"net\.safetensors is of another network: "):
        DeepLab(saved(tmp_path), **{**SMALL, **changes})


def test_bad_files_are_refused_where_the_network_is_known(tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved(tmp_path, json.dumps(SMALL)).read_bytes()[:-100])
    for file in [*bad_files(tmp_path), cut]:
        with pytest.raises(TdirError, match=re.escape(file.name)) as raised:
            DeepLab(file, **SMALL)
        assert isinstance(raised.value, WeightsError)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": None}, "head 'deeplab' does not say its model: give head 'deeplab' model='deeplabv3plus', encoder="),
        ({"encoder": None}, "deeplabv3plus does not say its encoder"),
        ({"names": []}, "deeplabv3plus does not say its names"),
        ({"model": "deeplabv3pls"}, "SMP has no architecture 'deeplabv3pls': did you mean 'deeplabv3plus'"),
        ({"model": "dpt"}, "SMP has no architecture 'dpt'"),
        ({"encoder": "mobilenet"}, "cannot build 'deeplabv3plus' on encoder 'mobilenet': did you mean 'mobilenet_v2'"),
        ({"encoder": "tu-nosuch"}, "cannot build 'deeplabv3plus' on encoder 'tu-nosuch'"),
        ({"encoder": 3}, "cannot build 'deeplabv3plus' on encoder 3"),
        ({"classes": ["rode"]}, "deeplabv3plus has no class 'rode': did you mean 'road'"),
        ({"dice": -1}, r"dice is a number from 0, got -1"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeepLab(**{**SMALL, **changes})


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ConfigError, match=r"needs segmentation-models-pytorch .*pip install 'tdir\[segmentation\]'"):
        DeepLab(**SMALL)
