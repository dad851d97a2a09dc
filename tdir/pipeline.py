"""The pipeline: restorer, translator and head as one module that a user trains, runs, saves and loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tdir import bundle as bundles
from tdir import packing
from tdir.data.images import by_shape, pad_batch
from tdir.errors import ConfigError
from tdir.heads.base import Head
from tdir.inputs import Images, Prepared, as_given, as_list, prepare
from tdir.parts import PathLike, build_part, config_of
from tdir.parts import head as build_head
from tdir.ranges import COUNT, SHARE
from tdir.registry import closest
from tdir.restorers.base import Restorer
from tdir.structures import Prediction, check_images
from tdir.translators.base import Translator

BATCH_SIZE = 8
COMPANY = 8
"""Images that share a canvas, as large as the largest of them. Another number than that of a batch: what is found in an
image does not depend on how many are computed at a time."""


class Pipeline(nn.Module):
    """``head(translate(fuse(x, restore(x))))``; only the translator is ever trained.

    Args:
        restorer: frozen.
        translator: ``None`` gives the head the restored image as it is.
        head: frozen.
        size: the longest side that ``predict`` and ``enhance`` compute at, pixels, reached before the restorer;
            ``None`` computes at the size of each image.

    Attributes:
        trained: a free record of how the translator was trained; it is kept in the bundle.

    Raises:
        ConfigError: if a part is not one, or the size is not a positive whole number.
    """

    def __init__(self, restorer: Restorer, translator: Translator | None, head: Head, size: int | None = None):
        super().__init__()
        _check_part("restorer", restorer, Restorer)
        if translator is not None:
            _check_part("translator", translator, Translator)
        _check_part("head", head, Head)
        if size is not None:
            COUNT.check("size, the longest side in pixels,", size)
        self.restorer, self.translator, self.head, self.size = restorer, translator, head, size
        self.trained: dict[str, Any] = {}

    @property
    def config(self) -> dict[str, Any]:
        """What :func:`build` builds these parts from again; trained weights are not in it.

        Raises:
            ConfigError: if a part was not built by a factory.
        """
        parts = {"restorer": self.restorer, "translator": self.translator, "head": self.head}
        return {**{k: None if p is None else config_of(k, p) for k, p in parts.items()}, "size": self.size}

    def translated(self, images: Tensor) -> Tensor:
        """What the head sees of ``(N, 3, H, W)`` RGB images in [0, 1]: same shape and range, not resized.

        Raises:
            ShapeError: if the images are not ``(N, 3, H, W)`` floats.
        """
        check_images(images, "the pipeline")
        restored = self.restorer(images)
        return restored if self.translator is None else self.translator(images, restored)

    def forward(self, images: Tensor) -> Any:
        """The head's outputs on ``(N, 3, H, W)`` RGB images in [0, 1], not resized."""
        return self.head(self.translated(images))

    def predict(
        self,
        images: Images,
        score: float | None = None,
        iou: float = 0.7,
        max_det: int = 300,
        batch_size: int = BATCH_SIZE,
        bgr: bool = False,
    ) -> Any:
        """What the head says, in pixels of the images given; one answer for one image, a list for a list or a batch.

        Args:
            images: a path; a uint8 array ``(H, W, 3)``; a float tensor ``(3, H, W)`` or ``(N, 3, H, W)`` in [0, 1];
                or a list of these, of any sizes.
            score: the least confidence, in [0, 1]; default: the head's own, 0.25 for boxes, 0 for maps and classes.
            iou: boxes of one class that overlap more are one object, in [0, 1]; detectors only.
            max_det: the most boxes of an image; detectors only.
            batch_size: images computed at a time, which changes nothing but time and memory.
            bgr: arrays are BGR, as OpenCV frames are; files and tensors are RGB always.

        Returns:
            Detections, SemanticMap or ClassScores, by the head's task, on the device of the tensor given, on the CPU
            for files and arrays.

        Raises:
            DataError: if a file is missing or not an image.
            ShapeError: if an array or a tensor has another shape, type or range.
            ConfigError: if a setting is out of range.
        """
        settings = _decoding(score, iou, max_det)
        COUNT.check("batch_size", batch_size)

        def predict(batch: list[Prepared], canvas: tuple[int, int]) -> list[Prediction]:
            # Padded after the translation and not before: a restorer never sees what an image does not hold.
            padded, _ = pad_batch(self._seen(batch), canvas)
            found = self.head.decode(self.head(padded), **settings)
            return [_on_the_given(one, image) for one, image in zip(found, batch, strict=True)]

        return as_given(images, self._answers(images, bgr, batch_size, predict))

    def enhance(self, images: Images, bgr: bool = False, batch_size: int = BATCH_SIZE) -> Any:
        """What the head sees, at the size of the images given: computed at ``size``, then resized.

        Args:
            images: as for :meth:`predict`.
            bgr: arrays are BGR, given and returned.
            batch_size: images computed at a time.

        Returns:
            A uint8 array ``(H, W, 3)`` for a path or an array, a float tensor in [0, 1] for a tensor; a list for a
            list.

        Raises:
            DataError: if a file is missing or not an image.
            ShapeError: if an array or a tensor has another shape, type or range.
            ConfigError: if the batch size is no whole number from 1.
        """
        COUNT.check("batch_size", batch_size)

        def show(batch: list[Prepared], canvas: tuple[int, int]) -> list[Any]:
            return [image.answer(seen, bgr) for image, seen in zip(batch, self._seen(batch), strict=True)]

        answers = self._answers(images, bgr, batch_size, show)
        if isinstance(images, Tensor) and images.ndim == 4:
            return torch.stack(answers) if answers else images
        return as_given(images, answers)

    def _answers(
        self,
        images: Images,
        bgr: bool,
        batch_size: int,
        answer: Callable[[list[Prepared], tuple[int, int]], list[Any]],
    ) -> list[Any]:
        """The answers to all images, of which no more than a batch in full companies is in memory."""
        sources = as_list(images)
        step = whole_companies(batch_size)
        answers: list[Any] = []
        # Not inference_mode: heads cache tensors in it that a later gradient pass cannot use.
        with torch.no_grad(), _in_eval(self):
            for start in range(0, len(sources), step):
                block = [prepare(source, self.size, bgr) for source in sources[start : start + step]]
                found: dict[int, Any] = {}
                for canvas, rows in _by_canvas(block, self.head.pads).items():
                    for k in range(0, len(rows), batch_size):
                        some = rows[k : k + batch_size]
                        found.update(zip(some, answer([block[i] for i in some], canvas), strict=True))
                answers += [found[i] for i in range(len(block))]
        return answers

    def _seen(self, batch: list[Prepared]) -> list[Tensor]:
        """The translated images, ``(3, h, w)`` each; those of one shape are computed together, none is padded."""
        like = next(self.head.parameters())
        seen: dict[int, Tensor] = {}
        for rows in by_shape([image.pixels for image in batch]):
            images = torch.stack([batch[i].pixels.to(like) for i in rows])
            seen.update(zip(rows, self.translated(images), strict=True))
        return [seen[i] for i in range(len(batch))]

    def save(self, path: PathLike, include_head: bool = False, trained: Mapping[str, Any] | None = None) -> None:
        """Write the pipeline as one file, a bundle, that :func:`load` opens anywhere.

        The weights of restorer and translator are inside. The head's are referred to by name and sha256, and so is a
        restorer that is code. Of paths in the settings only the base name is kept.

        Args:
            path: conventionally ends in ``.tdir``.
            include_head: put the head's weights inside as well; mind their licence.
            trained: a free record of strings, numbers, lists and dicts; ``None`` keeps ``self.trained``.

        Raises:
            ConfigError: if a part was not built by a factory, a setting cannot be stored, or the head cannot be inside.
            WeightsError: if the file cannot be written.
        """
        record = self.trained if trained is None else trained
        parts = {"restorer": self.restorer, "translator": self.translator, "head": self.head}
        bundles.write(path, packing.pack(parts, self.config, record, include_head))


