from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tdir.data.layouts import layout_of
from tdir.data.made import RECIPES, make
from tdir.data.made_set import Made
from tdir.data.published import located
from tdir.data.voc import VOC
from tdir.errors import DataError
from tdir.evaluation import readable
from tdir.training.config import build_data

XML = (
    "<annotation><object><name>car</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    "</object></annotation>"
)


@pytest.fixture
def downloads(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """RTTS, and a VOCdevkit of two years with the VOCh that is made of it."""
    root = tmp_path / "downloads"
    places = {"RTTS": ["test"], "VOCdevkit/VOC2007": ["trainval", "test"], "VOCdevkit/VOC2012": ["trainval"]}
    seed = 0
    for place, splits in places.items():
        for folder in ("Annotations", "ImageSets/Main"):
            (root / place / folder).mkdir(parents=True)
        for split in splits:
            names = [f"{place[-4:]}_{split}_{k}" for k in range(2)]
            (root / place / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
            for name in names:
                photo(root / place / f"JPEGImages/{name}.png", seed=(seed := seed + 1))
                (root / place / f"Annotations/{name}.xml").write_text(XML)
    make(RECIPES["voch"], root / "VOCdevkit", root / "VOCh")
    return root


def test_a_set_is_found_below_the_downloads_or_at_its_own_folder(downloads, monkeypatch):
    settings = located("rtts", downloads)
    assert settings["root"] == str(downloads / "RTTS")
    assert settings == located("rtts", downloads / "RTTS")
    monkeypatch.setenv("TDIR_DATA", f"/nowhere{':'}{downloads}".replace("/nowhere", str(downloads / "VOCdevkit")))
    assert settings == located("rtts")
    data_set = build_data(settings)
    assert data_set.classes == ["bicycle", "bus", "car", "motorbike", "person"]
    assert len(data_set) == 2


def test_the_photos_of_a_made_set_are_its_clean_images(downloads):
    settings = located("voch", downloads)
    assert settings["originals"] == str(downloads / "VOCdevkit")
    data_set, _ = readable(build_data(settings))
    assert data_set.names == [f"2007_test_{k}_{draw}" for k in range(2) for draw in range(2)]
    original = VOC(downloads / "VOCdevkit/VOC2007", "test")
    for i in range(4):
        assert (data_set.clean.image(i) == original.image(i // 2)).all()
        assert (data_set.image(i) != original.image(i // 2)).any()
        assert data_set.clean.truth(i).boxes.tolist() == original.truth(i // 2).boxes.tolist()
    assert data_set.subset([2]).clean.names == ["2007_test_1_0"]
    assert [data_set.photo(i) for i in range(4)] == ["2007_test_0"] * 2 + ["2007_test_1"] * 2


def test_a_made_set_needs_no_photos_and_is_told_from_its_manifest(downloads):
    assert layout_of(str(downloads / "VOCh")) == {"type": "made", "split": "test"}
    assert Made(downloads / "VOCh", "test").clean is None
    shutil.rmtree(downloads / "VOCdevkit")
    assert "originals" not in located("voch", downloads)


def test_photos_that_are_not_there_are_named(downloads):
    (downloads / "VOCdevkit/VOC2007/JPEGImages/2007_test_1.png").unlink()
    with pytest.raises(DataError, match="2 photos that VOCh was made of are not in it, that of 2007_test_1_0 for one"):
        Made(downloads / "VOCh", "test", downloads / "VOCdevkit")
    (downloads / "VOCh/ImageSets/Main/test.txt").write_text("2007_trainval_0_0\n")
    told = json.loads((downloads / "VOCh/manifest.json").read_text())
    told["files"] = [one for one in told["files"] if "2007_trainval_0_0" not in one["path"]]
    (downloads / "VOCh/manifest.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"manifest\.json: does not know 2007_trainval_0_0"):
        Made(downloads / "VOCh", "test")
    (downloads / "VOCh/manifest.json").unlink()
    with pytest.raises(DataError, match=r"no manifest\.json in it"):
        Made(downloads / "VOCh", "test", downloads / "VOCdevkit")


@pytest.mark.parametrize(("name", "said"), [("exdark", "unpack ExDark.zip"), ("vocd", "make it: tdir prepare vocd")])
def test_a_missing_set_says_how_one_comes_by_it(downloads, name, said):
    with pytest.raises(DataError, match=f"{downloads.name}: no .* with a test split.*{said}"):
        located(name, downloads)


def test_without_a_place_to_look_at_one_is_asked_for(monkeypatch):
    monkeypatch.delenv("TDIR_DATA", raising=False)
    with pytest.raises(DataError, match="where is RTTS"):
        located("rtts")


@pytest.mark.real
@pytest.mark.parametrize(("name", "images"), [("rtts", 3), ("exdark", 5)])
def test_the_real_ones_are_found(real_data, name, images):
    assert len(build_data(located(name))) == images
