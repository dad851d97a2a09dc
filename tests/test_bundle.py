from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import tdir
from tdir import bundle as bundles
from tdir.bundle import Bundle
from tdir.errors import ConfigError, TdirError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.heads.yolo import Yolo
from tdir.restorers.aodnet import AODNet


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained YOLO as ultralytics saves one."""
    path = tmp_path_factory.mktemp("weights") / "detector.pt"
    torch.manual_seed(0)
    model = Yolo(model="yolov8n.yaml", names=["cat", "dog", "owl"], fold=False).model
    torch.save({"model": model}, path)
    return path


@pytest.fixture(scope="module")
def dehazer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AOD-Net with weights of our own."""
    path = tmp_path_factory.mktemp("weights") / "own-dehazer.pth"
    torch.manual_seed(1)
    torch.save(AODNet().state_dict(), path)
    return path


def shaken(translator: torch.nn.Module) -> Any:
    """A translator that does something."""
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return translator


@pytest.fixture
def pipeline(checkpoint: Path, dehazer: Path) -> tdir.Pipeline:
    return tdir.Pipeline(
        tdir.restorer("aodnet", weights=dehazer, padding="zeros"),
        shaken(tdir.translator("vat-light", side=32, dims=(8, 8, 8))),
        tdir.head(checkpoint, classes=["owl", "cat"]),
        size=64,
    )


def enhanced(pipeline: tdir.Pipeline) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    result: Tensor = pipeline.enhance(torch.rand(3, 48, 64, generator=generator))
    return result


def test_it_comes_back_bit_for_bit(pipeline: tdir.Pipeline, checkpoint: Path, tmp_path: Path) -> None:
    record = {"steps": 3, "losses": [0.5, 0.25], "data": {"degraded": "fog"}}
    pipeline.save(tmp_path / "deep" / "er" / "fog.tdir", trained=record)
    loaded = tdir.load(tmp_path / "deep" / "er" / "fog.tdir", head=checkpoint)
    assert state_hash(loaded) == state_hash(pipeline)
    assert torch.equal(enhanced(loaded), enhanced(pipeline))
    assert loaded.size == 64
    assert loaded.trained == record
    assert loaded.head.classes == ["owl", "cat"]
    assert loaded.config["restorer"] == {"type": "aodnet", "padding": "zeros"}
    assert loaded.config["translator"] == {"type": "vat-light", "side": 32, "dims": [8, 8, 8]}
    assert loaded.restorer.weights_name == "own-dehazer.pth"
    assert loaded.restorer.weights_sha256 == pipeline.restorer.weights_sha256
    assert not any(parameter.requires_grad for parameter in loaded.restorer.parameters())
    assert all(parameter.requires_grad for parameter in loaded.translator.parameters())


def test_what_was_loaded_can_be_saved_again(pipeline: tdir.Pipeline, checkpoint: Path, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "first.tdir", trained={"seed": 1})
    tdir.load(tmp_path / "first.tdir", head=checkpoint).save(tmp_path / "second.tdir")
    assert (tmp_path / "first.tdir").read_bytes() == (tmp_path / "second.tdir").read_bytes()


