"""The teacher: everything in Algorithm 1 that does not depend on the translator, computed once for a data set."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from tdir.data.degradations import Degraded
from tdir.data.images import PAD_VALUE, by_shape, pad_batch, resize_longest, to_tensor, to_uint8
from tdir.data.sample import ImageSet, check_skipped
from tdir.errors import ConfigError, DataError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.restorers.base import Restorer
from tdir.selftraining.store import (
    Source,
    TeacherStore,
    TeacherWriter,
    check_free,
    content_key,
    how_built,
    how_degraded,
)
from tdir.translators.base import Translator

_LOOKED_AT = 100  # images whose size is looked up for an estimate
log = logging.getLogger("tdir")


class Teacher:
    """The frozen restorer and head, asked once about every image.

    Args:
        restorer: gives the restored version of every image.
        head: predicts on the versions.
        size: the longest side of the training images, pixels.
        cache_dir: where caches are kept and found again.
        score: the least confidence of a prediction that is kept, in [0, 1].
        iou: overlap for NMS.
        batch_size: images at a time.
        device: where the frozen parts run.
        translator: gives the translated version, where one is asked for.
    """

    def __init__(
        self,
        restorer: Restorer,
        head: Head,
        size: int,
        cache_dir: Path,
        score: float = 0.25,
        iou: float = 0.7,
        batch_size: int = 8,
        device: torch.device | str = "cpu",
        translator: Translator | None = None,
    ):
        self.restorer, self.head, self.size, self.cache_dir = restorer, head, size, Path(cache_dir)
        self.score, self.iou, self.batch_size, self.device = score, iou, batch_size, device
        self.translator = None if translator is None else translator.eval()

    def key(self, data_set: ImageSet, sources: tuple[str, ...]) -> str:
        """The name of the cache of a data set: weights, settings and files."""
        files = [(name, *data_set.fingerprint(i)) for i, name in enumerate(data_set.names)]
        frozen = [
            state_hash(self.restorer),
            state_hash(self.head),
            how_built(self.restorer),
            how_built(self.head),
            self.head.classes,
        ]
        if "translated" in sources:
            frozen += [state_hash(self._given_translator), how_built(self._given_translator)]
        settings = [self.size, self.score, self.iou, sorted(sources), how_degraded(data_set)]
        return content_key({"files": files, "frozen": frozen, "settings": settings, "format": 4})

    def expected_bytes(self, data_set: ImageSet, sources: Sequence[str] = ()) -> int:
        """The estimated size of the cache of a set, bytes, from the sizes of some of its images.

        Args:
            data_set: the images.
            sources: the versions to predict on: maps of them count, boxes and classes are next to nothing.
        """
        sides = []
        for i in np.unique(np.linspace(0, len(data_set) - 1, _LOOKED_AT, dtype=int)).tolist():
            with suppress(DataError):  # found and counted when the images themselves are read
                sides.append(data_set.image_size(i))
        scaled = [(height * width / max(height, width) ** 2) for height, width in sides] or [1.0]
        pixels = len(data_set) * self.size**2 * sum(scaled) / len(scaled)
        return round(pixels * (2 * 3 + len(sources) * self._bytes_of_a_map))

    @cached_property
    def _bytes_of_a_map(self) -> float:
        """What is kept of a prediction for each pixel: its label, confidence and share of an embedding."""
        if self.head.task != "segmentation":
            return 0.0
        with torch.no_grad():
            outputs = self.head(torch.full((1, 3, self.size, self.size), PAD_VALUE, device=self.device))
            (said,) = self.head.embed(outputs, self.head.decode(outputs))
        return 2 + 2 * said.numel() / self.size**2

    def study(self, data_set: ImageSet, sources: tuple[str, ...]) -> TeacherStore:
        """The cache of a data set, found on disk or made.

        Args:
            data_set: the images; a truth it may hold is not looked at.
            sources: the versions to predict on: "image", "restored", "translated", and for an oracle "original", the
                image before the degradation was made.

        Raises:
            DataError: if more than 1 % of the images cannot be read, the disk is too full, or there are no originals.
        """
        return self.study_all([(data_set, sources)])[0]

    def study_all(self, wanted: Sequence[tuple[ImageSet, tuple[str, ...]]]) -> list[TeacherStore]:
        """As :meth:`study` of each; before the first is made there has to be room for all of them."""
        for data_set, sources in wanted:
            if "original" in sources and not isinstance(data_set, Degraded):
                raise DataError("an oracle needs images that tdir degrades: give the degraded set a 'degradation'")
        folders = [self.cache_dir / self.key(*one) for one in wanted]
        stores = {folder: store for folder in folders if (store := _found(folder)) is not None}
        missing = {folder: one for folder, one in zip(folders, wanted) if folder not in stores}
        check_free(self.cache_dir, sum(self.expected_bytes(*one) for one in missing.values()))
        stores |= {folder: self._made(folder, *one) for folder, one in missing.items()}
        for store in stores.values():
            left_out = f", {len(store.skipped)} more cannot be read" if store.skipped else ""
            log.info("teacher: %d images in %s%s", len(store), store.folder, left_out)
        return [stores[folder] for folder in folders]

    def _made(self, folder: Path, data_set: ImageSet, sources: tuple[str, ...]) -> TeacherStore:
        log.info(
            "teacher: asking about %d images, about %.2f GB",
            len(data_set),
            self.expected_bytes(data_set, sources) / 1e9,
        )
        skipped: list[str] = []
        with (
            TeacherWriter(folder) as writer,
            tqdm(total=len(data_set), desc="teacher", unit="image", disable=None) as bar,
        ):
            for names, versions in self._batches(data_set, sources, skipped):
                self._add(writer, names, versions, sources)
                bar.update(len(names))
            return writer.finish(skipped)

    def _batches(
        self, data_set: ImageSet, sources: tuple[str, ...], skipped: list[str]
    ) -> Iterator[tuple[list[str], dict[str, list[np.ndarray]]]]:
        names: list[str] = []
        versions: dict[str, list[np.ndarray]] = {"image": [], "original": []}
        for i in range(len(data_set)):
            try:
                image = data_set.image(i)
                if "original" in sources:
                    versions["original"].append(resize_longest(_original(data_set, i), self.size))
            except DataError as error:
                skipped.append(str(error))
                log.warning("skipped: %s", error)
                check_skipped(skipped, len(data_set))
                continue
            names.append(data_set.names[i])
            versions["image"].append(resize_longest(image, self.size))
            if len(names) == self.batch_size:
                yield names, versions
                names, versions = [], {"image": [], "original": []}
        if names:
            yield names, versions

    @torch.no_grad()
    def _add(
        self, writer: TeacherWriter, names: list[str], versions: dict[str, list[np.ndarray]], sources: tuple[str, ...]
    ) -> None:
        versions = {**versions, "restored": self._made_of(self.restorer, versions["image"])}
        if "translated" in sources:
            versions["translated"] = self._made_of(self._given_translator, versions["image"], versions["restored"])
        said = {source: self._ask(versions[source]) for source in sources}
        for i, name in enumerate(names):
            answers = {source: answer[i] for source, answer in said.items()}
            writer.add(name, versions["image"][i], versions["restored"][i], answers)

    def _made_of(self, part: nn.Module, *versions: list[np.ndarray]) -> list[np.ndarray]:
        """What a part makes of uint8 images; none is padded, as none is in use: a restorer may see it all."""
        made: dict[int, np.ndarray] = {}
        for rows in by_shape(versions[0]):
            batches = [torch.stack([to_tensor(images[i]) for i in rows]).to(self.device) for images in versions]
            made.update(zip(rows, map(to_uint8, part(*batches))))
        return [made[i] for i in range(len(versions[0]))]

    @property
    def _given_translator(self) -> Translator:
        if self.translator is None:
            raise ConfigError("the teacher was asked about translated images and has no translator: give it one")
        return self.translator

    def _ask(self, images: list[np.ndarray]) -> list[Source]:
        """Predictions and embeddings on uint8 images."""
        said: dict[int, Source] = {}
        for rows in [list(range(len(images)))] if self.head.pads else by_shape(images):
            said.update(zip(rows, self._ask_together([images[i] for i in rows]), strict=True))
        return [said[i] for i in range(len(images))]

    def _ask_together(self, images: list[np.ndarray]) -> list[Source]:
        """The same of images that share a canvas."""
        batch, sizes = pad_batch([to_tensor(image) for image in images])
        outputs = self.head(batch.to(self.device))
        found = self.head.decode(outputs, score=self.score, iou=self.iou)
        found = [prediction.clipped(size) for prediction, size in zip(found, sizes)]
        embeddings = self.head.embed(outputs, found)
        return [Source(one.to("cpu"), vectors.cpu()) for one, vectors in zip(found, embeddings)]


def _found(folder: Path) -> TeacherStore | None:
    """A finished cache; a damaged one is none."""
    if not folder.exists():
        return None
    try:
        return TeacherStore(folder)
    except DataError as error:
        log.warning("%s; it is made anew", error)
        return None


def _original(data_set: ImageSet, i: int) -> np.ndarray:
    assert isinstance(data_set, Degraded)
    return data_set.data_set.image(i)
