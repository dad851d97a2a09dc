"""A set that tdir made, with the photos that it was made of as its clean images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdir.data import manifest
from tdir.data.made import sources
from tdir.data.sample import ImageSet
from tdir.data.voc import VOC
from tdir.errors import DataError
from tdir.registry import DATASETS
from tdir.structures import Detections


@DATASETS.register_module("made")
class Made(VOC):
    """VOCh, VOCd or another set of ``tdir prepare``.

    Args:
        root: its folder; see ``find_root``.
        split: "train" or "test".
        originals: what it was made of, as ``tdir.data.made.sources`` takes it; the set then has clean images.
        classes: the classes of interest, as for ``VOC``.

    Raises:
        DataError: if it has no manifest, or a photo that it was made of is not in ``originals``; as ``VOC`` besides.
        ConfigError: if two of ``classes`` mean the same.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        originals: str | Path | None = None,
        classes: Sequence[str] | None = None,
    ):
        super().__init__(root, split, classes)
        assert self.root is not None
        told = manifest.read(self.root)
        if told is None:
            raise DataError(f"{self.root}: no {manifest.FILE} in it, which says what photo an image was made of")
        made_of = {Path(one["path"]).stem: str(one["photo"]) for one in told["files"] if "photo" in one}
        missing = [name for name in self.names if name not in made_of]
        if missing:
            raise DataError(f"{self.root / manifest.FILE}: does not know {missing[0]}: make the set again")
        self._made_of = [made_of[name] for name in self.names]
        if originals is not None:
            self.clean = _Originals(self, self._photos(originals))

    def photo(self, index: int) -> str:
        """The photo that image ``index`` was made of."""
        return self._made_of[index]

    def _photos(self, originals: str | Path) -> list[Path]:
        folders = [folder for pairs in sources(originals).values() for folder, _ in pairs]
        files = {path.stem: path for folder in folders for path in sorted((folder / "JPEGImages").iterdir())}
        missing = [name for name, photo in zip(self.names, self._made_of, strict=True) if photo not in files]
        if missing:
            assert self.root is not None
            raise DataError(
                f"{originals}: {len(missing)} photos that {self.root.name} was made of are not in it, that of "
                f"{missing[0]} for one"
            )
        return [files[photo] for photo in self._made_of]

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The lists of a set with a manifest."""
        return super().splits(folder) if (folder / manifest.FILE).is_file() else []


class _Originals(ImageSet):
    """The photos of a made set, in its order, under its names and with its truth."""

    def __init__(self, made: Made, paths: list[Path]):
        self.made, self.paths = made, paths
        self.names, self.classes, self.root = made.names, made.classes, made.root

    def truth(self, index: int) -> Detections | None:
        """The boxes of image ``index``, as in the made set."""
        return self.made.truth(index)