def build(config: Mapping[str, Any]) -> Pipeline:
    """A pipeline from ``{"restorer": ..., "translator": ..., "head": ..., "size": ...}``.

    A part is ``{"type": name, **settings}``, what the factory of that kind takes, or a name alone; the translator may
    be ``None``.

    Raises:
        ConfigError: if a key, a name or a setting is unknown, or restorer or head are absent.
        WeightsError: if a weight file is missing or wrong.
    """
    keys = ("restorer", "translator", "head", "size")
    if not isinstance(config, Mapping):
        raise ConfigError(f"a pipeline is built from a dict with {', '.join(keys)}, got {config!r}")
    for key in config.keys() - set(keys):
        raise ConfigError(f"a pipeline has no part {key!r}: {closest(str(key), keys)}")
    for key in ("restorer", "head"):
        if config.get(key) is None:
            raise ConfigError(
                f"a pipeline needs a {key}: add {key}={{'type': name}}; restorer 'identity' restores nothing"
            )
    translator = config.get("translator")
    return Pipeline(
        build_part("restorer", config["restorer"]),
        None if translator is None else build_part("translator", translator),
        build_part("head", config["head"]),
        config.get("size"),
    )


def load(
    path: PathLike,
    head: PathLike | Head | None = None,
    device: torch.device | str = "cpu",
    restorer: PathLike | Restorer | None = None,
) -> Pipeline:
    """A pipeline from a bundle. Nothing in the file is run; a part that is not registered is refused.

    Args:
        path: a bundle, or the short name of one that comes with tdir, such as "fog".
        head: ``None`` finds the weights that the bundle names, and they must be the same ones; a name or path such as
            "yolov8n.pt" takes another, with the classes that the bundle's head was restricted to; or a head as it is.
        device: where to put the pipeline.
        restorer: for a bundle whose restorer is code, which is not inside: "module:net.ts", or a restorer as it is.

    Raises:
        WeightsError: if the file is missing, damaged or no bundle, or the head's weights are not found or are others,
            or the restorer is code and is not given.
        ConfigError: if a part or a setting is unknown here, or a restorer is given to a bundle that brings its own.
    """
    file = bundles.find(path)
    bundle = bundles.read(file)
    restorer, translator = packing.unpack_body(bundle, file, restorer)
    if head is None:
        head = packing.unpack_head(bundle, file)
    elif not isinstance(head, Head):
        classes = bundle.config["head"].get("classes")
        head = build_head(head, **({} if classes is None else {"classes": classes}))
    pipeline = Pipeline(restorer, translator, head, bundle.config.get("size"))
    pipeline.trained = bundle.trained
    return pipeline.to(device)


