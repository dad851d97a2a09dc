"""What scoring costs: tdir's protocols against pycocotools alone, on a made result of the size of RTTS.

    python benchmarks/scoring.py --out benchmarks/results/scoring

Every protocol is timed in a process of its own, from detections in memory to scores; pycocotools likewise, as its
documentation uses it, from lists of dictionaries in memory. "MB" is the most that the process held, "more" the part of
it that the scoring added. The bootstrap of 1,000 samples is timed apart.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.protocols import PROTOCOLS
from tdir.report.records import environment, portable_command
from tdir.structures import Detections

CLASSES = ["person", "car", "bus", "bicycle", "motorbike"]
IMAGES, TRUTHS, DETECTIONS = 4322, 30_000, 120_000
Rows = tuple[list[Detections], list[Detections]]


def made(images: int, truths: int, detections: int, seed: int = 0) -> Rows:
    """Truths in random places; two detections near each of them, and strays."""
    rng = np.random.default_rng(seed)
    owner, label = np.sort(rng.integers(0, images, truths)), rng.choice(5, truths, p=[0.27, 0.62, 0.06, 0.02, 0.03])
    box = _boxes(rng, truths)
    near = np.repeat(np.arange(truths), 2)[: detections // 2]
    stray = detections - len(near)
    found = np.concatenate([box[near] + rng.normal(0, 5, (len(near), 4)), _boxes(rng, stray)])
    found_owner = np.concatenate([owner[near], rng.integers(0, images, stray)])
    found_label = np.concatenate([label[near], rng.integers(0, 5, stray)])
    score = np.concatenate([rng.beta(3, 2, len(near)), rng.beta(1, 5, stray)])
    predictions = [
        Detections(*(torch.from_numpy(values[found_owner == k]) for values in (found, found_label, score)))
        for k in range(images)
    ]
    wanted = [Detections(*(torch.from_numpy(values[owner == k]) for values in (box, label))) for k in range(images)]
    return predictions, wanted


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 500, (count, 2))
    return np.concatenate([corner, corner + np.exp(rng.normal(3.8, 0.8, (count, 2)))], axis=1)


def as_dictionaries(rows: Rows) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same, as pycocotools takes it."""
    flat: list[list[dict[str, Any]]] = [[], []]
    for image, pair in enumerate(zip(*rows, strict=True)):
        for entries, one in zip(flat, pair, strict=True):
            scores = torch.zeros(len(one)) if one.scores is None else one.scores
            for box, label, score in zip(one.boxes.tolist(), one.labels.tolist(), scores.tolist(), strict=True):
                left, top, right, bottom = box
                bbox, area = [left, top, right - left, bottom - top], (right - left) * (bottom - top)
                entry = {"image_id": image, "category_id": label, "bbox": bbox, "score": score}
                entries.append({**entry, "id": len(entries) + 1, "area": area, "iscrowd": 0})
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES)]
    images = [{"id": k} for k in range(len(rows[0]))]
    return {"images": images, "categories": categories, "annotations": flat[1]}, flat[0]


def pycocotools_alone(truths: dict[str, Any], found: list[dict[str, Any]]) -> float:
    """mAP50-95."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truths
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def by_protocol(name: str, rows: Rows) -> float:
    """mAP."""
    protocol = PROTOCOLS[name]
    metric = protocol.metric(CLASSES)
    metric.update([protocol.predictions(one) for one in rows[0]], rows[1])
    return metric.compute().map


def bootstrap(rows: Rows) -> float:
    """The lower end of an interval of mAP50-95; the matching is not a part of what is timed."""
    metric = PROTOCOLS["coco"].metric(CLASSES)
    metric.update(*rows)
    scores = metric.compute()
    start = time.perf_counter()
    Bootstrap().interval(scores)
    return time.perf_counter() - start


def _child(name: str, sizes: tuple[int, int, int], rounds: int, results: Any) -> None:
    """Seconds and MB of one way, after the result it scores is there."""
    rows = made(*sizes)
    call: Callable[[], float]
    if name == "pycocotools":
        dictionaries = as_dictionaries(rows)
        call = lambda: pycocotools_alone(*dictionaries)  # noqa: E731
    else:
        call = lambda: by_protocol(name, rows)  # noqa: E731
    before, seconds, score = _peak(), [], 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        score = call()
        seconds.append(time.perf_counter() - start)
    results.put((statistics.median(seconds), _peak(), _peak() - before, score))


def _peak() -> float:
    """MB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)


def compare(sizes: tuple[int, int, int], rounds: int) -> dict[str, dict[str, float]]:
    """Way -> its time as a share of pycocotools', its memory and its score."""
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in ("pycocotools", *PROTOCOLS):
        results = context.Queue()
        child = context.Process(target=_child, args=(name, sizes, rounds, results))
        child.start()
        found[name] = results.get()
        child.join()
    alone = found["pycocotools"][0]
    return {
        name: {"time / pycocotools": round(seconds / alone, 3), "MB": round(most), "more": round(more), "map": score}
        for name, (seconds, most, more, score) in found.items()
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="the result's path without its suffix")
    args = parser.parse_args()
    sizes = IMAGES, TRUTHS, DETECTIONS
    found = compare(sizes, args.rounds)
    record = {
        "command": portable_command(sys.argv),
        **dict(zip(("images", "truths", "detections"), sizes, strict=True)),
        "ways": found,
        "bootstrap of 1000, seconds": round(bootstrap(made(*sizes)), 1),
        "rounds": args.rounds,
        "environment": environment(),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
