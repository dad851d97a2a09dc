"""What a trained bundle says of pictures and folders: objects, maps or classes, as its head does.

Below --out: pictures/ with boxes and labels, predictions.jsonl with one line for each image, with the head of a
segmentation maps/ with the number of the class of each pixel, 255 for none, and, with --save-enhanced, enhanced/ with
what the head saw. Folders are searched through and through and keep their shape.

examples:
  tdir infer street.jpg --pipeline fog.tdir --out found
  tdir infer monday/ tuesday/ --pipeline fog.tdir --head yolov8s.pt --out found --score 0.4 --save-enhanced
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from PIL import Image
from tqdm import tqdm

import tdir
from tdir.cli.arguments import HEAD, add_compute_arguments, folder
from tdir.data.images import SUFFIXES, Pixels, list_images, read_image, write_image
from tdir.errors import ConfigError, DataError
from tdir.memory import BatchSize, automatic
from tdir.pipeline import Pipeline, whole_companies
from tdir.report.pictures import draw
from tdir.structures import ClassScores, Detections, Prediction, SemanticMap

PICTURES, MAPS, ENHANCED = "pictures", "maps", "enhanced"
log = logging.getLogger("tdir")


@dataclass
class Source:
    """An image file, and its name below the output folders."""

    path: Path
    name: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES_OR_FOLDERS")
    parser.add_argument(
        "--pipeline", required=True, metavar="BUNDLE", help="a .tdir file, or the name of a shipped one"
    )
    parser.add_argument("--head", metavar="[NAME:]WEIGHTS", help=f"{HEAD}; default: the bundle's own")
    parser.add_argument("--restorer", metavar="NAME[:WEIGHTS]", help="only for a bundle whose restorer is code")
    parser.add_argument("--out", required=True, type=folder, metavar="DIR")
    parser.add_argument("--score", type=float, help="the least confidence, in [0, 1] (default: 0.25 for boxes, else 0)")
    parser.add_argument("--save-enhanced", action="store_true", help="also write what the head saw")
    add_compute_arguments(parser, "the bundle's own")


def run(args: argparse.Namespace) -> int:
    """Detect in every image; 1 if not one could be read."""
    sources = find_sources(args.images, args.out)
    pipeline = tdir.load(args.pipeline, head=args.head, device=args.device, restorer=args.restorer)
    pipeline.size = args.size or pipeline.size
    args.out.mkdir(parents=True, exist_ok=True)
    read = objects = 0
    with (args.out / "predictions.jsonl").open("w", encoding="utf-8") as lines:
        size = BatchSize(args.batch_size or automatic(pipeline))
        for batch in _batches(sources, whole_companies(size.images)):
            images = [image for _, image in batch]
            found = size.fit(partial(pipeline.predict, images, score=args.score), len(images))
            for (source, image), said in zip(batch, found):
                _write(args.out, source, image, said, pipeline, lines)
            if args.save_enhanced:
                for (source, _), seen in zip(batch, size.fit(partial(pipeline.enhance, images), len(images))):
                    write_image(args.out / ENHANCED / source.name, seen)
            read, objects = read + len(batch), objects + sum(len(one) for one in found if isinstance(one, Detections))
    what = f"{objects} objects in {read} images" if pipeline.head.task == "detection" else f"{read} images"
    log.info("%s, %d unreadable: %s", what, len(sources) - read, args.out)
    return 0 if read else 1


def find_sources(given: Sequence[Path], out: Path) -> list[Source]:
    """Every image that was named, and every one below a folder that was named, without earlier results in ``out``.

    The images of a folder keep their path below it; where several inputs are given, the folder's name comes first.

    Raises:
        DataError: if a file or folder does not exist, or there is no image.
        ConfigError: if two images would get one name.
    """
    sources: list[Source] = []
    for path in given:
        if path.is_dir():
            prefix = path.resolve().name if len(given) > 1 else ""
            sources += [Source(image, Path(prefix, image.relative_to(path))) for image in list_images(path)]
        elif path.is_file():
            sources.append(Source(path, Path(path.name)))
        else:
            raise DataError(f"{path}: no such file or folder")
    results = {(out / folder).resolve() for folder in (PICTURES, MAPS, ENHANCED)}
    sources = [_writable(source) for source in sources if results.isdisjoint(source.path.resolve().parents)]
    if not sources:
        raise DataError(
            f"every image found lies where results go, {PICTURES}, {MAPS} or {ENHANCED} in {out}: give another --out"
        )
    first: dict[Path, Path] = {}
    for source in sources:
        if source.name in first:
            raise ConfigError(
                f"{first[source.name]} and {source.path} would both be written to {source.name}: give them in two runs"
            )
        first[source.name] = source.path
    return sources


def _writable(source: Source) -> Source:
    """The same source with a name that says how to encode a picture."""
    known = source.name.suffix.lower() in SUFFIXES
    return source if known else Source(source.path, source.name.with_name(f"{source.name.name}.png"))


def _batches(sources: Sequence[Source], size: int) -> Iterator[list[tuple[Source, Pixels]]]:
    """The images that can be read, a batch at a time; the others are named."""
    batch: list[tuple[Source, Pixels]] = []
    for source in tqdm(sources, desc="infer", unit="image", disable=None, leave=False):
        try:
            batch.append((source, read_image(source.path)))
        except DataError as error:
            log.warning("skipped: %s", error)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(out: Path, source: Source, image: Pixels, found: Prediction, pipeline: Pipeline, lines: TextIO) -> None:
    classes = pipeline.head.classes
    write_image(out / PICTURES / source.name, draw(image, found, classes))
    height, width = image.shape[:2]
    entry = {"image": source.name.as_posix(), "width": width, "height": height}
    lines.write(json.dumps(entry | _said(found, classes, out, source), ensure_ascii=False) + "\n")


def _said(found: Prediction, classes: Sequence[str], out: Path, source: Source) -> dict[str, Any]:
    """The rest of an image's line; a map has a file of its own."""
    if isinstance(found, Detections):
        return {"detections": _plain(found, classes)}
    if isinstance(found, ClassScores):
        scores = {name: round(score, 4) for name, score in zip(classes, found.scores.tolist(), strict=True)}
        return {"class": None if found.label < 0 else classes[found.label], "scores": scores}
    assert isinstance(found, SemanticMap)
    name = Path(MAPS) / source.name.with_name(f"{source.name.name}.png")
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(found.labels.numpy()).save(out / name)
    shares = zip(classes, found.amounts(len(classes)).tolist())
    return {"map": name.as_posix(), "shares": {name: round(share, 4) for name, share in shares if share}}


def _plain(found: Detections, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Boxes as xyxy in pixels of the image file, highest confidence first."""
    assert found.scores is not None
    order = found.scores.argsort(descending=True).tolist()
    boxes, labels, scores = found.boxes.tolist(), found.labels.tolist(), found.scores.tolist()
    return [
        {"label": classes[labels[i]], "score": round(scores[i], 4), "box": [round(side, 2) for side in boxes[i]]}
        for i in order
    ]
