"""Train a config under several seeds, score every bundle on its labelled set, and write one result.

    python benchmarks/several_seeds.py configs/aodnet_yolov8n_voc5_haze_strong.py --seeds 0 1 2 --oracle \
        --work-dir work_dirs/haze_strong --out benchmarks/results/aodnet_yolov8n_voc5_haze_strong

The scored weights are always the averaged ones of the last step. A seed whose bundle exists is scored, not trained
again; one with a checkpoint is resumed. ``--oracle`` adds a training with the labels of the clean images: how much
there is to win. ``OMP_NUM_THREADS=1`` lets two programs share two cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tdir
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.evaluation import base_rows, readable, vat_rows
from tdir.metrics.scores import Scores
from tdir.parts import build_part
from tdir.report.records import (
    compare,
    describe_data,
    describe_pipeline,
    environment,
    portable_command,
)
from tdir.report.tables import difference_table, headings, unread
from tdir.training.config import TrainConfig, build_data
from tdir.training.run import begun, reopened, train


def trained(config: TrainConfig, work_dir: Path, device: str) -> tdir.Pipeline:
    """The pipeline of a config from its bundle, or trained now.

    Raises:
        ConfigError: if the bundle was trained with other settings.
    """
    bundle = work_dir / f"{config.name}.tdir"
    if not bundle.exists():
        return train(config, work_dir, bool(begun(config, work_dir)), device)[0]
    return reopened(config, bundle, build_part("head", config.head), device)


def spread(values: list[float]) -> dict[str, Any]:
    """Mean and standard deviation over seeds."""
    return {
        "mean": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
    }


def cell(found: dict[str, Any]) -> str:
    """A :func:`spread` in a table, without a deviation where there is none."""
    varies = found["deviation"] is not None and len(set(found["values"])) > 1
    return f"{found['mean']:.3f}" + (f" ± {found['deviation']:.3f}" if varies else "")


def measure(config: TrainConfig, seeds: list[int], oracle: bool, work_dir: Path, device: str = "cpu") -> dict[str, Any]:
    """Rows, differences and spreads of a config, as JSON values."""
    if config.val is None:
        raise ConfigError(f"{config.name} has no 'val', the labelled set to score on")
    # Every seed looks at the same images: one cache serves them all.
    config = replace(config, teacher=replace(config.teacher, cache_dir=str(work_dir / "cache")))
    data_set, unreadable = readable(build_data(config.val))
    scored: list[dict[str, Scores]] = []
    for seed in seeds:
        pipeline = trained(replace(config, seed=seed, val=None), work_dir / f"seed-{seed}", device)
        base = base_rows(pipeline, data_set) if not scored else scored[0]
        scored.append({**base, **vat_rows(pipeline, data_set)})
    result = {
        **describe_pipeline(pipeline),
        "data": describe_data(data_set, unreadable),
        "seeds": seeds,
        "by_seed": {str(seed): compare(rows) for seed, rows in zip(seeds, scored)},
        "over_seeds": {
            name: {key: spread([getattr(rows[name], key) for rows in scored]) for key in row.SAMPLED}
            for name, row in scored[0].items()
        },
    }
    if oracle:
        result["oracle"] = compare({**scored[0], "vat": oracle_row(config, seeds[0], data_set, work_dir, device)})
    return result


def oracle_row(config: TrainConfig, seed: int, data_set: ImageSet, work_dir: Path, device: str) -> Scores:
    """The same translator, trained with the clean images' labels on the degraded ones and without the mix."""
    supervised = replace(
        config,
        seed=seed,
        val=None,
        teacher=replace(config.teacher, oracle=True),
        objective=replace(
            config.objective, alpha=None, background="ignore_dropped", mixed_clean_task=0.0, uncertainty="none"
        ),
    )
    return vat_rows(trained(supervised, work_dir / "oracle", device), data_set)["vat"]


def table(record: dict[str, Any]) -> str:
    """The result as Markdown."""
    metrics = headings(record.get("protocol", {}))
    shown = {key: metrics[key] for key in next(iter(record["over_seeds"].values()))}
    lines = [f"| row | {' | '.join(shown.values())} |", "|---" + "|---:" * len(shown) + "|"]
    for name, by_metric in record["over_seeds"].items():
        lines.append(f"| {name} | {' | '.join(map(cell, by_metric.values()))} |")
    if "oracle" in record:
        rows = record["oracle"]["rows"]["vat"]
        values = " | ".join(f"{rows[key]:.3f}" for key in shown)
        lines.append(f"| oracle: the clean images' labels | {values} |")
    shares = ", ".join(f"{found['recovered']['vat']:.0%}" for found in record["by_seed"].values() if found["recovered"])
    text = "\n".join(lines) + f"\n\nSeeds {', '.join(map(str, record['seeds']))}; mean ± standard deviation.\n"
    if shares:
        text += f"Recovered of the gap from degraded to clean, by seed: {shares}"
        oracle = record.get("oracle", {}).get("recovered", {}).get("vat")
        text += f"; oracle: {oracle:.0%}.\n" if oracle is not None else ".\n"
    text += "".join(f"{sentence}\n" for sentence in unread(record["data"]))
    for seed, found in record["by_seed"].items():
        text += f"\nSeed {seed}, paired bootstrap over images:\n\n{difference_table(found['differences'], metrics)}"
    return text


def write_result(out: Path, result: dict[str, Any], table: Callable[[dict[str, Any]], str]) -> None:
    """Write a result, with the command and the environment, as JSON and as Markdown, and print the table."""
    record = {"command": portable_command(sys.argv), **result, "environment": environment()}
    text = table(record)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    out.with_suffix(".md").write_text(text)
    print(text)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--oracle", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the result's path without its suffix")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    result = measure(TrainConfig.from_file(args.config), args.seeds, args.oracle, args.work_dir, args.device)
    write_result(args.out, result, table)


if __name__ == "__main__":
    main()
