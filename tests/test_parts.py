from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tdir
from tdir.errors import ConfigError
from tdir.frozen import state_hash
from tdir.heads.yolo import Yolo
from tdir.parts import named, working_restorer


def test_a_config_and_a_line_build_the_same() -> None:
    config = {
        "restorer": {"type": "aodnet", "padding": "zeros"},
        "translator": {"type": "vat-light", "side": 32},
        "head": {"type": "yolo", "model": "yolov8n.yaml"},
        "size": 96,
    }
    torch.manual_seed(4)
    built = tdir.build(config)
    torch.manual_seed(4)
    by_hand = tdir.Pipeline(
        tdir.restorer("aodnet", padding="zeros"),
        tdir.translator("vat-light", side=32),
        tdir.head("yolo", model="yolov8n.yaml"),
        size=96,
    )
    assert built.config == by_hand.config == config
    assert state_hash(built) == state_hash(by_hand)


def test_names_alone_are_enough(tmp_path: Path) -> None:
    torch.save({"model": Yolo(model="yolov8n.yaml", fold=False).model}, tmp_path / "detector.pt")
    weights = str(tmp_path / "detector.pt")
    built = tdir.build({"restorer": "identity", "head": weights})
    assert built.translator is None
    assert built.size is None
    assert built.config["head"] == {"type": "yolo", "weights": weights}
    assert tdir.build(built.config).config == built.config
    with pytest.raises(ConfigError, match="names its weights already, got weights='other.pt' too"):
        tdir.head(weights, weights="other.pt")


def test_a_name_brings_its_weights(tmp_path: Path) -> None:
    torch.save(tdir.restorer("aodnet").state_dict(), tmp_path / "dehazer.pth")
    weights = str(tmp_path / "dehazer.pth")
    by_name = tdir.restorer(f"aodnet:{weights}", padding="zeros")
    assert by_name.config == {"type": "aodnet", "weights": weights, "padding": "zeros"}
    built = tdir.build({"restorer": f"aodnet:{weights}", "head": {"type": "yolo", "model": "yolov8n.yaml"}})
    assert built.config["restorer"] == {"type": "aodnet", "weights": weights}
    with pytest.raises(ConfigError, match="'aodnet:dehazer.pth' names its weights already"):
        tdir.restorer("aodnet:dehazer.pth", weights)


@pytest.mark.parametrize(
    ("kind", "text", "config"),
    [
        ("restorer", "sci", {"type": "sci"}),
        ("restorer", "aodnet:", {"type": "aodnet"}),
        ("restorer", "aodnet:C:\\weights\\net.pth", {"type": "aodnet", "weights": "C:\\weights\\net.pth"}),
        ("head", "yolo", {"type": "yolo"}),
        ("head", "yolo:best.pt", {"type": "yolo", "weights": "best.pt"}),
        ("head", "best.pt", {"type": "yolo", "weights": "best.pt"}),
        ("head", "C:\\weights\\best.pt", {"type": "yolo", "weights": "C:\\weights\\best.pt"}),
    ],
)
def test_name_and_weights_in_one_word(kind: str, text: str, config: dict[str, str]) -> None:
    assert named(kind, text) == config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"restorer": "identity"}, "needs a head"),
        ({"head": "yolo"}, "needs a restorer"),
        ({"restorer": "identity", "heads": "yolo"}, "no part 'heads': did you mean 'head'"),
        ({"restorer": {"name": "identity"}, "head": "yolo"}, r"a restorer is a name or \{'type'"),
        ({"restorer": {"type": "aodnet", "name": "x"}, "head": "yolo"}, "no setting 'name'"),
        ({"restorer": "aodnett", "head": "yolo"}, "unknown restorer 'aodnett': did you mean 'aodnet'"),
        ({"restorer": {"type": "aodnet", "pad": 1}, "head": "yolo"}, "no setting 'pad': did you mean 'padding'"),
        ("aodnet", "built from a dict"),
    ],
)
def test_a_wrong_config_is_answered_with_the_fix(config: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tdir.build(config)


def test_a_head_s_weights_need_their_suffix() -> None:
    with pytest.raises(ConfigError, match=r"unknown head 'yolov8n': did you mean 'yolo'\? .* as in 'yolov8n\.pt'"):
        tdir.head("yolov8n")


def test_an_untrained_restorer_is_not_put_to_work(tmp_path: Path) -> None:
    for config in ("aodnet", {"type": "aodnet", "padding": "zeros"}):
        with pytest.raises(ConfigError, match="'aodnet' has no weights.*--restorer aodnet:FILE"):
            working_restorer(config)
    torch.save(tdir.restorer("aodnet").state_dict(), tmp_path / "dehazer.pth")
    assert working_restorer(f"aodnet:{tmp_path / 'dehazer.pth'}").weights_sha256
    assert working_restorer("dcp").weights_sha256 is None


def test_what_is_available() -> None:
    names = tdir.available()
    assert list(names) == ["restorer", "translator", "head", "bundle"]
    assert {"identity", "aodnet", "sci", "rave", "zerodce", "gcanet", "dcp", "module"} <= set(names["restorer"])
    assert {"vat-light", "vat-8", "vat-48"} <= set(names["translator"])
    assert "yolo" in names["head"]


def test_a_part_says_how_it_was_built() -> None:
    assert tdir.restorer("identity").config == {"type": "identity"}
    assert tdir.translator("vat-light", side=64).config == {"type": "vat-light", "side": 64}


def test_every_public_name_is_there() -> None:
    assert all(getattr(tdir, name) is not None for name in tdir.__all__)
    assert set(tdir.__all__) <= set(dir(tdir))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tdir.nothing  # noqa: B018


def test_importing_tdir_is_light() -> None:
    code = "import sys, tdir; print(*sorted({'torch', 'mmengine', 'cv2', 'ultralytics'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
