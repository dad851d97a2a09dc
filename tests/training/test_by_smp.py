from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from tdir.data.camvid import CLASSES, CamVid
from tdir.data.folder import Folder
from tdir.errors import ConfigError, DataError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.deeplab import HEADER, DeepLab, network
from tdir.structures import IGNORE
from tdir.training.by_smp import SMPTraining, _example
from tdir.training.head import HeadConfig, train_head
from tdir.training.optim import OptimSettings
from tdir.weights import sha256

CPU = torch.device("cpu")


def small(steps: int = 3, **changes: object) -> SMPTraining:
    optim = OptimSettings(steps=steps, batch_size=2, warmup=0, lr=1e-3, ema=0.0)
    return SMPTraining(**{"encoder": "mobilenet_v2", "crop": (32, 64), "optim": optim, **changes})


def blocks(seed: int, size: tuple[int, int] = (48, 72), side: int = 12) -> np.ndarray:
    """``size`` uint8: squares of one label each."""
    labels = np.random.default_rng(seed).integers(0, 11, (size[0] // side, size[1] // side), dtype=np.uint8)
    return labels.repeat(side, 0).repeat(side, 1)


def shades(labels: np.ndarray) -> np.ndarray:
    """An image that shows every label in a grey of its own."""
    return np.stack([20 + 20 * labels] * 3, 2)


@pytest.fixture
def camvid(tmp_path: Path) -> CamVid:
    for folder in ("train", "trainannot"):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
    for seed in range(3):
        labels = blocks(seed)
        assert cv2.imwrite(str(tmp_path / f"camvid/trainannot/{seed}.png"), labels)
        assert cv2.imwrite(str(tmp_path / f"camvid/train/{seed}.png"), shades(labels))
    return CamVid(tmp_path / "camvid", "train")


@pytest.mark.parametrize("model", ["deeplabv3plus", "unet"])
def test_it_trains_a_network_that_a_head_opens(camvid: CamVid, tmp_path: Path, model: str) -> None:
    by, file = small(model=model), tmp_path / "tiny.safetensors"
    by.train({"train": camvid}, 72, 0, file, CPU)
    head = by.head(file, camvid.classes)
    assert isinstance(head, DeepLab)
    assert head.classes == list(CLASSES)
    assert head.architecture() == {"model": model, "encoder": "mobilenet_v2", "names": list(CLASSES)}
    with torch.no_grad():
        (found,) = head.decode(head(torch.rand(1, 3, 48, 72)))
    assert found.labels.shape == (48, 72)
    # The file may be given away: it holds no folder of this machine.
    assert str(tmp_path).encode() not in file.read_bytes()
    with safe_open(file, "pt") as tensors:
        assert set(json.loads(tensors.metadata()[HEADER])) == {"model", "encoder", "names"}


def test_the_same_seed_trains_the_same_network(camvid: CamVid, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in ("first", "again", "other", "start")]
    for file, seed, steps in zip(files, (0, 0, 1, 0), (2, 2, 2, 1), strict=True):
        small(steps).train({"train": camvid}, 72, seed, file, CPU)
    hashes = [state_hash(DeepLab(file)) for file in files]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_an_encoder_can_start_with_weights_of_its_own(camvid: CamVid, tmp_path: Path) -> None:
    described = {"model": "unet", "encoder": "mobilenet_v2", "names": list(CLASSES)}
    torch.manual_seed(7)
    given = network(described, "a test").get_submodule("encoder").state_dict()
    # As torchvision's files: with a classifier, which an encoder is without.
    torch.save(
        {**given, "classifier.1.weight": torch.zeros(10, 1280), "classifier.1.bias": torch.zeros(10)},
        tmp_path / "start.pth",
    )
    by, file = small(1, encoder_weights=str(tmp_path / "start.pth")), tmp_path / "tiny.safetensors"
    by.optim.lr = 1e-9
    by.train({"train": camvid}, 72, 0, file, CPU)
    trained = DeepLab(file).network.encoder.state_dict()
    first = next(iter(given))
    torch.testing.assert_close(trained[first], given[first], rtol=1e-3, atol=1e-6)
    with pytest.raises(WeightsError, match=r"by\.encoder_weights: .*start\.pth is not of 'resnet18'"):
        small(encoder="resnet18", encoder_weights=by.encoder_weights).train({"train": camvid}, 72, 0, file, CPU)
    with pytest.raises(WeightsError, match="no weight file 'nowhere.pth'"):
        small(encoder_weights="nowhere.pth").train({"train": camvid}, 72, 0, file, CPU)


def test_the_record_tells_what_it_began_with(camvid: CamVid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tools/train_head.py", str(tmp_path / "tiny.py")])
    start = tmp_path / "start.pth"
    described = {"model": "unet", "encoder": "mobilenet_v2", "names": list(CLASSES)}
    torch.save(network(described, "a test").get_submodule("encoder").state_dict(), start)
    data = {"type": "camvid", "root": str(camvid.root), "split": "train"}
    for weights in (None, str(start)):
        config = HeadConfig(small(1, encoder_weights=weights), data, data, size=72, name="tiny")
        record = json.loads(train_head(config, tmp_path).with_suffix(".json").read_text())
        assert record["began_with"] == ({"encoder_weights": sha256(start)} if weights else {})
        assert record["seconds"] >= 0
        assert record["command"] == "tools/train_head.py tiny.py"
        assert str(tmp_path) not in json.dumps(record)


def test_image_and_labels_move_together() -> None:
    """Inside of every square the image has the grey of its label, whatever was drawn."""
    by, seen = small(), []
    for seed in range(60):
        labels = blocks(seed)
        image, moved = by._varied(shades(labels), labels, np.random.default_rng(seed))
        assert image.shape == (32, 64, 3) and image.dtype == np.float32
        assert moved.shape == (32, 64) and moved.dtype == np.uint8
        assert 0 <= image.min() <= image.max() <= 1
        seen.append(moved)
        reach = np.ones((7, 7), np.uint8)
        inside = (cv2.erode(moved, reach) == cv2.dilate(moved, reach)) & (moved != IGNORE)
        inside[[0, -1]] = inside[:, [0, -1]] = False  # another square may begin right behind the border
        greys = {label: image[inside & (moved == label)] for label in np.unique(moved[inside])}
        for values in greys.values():
            np.testing.assert_allclose(values, values.flat[0], rtol=0, atol=1e-5)
        means = np.array([greys[label].mean() for label in sorted(greys)])
        assert (np.diff(means)[means[1:] < 1] > 0).all()
    everywhere = np.stack(seen)
    assert set(np.unique(everywhere)) == {*range(11), IGNORE}
    # Beside a small image nothing has a label.
    assert (everywhere == IGNORE).any(0)[-1, -1] and not (everywhere == IGNORE).all(0).any()


def test_labels_are_not_shifted_against_the_image() -> None:
    """Over many scales the border between two labels is on average where it is in the image, to a tenth of a pixel."""
    by, shifts = small(crop=(128, 64)), []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        labels = np.zeros((64, 16), dtype=np.uint8)
        labels[int(rng.integers(20, 44)) :] = 1
        image, moved = by._varied(shades(10 * labels), labels, rng)
        column = int((moved != IGNORE).any(0).argmax())
        image, moved = (one[moved[:, column] != IGNORE, column] for one in (image[..., 0], moved))
        level = (image - image.min()) / (image.max() - image.min())
        shifts.append(float((level - moved).sum()))
    assert abs(np.mean(shifts)) < 0.1
    assert np.abs(shifts).max() < 1


def test_both_mirrored_and_plain_images_are_seen() -> None:
    by = small(scale=1.0)
    labels = np.zeros((64, 128), dtype=np.uint8)
    labels[:, 64:] = 1
    mirrored = []
    for seed in range(40):
        image, moved = by._varied(shades(10 * labels), labels, np.random.default_rng(seed))
        if (moved[0] == 0).any() and (moved[0] == 1).any():
            known = moved[0] != IGNORE
            mirrored.append(bool(moved[0][known][0] == 1))
            assert (image[0, known, 0][0] > image[0, known, 0][-1]) == mirrored[-1]
    assert {True, False} == set(mirrored)


def test_an_example_is_at_the_size_of_the_training(camvid: CamVid) -> None:
    image, labels = _example(camvid, 1, 36)
    assert image.shape == (24, 36, 3)
    assert np.array_equal(labels, blocks(1)[::2, ::2])


def test_a_set_without_maps_is_refused(camvid: CamVid, tmp_path: Path) -> None:
    plain = Folder(camvid.root / "train")
    plain.classes = ["road"]
    with pytest.raises(
        DataError, match=r"0\.png has no map of labels, and a segmentation network is trained with them"
    ):
        small().train({"train": plain}, 72, 0, tmp_path / "none.safetensors", CPU)
    assert not (tmp_path / "none.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crop": (32, 40)}, r"by\.crop is \(height, width\), each a multiple of 32, got \(32, 40\)"),
        ({"crop": (0, 32)}, r"by\.crop is \(height, width\)"),
        ({"crop": (32.0, 32)}, r"by\.crop is \(height, width\)"),
        ({"crop": (32, 32, 32)}, r"by\.crop is \(height, width\)"),
        ({"scale": 0.9}, r"by\.scale is a number from 1, got 0\.9"),
        ({"optim": OptimSettings(steps=None, epochs=1)}, "is one of optim.steps"),
        ({"optim": OptimSettings(precision="fp16")}, "precision='fp16'"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        small(**changes)


def test_an_unknown_network_is_answered_with_the_nearest(camvid: CamVid, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no architecture 'unett': did you mean 'unet'"):
        small(model="unett").train({"train": camvid}, 72, 0, tmp_path / "none.safetensors", CPU)
