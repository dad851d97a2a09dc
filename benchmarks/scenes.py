"""Look at the built-in scenes, and measure how fast they are drawn and how often each class occurs.

    python benchmarks/scenes.py --pictures scenes.png
    OMP_NUM_THREADS=1 python benchmarks/scenes.py --count 200 --size 192 320

A line of the sheet is one scene: as it is, with its boxes, in haze, dark, against the light, its classes and its depth.
Images a second are those of one process on one core that draws the scenes a second time: textures are made once.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from tdir.data.backlight import Backlit
from tdir.data.degradations import Degraded, LowLight
from tdir.data.depth_haze import DepthHaze
from tdir.data.images import Depth, Pixels, write_image
from tdir.data.streets import SEMANTIC_CLASSES, SPLITS, Streets
from tdir.report.pictures import draw, sheet

_COLOURS = {  # of Cityscapes, where it has the class
    "road": (128, 64, 128), "pavement": (244, 35, 232), "building": (70, 70, 70), "vegetation": (107, 142, 35),
    "sky": (70, 130, 180), "person": (220, 20, 60), "car": (0, 0, 142), "bus": (0, 60, 100), "bicycle": (119, 11, 32),
    "motorbike": (0, 0, 230), "pole": (153, 153, 153), "sign": (220, 220, 0),
}  # fmt: skip
_DEEPEST = 200.0  # metres: what is farther has the last colour


def pictures(scenes: Streets, lines: int) -> Pixels:
    """The first scenes of a set, one a line."""
    degraded = {"haze": DepthHaze(), "dark": LowLight(), "backlit": Backlit()}
    sets = {name: Degraded(scenes, how) for name, how in degraded.items()}
    rows = [
        [
            scenes.image(i),
            draw(scenes.image(i), scenes.truth(i), scenes.classes),
            *(one.image(i) for one in sets.values()),
            _classes(scenes.semantic(i)),
            _depth(scenes.depth(i)),
        ]
        for i in range(min(lines, len(scenes)))
    ]
    return sheet(rows, ["scene", "boxes", *sets, "classes", "depth"])


def _classes(semantic: np.ndarray) -> Pixels:
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(SEMANTIC_CLASSES)] = [_COLOURS[name] for name in SEMANTIC_CLASSES]
    return palette[semantic]


def _depth(depth: Depth) -> Pixels:
    near = np.log(depth / 2) / np.log(_DEEPEST / 2)
    coloured = cv2.applyColorMap((255 * (1 - near.clip(0, 1))).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def frequencies(scenes: Streets) -> list[str]:
    """How often each class occurs, a line each."""
    boxes: Counter[str] = Counter()
    images: Counter[str] = Counter()
    easy: Counter[str] = Counter()
    for i in range(len(scenes)):
        truth = scenes.truth(i)
        names = [scenes.classes[label] for label in truth.labels.tolist()]
        boxes.update(names)
        assert truth.difficult is not None
        counted = [name for name, hard in zip(names, truth.difficult.tolist()) if not hard]
        easy.update(counted)
        images.update(set(counted))
    count = len(scenes)
    return [
        f"{name:10s} {boxes[name] / count:5.2f} boxes an image, {easy[name] / count:5.2f} of them not difficult, "
        f"in {images[name] / count:4.0%} of the images"
        for name in scenes.classes
    ]


def main() -> None:
    """Measure, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 320), metavar=("H", "W"))
    parser.add_argument("--count", type=int, default=100, metavar="N", help="scenes to measure on (default: 100)")
    parser.add_argument("--pictures", type=Path, metavar="FILE", help="a sheet of the first scenes")
    parser.add_argument("--lines", type=int, default=8, metavar="N", help="scenes on the sheet (default: 8)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    scenes = Streets(args.split, args.count, args.seed, tuple(args.size))
    if args.pictures:
        write_image(args.pictures, pictures(scenes, args.lines))
        print(f"wrote {args.pictures}")
    counted = frequencies(scenes)  # draws them once, which makes the textures
    start = time.process_time()
    for i in range(len(scenes)):
        scenes.image(i)
    print(f"{args.count / (time.process_time() - start):.1f} images a second of {args.size[1]}x{args.size[0]}")
    print("\n".join(counted))


if __name__ == "__main__":
    main()
