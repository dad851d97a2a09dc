from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tdir import parts
from tdir.data.degradations import Degraded, Haze, LowLight
from tdir.data.depth_haze import DepthHaze
from tdir.data.folder import Folder
from tdir.data.images import resize_longest, to_tensor, to_uint8
from tdir.data.sample import ImageSet
from tdir.data.streets import Streets
from tdir.errors import ConfigError, DataError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.restorers.base import Restorer
from tdir.selftraining.store import TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.translators.base import Translator
from tests.training.scenes import write_pictures

BOTH = ("image", "restored")


@pytest.fixture
def teacher(restorer: Restorer, head: Head, tmp_path: Path) -> Teacher:
    return Teacher(restorer, head, 48, tmp_path / "cache", score=0.3, batch_size=3)


def equal(first: TeacherStore, second: TeacherStore) -> bool:
    files = ("index.json", "pixels.u8", "predictions.safetensors")
    return all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in files)


def stamp(store: TeacherStore) -> tuple[int, int]:
    status = (store.folder / "pixels.u8").stat()
    return status.st_ino, status.st_mtime_ns


def test_images_and_their_restored_versions_are_kept(teacher, hazy):
    store = teacher.study(hazy, BOTH)
    assert store.names == hazy.names
    for i in range(len(hazy)):
        image, restored = store.pixels(i)
        assert np.array_equal(image, resize_longest(hazy[i].image, 48))
        # As in use: alone, and not on the canvas of a batch.
        with torch.no_grad():
            alone = teacher.restorer(to_tensor(image)[None])[0]
        assert np.abs(restored.astype(int) - to_uint8(alone).astype(int)).max() <= 1
    assert max(len({teacher.study(hazy, BOTH).sizes[i] for i in range(k, k + 3)}) for k in (0, 3)) > 1


def test_predictions_are_the_head_s_own_and_lie_on_the_image(teacher, hazy):
    teacher.batch_size = 1
    store = teacher.study(hazy, BOTH)
    total = 0
    for i in range(len(store)):
        height, width = store.sizes[i]
        for version, name in enumerate(BOTH):
            source = store.source(name, i)
            with torch.no_grad():
                outputs = teacher.head(to_tensor(store.pixels(i)[version])[None])
                found = teacher.head.decode(outputs, score=0.3)[0]
                embeddings = teacher.head.embed(outputs, [found])[0]
            torch.testing.assert_close(source.found.boxes, found.boxes)
            assert source.found.labels.tolist() == found.labels.tolist()
            torch.testing.assert_close(source.embeddings, embeddings.half().float())
            inside = source.found.boxes <= torch.tensor([width, height, width, height])
            assert bool(inside.all())
            total += len(found)
    assert total > 8


def test_no_prediction_is_left_on_padding_alone(teacher, hazy):
    teacher.batch_size, teacher.score = 8, 0.05
    store = teacher.study(hazy, BOTH)
    boxes = torch.cat([store.source(name, i).found.boxes for name in BOTH for i in range(len(store))])
    assert len(boxes) > 100
    assert bool((boxes[:, 2:] > boxes[:, :2]).all())


def test_a_cache_is_found_again_after_a_restart(teacher, hazy, restorer, head):
    first = teacher.study(hazy, BOTH)
    again = Teacher(restorer, head, 48, teacher.cache_dir, score=0.3).study(hazy, ("restored", "image"))
    assert again.folder == first.folder
    assert stamp(again) == stamp(first)
    assert equal(again, first)


def test_the_same_is_said_twice(teacher, hazy, restorer, head, tmp_path):
    other = Teacher(restorer, head, 48, tmp_path / "other", score=0.3, batch_size=3)
    assert equal(teacher.study(hazy, BOTH), other.study(hazy, BOTH))


def test_the_frozen_parts_stay_as_they_are(teacher, hazy):
    before = state_hash(teacher.restorer), state_hash(teacher.head)
    teacher.study(hazy, BOTH)
    assert (state_hash(teacher.restorer), state_hash(teacher.head)) == before
    assert not any(parameter.requires_grad for parameter in teacher.head.parameters())


def changed(**settings: Any) -> Any:
    def change(teacher: Teacher, data: ImageSet) -> tuple[Teacher, ImageSet, tuple[str, ...]]:
        for name, value in settings.items():
            setattr(teacher, name, value)
        return teacher, data, BOTH

    return change


def other_weights(teacher: Teacher, data: ImageSet) -> tuple[Teacher, ImageSet, tuple[str, ...]]:
    torch.manual_seed(8)
    teacher.restorer = parts.restorer("aodnet")
    return teacher, data, BOTH


def other_padding(teacher: Teacher, data: ImageSet) -> tuple[Teacher, ImageSet, tuple[str, ...]]:
    weights = teacher.restorer.weights_name
    teacher.restorer = parts.restorer("aodnet", weights=weights, padding="zeros")
    return teacher, data, BOTH


