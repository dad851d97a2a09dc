"""Tiny pictures, a tiny detector and tiny settings, on which a training takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from tdir import parts
from tdir.data.images import Pixels
from tdir.heads.yolo import Yolo
from tdir.restorers.aodnet import AODNet
from tdir.structures import Detections
from tdir.training.config import TrainConfig
from tdir.training.loop import Trainer
from tdir.training.run import ask_teacher, build_frozen, build_trainer

CLASSES = ["box", "disc"]
LANDSCAPE = (48, 64)
# Written out, so that the tests do not move with the defaults.
OBJECTIVE: dict[str, Any] = {
    "cycle": 1.0,
    "cycle_side": None,
    "clean_task": 1.0,
    "identity": 0.0,
    "degraded_task": 1.0,
    "mixed_clean_task": 1.0,
    "alpha": 1.0,
    "lambda_per": "pair",
    "mix_power": 1.0,
    "uncertainty": "none",
    "background": "ignore_unclaimed",
    "clean_through_gate": 0.5,
}
_DETECTOR = """
nc: 2
backbone: [[-1, 1, Conv, [8, 3, 2]], [-1, 1, Conv, [16, 3, 2]], [-1, 1, Conv, [16, 3, 2]],
           [-1, 1, Conv, [24, 3, 2]], [-1, 1, Conv, [24, 3, 2]]]
head: [[[2, 3, 4], 1, Detect, [nc]]]
"""


def picture(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Pixels, Detections]:
    """Up to three boxes and discs on a gradient, ``size`` is (height, width); and where they are."""
    height, width = size
    slope = np.linspace(60, 160, height)[:, None, None] + rng.integers(-30, 30, 3)
    image = np.broadcast_to(slope, (height, width, 3)).astype(np.uint8)
    boxes, labels = [], []
    for _ in range(int(rng.integers(1, 4))):
        radius, label = int(rng.integers(5, 10)), int(rng.integers(2))
        x, y = (int(rng.integers(radius, side - radius)) for side in (width, height))
        colour = [int(level) for level in rng.integers(0, 256, 3)]
        if label:
            image = cv2.circle(image.copy(), (x, y), radius, colour, -1)
        else:
            image = cv2.rectangle(image.copy(), (x - radius, y - radius), (x + radius, y + radius), colour, -1)
        boxes.append([x - radius, y - radius, x + radius, y + radius])
        labels.append(label)
    return image, Detections(torch.tensor(boxes, dtype=torch.float32), torch.tensor(labels))


def write_pictures(
    folder: Path, count: int = 8, seed: int = 0, sizes: Sequence[tuple[int, int]] = (LANDSCAPE,)
) -> list[Detections]:
    """PNG files ``00.png``, ``01.png``, ... in turns of these sizes, and what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, truths = np.random.default_rng(seed), []
    for i in range(count):
        image, truth = picture(rng, sizes[i % len(sizes)])
        assert cv2.imwrite(str(folder / f"{i:02d}.png"), image)
        truths.append(truth)
    return truths


def write_labelled(root: Path, count: int = 4, seed: int = 9) -> None:
    """A set in YOLO layout with one split, ``val``."""
    truths = write_pictures(root / "images" / "val", count, seed)
    (root / "labels" / "val").mkdir(parents=True)
    (root / "data.yaml").write_text(f"names: {CLASSES}\n")
    height, width = LANDSCAPE
    for i, truth in enumerate(truths):
        corners = truth.boxes / torch.tensor([width, height, width, height])
        rows = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1).tolist()
        lines = [f"{label} {' '.join(map(str, row))}" for label, row in zip(truth.labels.tolist(), rows)]
        (root / "labels" / "val" / f"{i:02d}.txt").write_text("\n".join(lines))


def write_detector(folder: Path) -> Path:
    """A detector of ultralytics that learnt nothing, with weights large enough to see a few boxes in each picture."""
    recipe, path = folder / "tiny.yaml", folder / "tiny.pt"
    recipe.write_text(_DETECTOR)
    torch.manual_seed(0)
    head = Yolo(model=recipe, names=CLASSES, fold=False)
    with torch.no_grad():
        for layer in head.model.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.normal_(0, 2.5 / layer.weight[0].numel() ** 0.5)
        for boxes, scores in zip(head.detect.cv2, head.detect.cv3):
            scores[-1].weight.mul_(0.05)
            scores[-1].bias.fill_(-2)
            # Sides one or two cells away, so that boxes are about as large as the objects.
            boxes[-1].weight.mul_(0.01)
            boxes[-1].bias.copy_((-((torch.arange(16) - 1.5) ** 2)).repeat(4))
    torch.save({"model": head.model}, path)
    return path


def write_everything(root: Path, sizes: Sequence[tuple[int, int]] = (LANDSCAPE,), count: int = 8) -> Path:
    """Degraded and eight clean pictures, a labelled set, a dehazer and the detector."""
    write_pictures(root / "degraded", count, seed=1, sizes=sizes)
    write_pictures(root / "clean", seed=2, sizes=sizes)
    write_labelled(root / "labelled")
    write_detector(root)
    torch.manual_seed(1)
    torch.save(AODNet().state_dict(), root / "dehazer.pth")
    return root


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    """A training of four steps on what ``write_everything`` wrote; ``changes`` name settings with their dots."""
    values: dict[str, Any] = {
        "restorer": {"type": "aodnet", "weights": str(root / "dehazer.pth")},
        "translator": {"type": "vat-light", "side": 16, "dims": (4, 4, 8)},
        "head": {"type": "yolo", "weights": str(root / "tiny.pt")},
        "degraded": {"type": "folder", "root": str(root / "degraded"), "degradation": {"type": "haze"}},
        "clean": {"type": "folder", "root": str(root / "clean")},
        "size": 64,
        "teacher": {"score": 0.3, "epsilon": 1.0, "cache_dir": str(root / "cache"), "dims": 4, "neighbours": 4},
        "objective": dict(OBJECTIVE),
        "optim": {"steps": 4, "batch_size": 2, "lr": 1e-3, "warmup": 2, "clip": 1.0, "ema": 0.9},
        "pictures": 1,
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        place = values
        for key in path:
            place = place.setdefault(key, {})
        place[last] = value
    return values


def config(root: Path, **changes: Any) -> TrainConfig:
    """The same as a ``TrainConfig``; ``optim__steps=6`` stands for ``optim.steps``."""
    return TrainConfig.from_dict(settings(root, **changes))


def trainer(root: Path, work_dir: Path, seed: int = 0, **changes: Any) -> Trainer:
    """What ``train`` builds from ``config(root, **changes)``; ``seed`` draws the initial weights."""
    wanted = config(root, **changes)
    restorer, head = build_frozen(wanted)
    taught = ask_teacher(wanted, restorer, head, work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    return build_trainer(wanted, parts.build_part("translator", wanted.translator), head, taught, work_dir)
