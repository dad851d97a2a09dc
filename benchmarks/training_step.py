"""What a training step costs in bf16 against float32: forward and backward of head and light translator, as a ratio.

python benchmarks/training_step.py --head yolov8n.pt --out benchmarks/results/training_step
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

import tdir
from tdir.report.records import environment, portable_command
from tdir.structures import Detections


def seconds(pipeline: tdir.Pipeline, images: torch.Tensor, target: Detections, bf16: bool) -> float:
    """One forward and backward pass."""
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        outputs = pipeline(images)
        loss = pipeline.head.loss(outputs, [target] * len(images), "ignore_unclaimed").sum()
    loss.backward()
    return time.perf_counter() - start


def main() -> None:
    """Time both in turns, so that whatever else the machine does falls on both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True, help="the result's path without its suffix")
    args = parser.parse_args()
    pipeline = tdir.Pipeline(tdir.restorer("identity"), tdir.translator("vat-light"), tdir.head(args.head))
    images = torch.rand(12, 3, 240, 320, generator=torch.Generator().manual_seed(0))
    target = Detections(torch.tensor([[20.0, 30, 100, 120], [150, 60, 200, 200]]), torch.tensor([0, 1]))
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(args.rounds + 2):
        for bf16 in times:
            times[bf16].append(seconds(pipeline, images, target, bf16))
    ratio = statistics.median(times[True][2:]) / statistics.median(times[False][2:])
    record = {
        "command": portable_command(sys.argv),
        "images": list(images.shape),
        "bf16 / float32": round(ratio, 3),
        "rounds": args.rounds,
        "environment": environment(),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"bf16 takes {ratio:.2f} of the time of float32")


if __name__ == "__main__":
    main()