def other_classes(teacher: Teacher, data: ImageSet) -> tuple[Teacher, ImageSet, tuple[str, ...]]:
    teacher.head = parts.head(teacher.head.weights_name, classes=["disc", "box"])
    return teacher, data, BOTH


CHANGES = {
    "size": changed(size=40),
    "score": changed(score=0.31),
    "iou": changed(iou=0.5),
    "weights": other_weights,
    "padding": other_padding,
    "classes": other_classes,
    "sources": lambda teacher, data: (teacher, data, ("image",)),
    "files": lambda teacher, data: (teacher, data.subset(range(7)), BOTH),
    "degradation": lambda teacher, data: (teacher, Degraded(data.data_set, LowLight()), BOTH),
    "strength": lambda teacher, data: (teacher, Degraded(data.data_set, Haze(scale=1.1)), BOTH),
    "seed": lambda teacher, data: (teacher, Degraded(data.data_set, Haze(), seed=1), BOTH),
    "none": lambda teacher, data: (teacher, data.data_set, BOTH),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_the_answers_changes_the_key(teacher, hazy, change):
    before = teacher.key(hazy, BOTH)
    assert teacher.key(hazy, BOTH) == before
    other, data, sources = change(teacher, hazy)
    assert other.key(data, sources) != before


def test_other_pictures_of_the_same_names_and_sizes_have_another_key(teacher, tmp_path):
    for seed, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        image = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / name / "frame.bmp"), image)
    sets = [Folder(tmp_path / name) for name in "ab"]
    assert len({one.paths[0].stat().st_size for one in sets}) == 1
    assert teacher.key(sets[0], BOTH) != teacher.key(sets[1], BOTH)


def test_the_same_pictures_elsewhere_have_the_same_key(teacher, clean, tmp_path):
    shutil.copytree(clean.root, tmp_path / "moved")
    assert teacher.key(Folder(tmp_path / "moved"), BOTH) == teacher.key(clean, BOTH)


def test_scenes_without_files_are_studied_and_told_apart_by_their_size(teacher):
    scenes = Degraded(Streets("val", 3, size=(48, 80)), DepthHaze(), seed=2)
    store = teacher.study(scenes, BOTH)
    assert store.names == scenes.names
    assert np.array_equal(store.pixels(1)[0], resize_longest(scenes.image(1), 48))
    larger = Degraded(Streets("val", 3, size=(96, 160)), DepthHaze(), seed=2)
    assert teacher.key(larger, BOTH) != teacher.key(scenes, BOTH)


def test_a_subset_hears_what_the_whole_set_hears(teacher, hazy):
    teacher.batch_size = 1
    whole, some = teacher.study(hazy, BOTH), teacher.study(hazy.subset([5, 2]), BOTH)
    for i, j in ((0, 5), (1, 2)):
        assert np.array_equal(some.pixels(i), whole.pixels(j))
        assert torch.equal(some.source("restored", i).found.boxes, whole.source("restored", j).found.boxes)


def test_an_oracle_hears_of_the_image_before_its_degradation(teacher, hazy):
    teacher.batch_size = 1
    oracle = teacher.study(hazy, ("original",))
    plain = teacher.study(hazy.data_set, ("image",))
    assert oracle.sources() == ["original"]
    for i in range(len(hazy)):
        assert torch.equal(oracle.source("original", i).found.boxes, plain.source("image", i).found.boxes)
        assert np.array_equal(oracle.pixels(i)[0], resize_longest(hazy[i].image, 48))


def translator(seed: int) -> Translator:
    """One that moves the colours of an image, as a trained one does."""
    torch.manual_seed(seed)
    built = parts.translator("vat-light", side=16, dims=(4, 4, 8)).eval()
    with torch.no_grad():
        for value in built.parameters():
            value.add_(torch.randn_like(value), alpha=0.3)
    return built


def test_a_translator_s_images_are_asked_about(teacher, hazy):
    teacher.translator, teacher.batch_size = translator(0), 1
    store = teacher.study(hazy, ("translated",))
    assert store.sources() == ["translated"]
    others = teacher.study(hazy, BOTH)
    differ = 0
    for i in range(len(store)):
        image, restored = (to_tensor(version)[None] for version in store.pixels(i))
        with torch.no_grad():
            translated = to_tensor(to_uint8(teacher.translator(image, restored)[0]))
            found = teacher.head.decode(teacher.head(translated[None]), score=0.3)[0]
        torch.testing.assert_close(store.source("translated", i).found.boxes, found.boxes)
        assert np.array_equal(store.pixels(i), others.pixels(i))  # what a translator learns from stays the same
        differ += found.boxes.shape != others.source("restored", i).found.boxes.shape
    assert differ > 0


def test_another_translator_makes_another_cache_of_what_it_translates_alone(teacher, hazy):
    teacher.translator = translator(0)
    before = teacher.key(hazy, ("translated",)), teacher.key(hazy, BOTH)
    teacher.translator = translator(1)
    assert teacher.key(hazy, ("translated",)) != before[0]
    assert teacher.key(hazy, BOTH) == before[1]