def test_the_head_is_found_by_the_name_recorded(
    pipeline: tdir.Pipeline, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.save(tmp_path / "fog.tdir")
    monkeypatch.setenv("TDIR_WEIGHTS", str(checkpoint.parent))
    loaded = tdir.load(tmp_path / "fog.tdir")
    assert state_hash(loaded.head) == state_hash(pipeline.head)
    assert loaded.head.classes == ["owl", "cat"]


def test_a_head_that_is_not_found_is_named_with_its_sha256(
    pipeline: tdir.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.save(tmp_path / "fog.tdir")
    monkeypatch.setenv("TDIR_WEIGHTS", "")
    with pytest.raises(WeightsError, match=r"pass head=") as caught:
        tdir.load(tmp_path / "fog.tdir")
    assert pipeline.head.weights_sha256 in str(caught.value)
    assert "detector.pt" in str(caught.value)


def test_another_file_of_the_heads_name_is_refused_unless_asked_for(
    pipeline: tdir.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.save(tmp_path / "fog.tdir")
    torch.manual_seed(9)
    other = Yolo(model="yolov8n.yaml", names=["cat", "dog", "owl"], fold=False)
    torch.save({"model": other.model}, tmp_path / "detector.pt")
    monkeypatch.setenv("TDIR_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"was made with 'detector.pt' of sha256") as caught:
        tdir.load(tmp_path / "fog.tdir")
    assert pipeline.head.weights_sha256 in str(caught.value)
    loaded = tdir.load(tmp_path / "fog.tdir", head="detector.pt")
    assert state_hash(loaded.head) != state_hash(pipeline.head)
    assert loaded.head.classes == ["owl", "cat"]


def test_a_head_as_it_is(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "fog.tdir")
    head = tdir.head("yolo", model="yolov5n.yaml")
    assert tdir.load(tmp_path / "fog.tdir", head=head).head is head


def test_the_head_can_be_inside(pipeline: tdir.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TDIR_WEIGHTS", "")
    pipeline.save(tmp_path / "whole.tdir", include_head=True)
    loaded = tdir.load(tmp_path / "whole.tdir")
    assert state_hash(loaded) == state_hash(pipeline)
    assert loaded.head.classes == ["owl", "cat"]
    assert (loaded.head.weights_name, loaded.head.weights_sha256) == ("detector.pt", pipeline.head.weights_sha256)
    image = torch.rand(3, 50, 64)
    ours, theirs = loaded.predict(image, score=0.0), pipeline.predict(image, score=0.0)
    assert torch.equal(ours.boxes, theirs.boxes)


def test_an_untrained_head_must_be_given_or_inside(tmp_path: Path) -> None:
    head = tdir.head("yolo", model="yolov8n.yaml")
    pipeline = tdir.Pipeline(tdir.restorer("identity"), None, head)
    pipeline.save(tmp_path / "plain.tdir")
    with pytest.raises(WeightsError, match="made with a head without weights, 'yolov8n.yaml': pass head="):
        tdir.load(tmp_path / "plain.tdir")
    loaded = tdir.load(tmp_path / "plain.tdir", head=head)
    assert loaded.translator is None
    pipeline.save(tmp_path / "whole.tdir", include_head=True)
    assert state_hash(tdir.load(tmp_path / "whole.tdir")) == state_hash(pipeline)


def test_no_path_of_this_machine_is_in_the_file(pipeline: tdir.Pipeline, checkpoint: Path, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "fog.tdir", include_head=False)
    content = (tmp_path / "fog.tdir").read_bytes()
    assert b"detector.pt" in content
    assert b"own-dehazer.pth" in content
    assert str(checkpoint.parent).encode() not in content
    assert os.sep.encode() + b"own-dehazer" not in content


def test_the_header_can_be_read_by_anybody(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "fog.tdir", trained={"epochs": 2})
    with safe_open(tmp_path / "fog.tdir", framework="pt") as file:
        header = json.loads(file.metadata()["tdir"])
        names = set(file.keys())
    assert header["format"] == 1
    assert header["versions"] == {"tdir": tdir.__version__, "torch": torch.__version__}
    assert header["classes"] == ["owl", "cat"]
    assert header["trained"] == {"epochs": 2}
    assert header["config"]["head"] == {"type": "yolo", "weights": "detector.pt", "classes": ["owl", "cat"]}
    assert header["weights"]["head"] == {"name": "detector.pt", "sha256": pipeline.head.weights_sha256}
    assert {name.split(".")[0] for name in names} == {"restorer", "translator"}


def test_a_failed_write_leaves_the_old_file(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "fog.tdir"
    pipeline.save(path)
    before = path.read_bytes()
    for wrong in (float("nan"), object(), {1, 2}):
        with pytest.raises(ConfigError, match="cannot be stored"):
            pipeline.save(path, trained={"value": wrong})
    (tmp_path / "folder.tdir").mkdir()
    with pytest.raises(WeightsError, match=r"folder.tdir cannot be written"):
        pipeline.save(tmp_path / "folder.tdir")
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["fog.tdir", "folder.tdir"]


def test_a_part_without_a_config_cannot_be_saved(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    bare = tdir.Pipeline(AODNet(), pipeline.translator, pipeline.head)
    with pytest.raises(ConfigError, match=r"restorer, a AODNet made without tdir.restorer\(\)"):
        bare.save(tmp_path / "bare.tdir")
    bare.restorer.config = {"type": "aodnet"}
    bare.save(tmp_path / "bare.tdir")
    assert state_hash(tdir.load(tmp_path / "bare.tdir", head=pipeline.head).restorer) == state_hash(bare.restorer)


def test_a_head_that_cannot_be_described_cannot_be_inside(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    class Own(Head):
        classes, config = ["thing"], {"type": "own"}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

    own = tdir.Pipeline(pipeline.restorer, pipeline.translator, Own())
    with pytest.raises(ConfigError, match="a Own cannot be stored inside"):
        own.save(tmp_path / "own.tdir", include_head=True)
    own.save(tmp_path / "own.tdir")
    assert tdir.load(tmp_path / "own.tdir", head=pipeline.head).head is pipeline.head


@pytest.fixture
def saved(pipeline: tdir.Pipeline, tmp_path: Path) -> Path:
    pipeline.save(tmp_path / "fog.tdir")
    return tmp_path / "fog.tdir"


def rewritten(path: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> None:
    """The bundle with other tensors (``None`` removes one) and other fields in its header."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["tdir"])
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    kept = {name: value for name, value in {**kept, **(tensors or {})}.items() if value is not None}
    save_file(kept, path, {"tdir": json.dumps({**header, **changes})})


def config_of(path: Path) -> dict[str, Any]:
    return bundles.read(path).config


def test_files_that_are_no_bundle_are_refused(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    for name, wrong in {"short": content[:-7], "head": content[:50], "text": b"hello", "empty": b""}.items():
        (tmp_path / name).write_bytes(wrong)
        with pytest.raises(WeightsError, match=rf"{name} is not a readable bundle"):
            tdir.load(tmp_path / name)
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="not a tdir bundle"):
        tdir.load(tmp_path / "foreign.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "broken", {"tdir": "{" * 10})
    with pytest.raises(WeightsError, match=r"header of bundle .*broken is damaged"):
        tdir.load(tmp_path / "broken")


@pytest.mark.parametrize("wrong", [2, None, "1"])
def test_an_unknown_format_is_refused(saved: Path, wrong: Any) -> None:
    rewritten(saved, format=wrong)
    with pytest.raises(WeightsError, match=rf"has format {wrong!r}, this version of tdir reads format 1"):
        tdir.load(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"config": {}},
        {"config": {"restorer": "aodnet", "translator": None, "head": {"type": "yolo"}}},
        {"classes": "owl"},
        {"trained": []},
        {"weights": {"restorer": {}}},
        {"weights": {"restorer": {"name": 3}, "head": {}}},
    ],
)
def test_a_header_that_lacks_something_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    rewritten(saved, **changes)
    with pytest.raises(WeightsError, match=r"the header of bundle .*fog.tdir"):
        tdir.load(saved)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"restorer.e_conv1.weight": None}, r"lacks tensor 'restorer.e_conv1.weight'"),
        ({"translator.extra": torch.zeros(1)}, r"holds 'translator.extra', which its translator does not have"),
        ({"restorer.e_conv1.bias": torch.zeros(4)}, r"'restorer.e_conv1.bias' as \(4,\), the restorer takes \(3,\)"),
        ({"other.thing": torch.zeros(1)}, "'other.thing', which belongs to none"),
    ],
)
def test_tensors_that_do_not_fit_are_named(saved: Path, tensors: dict[str, Any], said: str, checkpoint: Path) -> None:
    rewritten(saved, tensors)
    with pytest.raises(WeightsError, match=said):
        tdir.load(saved, head=checkpoint)


@pytest.mark.parametrize("name", ["os.system", "subprocess.run", "tdir.bundle.write", 3, None, ["aodnet"]])
@pytest.mark.parametrize("kind", ["restorer", "translator", "head"])
def test_a_type_that_is_not_registered_is_refused(
    saved: Path, kind: str, name: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDIR_WEIGHTS", str(checkpoint.parent))
    rewritten(saved, config={**config_of(saved), kind: {"type": name, "weights": str(checkpoint), "command": "true"}})
    with pytest.raises(TdirError, match=f"unknown {kind} "):
        tdir.load(saved)


@pytest.mark.parametrize("settings", [{"dims": "wide"}, {"dims": [8]}, {"side": None, "dims": [7, 8, 8]}, {"depth": 3}])
def test_settings_that_cannot_be_built_are_refused(saved: Path, settings: Any, checkpoint: Path) -> None:
    rewritten(saved, config={**config_of(saved), "translator": {"type": "vat-light", **settings}})
    with pytest.raises(TdirError):
        tdir.load(saved, head=checkpoint)


def test_a_bundle_opens_no_file_outside_the_search_path(
    saved: Path, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDIR_WEIGHTS", "")
    monkeypatch.chdir(tmp_path)
    for path in (str(checkpoint), "..\\up\\detector.pt", f"../{checkpoint.parent.name}/detector.pt"):
        rewritten(saved, config={**config_of(saved), "head": {"type": "yolo", "weights": path}})
        with pytest.raises(WeightsError, match="no weight file 'detector.pt'"):
            tdir.load(saved)


def test_a_bundle_is_found_by_a_short_name(
    saved: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDIR_WEIGHTS", str(saved.parent))
    monkeypatch.chdir(checkpoint.parent)
    saved.rename(tmp_path / "mist.tdir")
    assert bundles.find("mist.tdir") == bundles.find("mist") == tmp_path / "mist.tdir"
    assert tdir.load("mist", head=checkpoint).size == 64
    with pytest.raises(WeightsError, match=r"'hail.tdir'; looked at: .*bundles that come with tdir: "):
        tdir.load("hail")


def test_weights_of_a_part_are_no_bundle(checkpoint: Path) -> None:
    for name in ("yolov8n.pt", str(checkpoint)):
        with pytest.raises(
            WeightsError, match=r"no.* bundle.*: .*a bundle ends in \.tdir; give a .* as head \(--head\)"
        ):
            tdir.load(name)


def test_shipped_bundles_are_those_in_the_package() -> None:
    folder = Path(tdir.__file__).parent / "assets"
    assert bundles.shipped() == sorted(path.stem for path in folder.glob("*.tdir"))
    assert tdir.available()["bundle"] == bundles.shipped()


def test_a_translator_can_start_from_a_bundle(saved: Path, pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    settings = {"side": 32, "dims": (8, 8, 8)}
    started = tdir.translator("vat-light", weights=saved, **settings)
    assert state_hash(started) == state_hash(pipeline.translator)
    assert started.config["weights"] == str(saved)
    torch.save(pipeline.translator.state_dict(), tmp_path / "translator.pt")
    assert state_hash(tdir.translator("vat-light", tmp_path / "translator.pt", **settings)) == state_hash(started)
    with pytest.raises(WeightsError, match=r"fog.tdir holds 'translator\."):
        tdir.translator("vat-light", weights=saved)


def test_a_bundle_without_tensors_is_whole(tmp_path: Path) -> None:
    config = {"restorer": {"type": "identity"}, "translator": None, "head": {"type": "yolo"}, "size": None}
    nothing: dict[str, str | None] = {"name": None, "sha256": None}
    bundles.write(tmp_path / "none.tdir", Bundle(config, [], {"restorer": nothing, "head": nothing}))
    read = bundles.read(tmp_path / "none.tdir")
    assert read.tensors == {}
    assert read.config == config
    assert read.versions == {"torch": torch.__version__}