def _check_part(kind: str, part: Any, base: type) -> None:
    if not isinstance(part, base):
        fix = f"tdir.{kind}({part!r})" if isinstance(part, str) else f"build one with tdir.{kind}(name, ...)"
        raise ConfigError(f"the {kind} of a pipeline must be a tdir {base.__name__}, got {type(part).__name__}: {fix}")


def _decoding(score: float | None, iou: float, max_det: int) -> dict[str, Any]:
    """What ``decode`` is called with."""
    SHARE.check("iou", iou)
    COUNT.check("max_det", max_det)
    if score is None:
        return {"iou": iou, "max_det": max_det}
    SHARE.check("score", score)
    return {"score": score, "iou": iou, "max_det": max_det}


def whole_companies(batch_size: int) -> int:
    """The least number of images that holds a batch and splits no company: lists cut there are predicted on as one."""
    return -(-batch_size // COMPANY) * COMPANY


def _by_canvas(block: list[Prepared], shared: bool) -> dict[tuple[int, int], list[int]]:
    """Canvas (height, width) -> the positions of the images that go on it: company by company, or each on its own."""
    groups: dict[tuple[int, int], list[int]] = {}
    most = COMPANY if shared else 1
    for start in range(0, len(block), most):
        company = range(start, min(start + most, len(block)))
        heights, widths = zip(*(block[i].pixels.shape[1:] for i in company), strict=True)
        groups.setdefault((max(heights), max(widths)), []).extend(company)
    return groups


def _on_the_given(found: Prediction, image: Prepared) -> Prediction:
    """What is said of the canvas as said of the image given, without what lies on padding alone."""
    device = "cpu" if image.given is None else image.given.device
    height, width = image.pixels.shape[1:]
    return found.resized((height, width), image.size).to(device)


@contextmanager
def _in_eval(module: nn.Module) -> Iterator[None]:
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)