def test_what_is_translated_needs_a_translator(teacher, hazy):
    with pytest.raises(ConfigError, match="translated images and has no translator: give it one"):
        teacher.study(hazy, ("translated",))


def test_an_oracle_needs_an_original(teacher, clean):
    with pytest.raises(DataError, match="an oracle needs images that tdir degrades: give"):
        teacher.study(clean, ("original",))
    assert not teacher.cache_dir.exists()


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hundred")
    write_pictures(folder, 100, sizes=[(24, 24)])
    return folder


def spoilt(source: Path, target: Path, count: int) -> Folder:
    shutil.copytree(source, target)
    for i in range(count):
        path = target / f"{10 * i:02d}.png"
        path.write_bytes(path.read_bytes()[:200])
    return Folder(target)


def test_an_unreadable_image_is_named_skipped_and_counted(teacher, hundred, tmp_path, caplog):
    teacher.size, teacher.batch_size = 24, 25
    store = teacher.study(spoilt(hundred, tmp_path / "one", 1), ("image",))
    assert len(store) == 99
    assert "00.png" not in store.names
    assert len(store.skipped) == 1
    assert str(tmp_path / "one" / "00.png") in store.skipped[0]
    assert "skipped" in caplog.text
    assert str(tmp_path / "one" / "00.png") in caplog.text
    assert TeacherStore(store.folder).skipped == store.skipped
    caplog.clear()
    caplog.set_level(logging.INFO, "tdir")
    teacher.study(Folder(tmp_path / "one"), ("image",))
    assert "teacher: 99 images in " in caplog.text
    assert ", 1 more cannot be read" in caplog.text


def test_more_than_one_in_a_hundred_is_too_many(teacher, hundred, tmp_path):
    data = spoilt(hundred, tmp_path / "two", 2)
    with pytest.raises(DataError, match=r"2 of 100 images cannot be read, more than 1 %: .*00\.png.*; .*10\.png"):
        teacher.study(data, ("image",))
    assert list(teacher.cache_dir.iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_asked(teacher, hazy, monkeypatch):
    free = shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DataError, match="lower size"):
        teacher.study(hazy, BOTH)
    assert not teacher.cache_dir.exists()


def test_both_caches_must_have_room_before_the_first_is_made(teacher, hazy, clean, monkeypatch):
    wanted = [(clean, ("image",)), (hazy, BOTH)]
    sizes = [teacher.expected_bytes(one) for one, _ in wanted]
    free = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free._replace(free=sum(sizes)))
    with pytest.raises(DataError, match="lower size"):
        teacher.study_all(wanted)
    assert not teacher.cache_dir.exists()
    teacher.study(clean, ("image",))
    assert len(teacher.study_all(wanted)[1]) == len(hazy)  # what is there needs no more room


def test_the_same_set_twice_is_studied_once(teacher, hazy):
    first, second = teacher.study_all([(hazy, BOTH), (hazy, BOTH)])
    assert first is second
    assert len(list(teacher.cache_dir.iterdir())) == 1


@pytest.mark.parametrize("name", ["index.json", "pixels.u8", "predictions.safetensors"])
def test_a_damaged_cache_is_made_anew(teacher, hazy, caplog, name):
    file = teacher.study(hazy, BOTH).folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert len(teacher.study(hazy, BOTH)) == len(hazy)
    assert "is a damaged cache" in caplog.text
    assert file.read_bytes() == whole


def test_a_half_written_cache_is_never_taken(teacher, hazy, monkeypatch):
    class Power(Exception):
        pass

    whole, asked = teacher._ask, []

    def fails(images):
        asked.append(len(images))
        if len(asked) == 4:
            raise Power
        return whole(images)

    monkeypatch.setattr(teacher, "_ask", fails)
    with pytest.raises(Power):
        teacher.study(hazy, BOTH)
    assert list(teacher.cache_dir.iterdir()) == []
    # What a process leaves that is killed, and cleans nothing up.
    (teacher.cache_dir / f"{teacher.key(hazy, BOTH)}.partial-1").mkdir()
    assert len(teacher.study(hazy, BOTH)) == len(hazy)


@pytest.mark.parametrize("sizes", [[(48, 64)], [(50, 50)], [(48, 64), (64, 48), (20, 64)]])
def test_the_size_is_estimated(teacher, tmp_path, sizes):
    write_pictures(tmp_path / "some", 6, sizes=sizes)
    teacher.size = 32
    store = teacher.study(Folder(tmp_path / "some"), BOTH)
    assert teacher.expected_bytes(Folder(tmp_path / "some")) == (store.folder / "pixels.u8").stat().st_size


def test_the_size_is_estimated_without_files_too(teacher):
    scenes = Degraded(Streets("val", 3, size=(48, 80)), DepthHaze()).subset([0, 2])
    written = (teacher.study(scenes, BOTH).folder / "pixels.u8").stat().st_size
    assert teacher.expected_bytes(scenes) == pytest.approx(written, rel=0.02)
