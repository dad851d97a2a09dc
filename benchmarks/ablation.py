"""What each term of Algorithm 1 is worth: the default with one setting changed, under several seeds.

    python benchmarks/ablation.py configs/aodnet_yolov8n_voc5_haze_strong.py --seeds 0 1 \
        --cfg-options optim.steps=300 size=256 --work-dir work_dirs/ablation \
        --out benchmarks/results/ablation_haze_strong

A row is nothing but options that ``tools/train_vat.py CONFIG --cfg-options`` takes. Rows that are done are kept in the
work dir: ``--only NAME ...`` divides the work between processes, and a last call for all of them, or for some that
include the default, writes the table.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from several_seeds import spread, trained, write_result

from tdir.cli.arguments import Options
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.evaluation import readable, vat_rows
from tdir.registry import closest
from tdir.report.records import describe_data, describe_pipeline
from tdir.report.tables import unread
from tdir.training.config import TrainConfig, build_data

DEFAULT = "default"
PAPER = {
    "objective.cycle": 1.0,
    "objective.lambda_per": "step",
    "objective.mix_power": 1.0,
    "objective.uncertainty": "paper",
    "objective.background": "all",
    "objective.clean_through_gate": 0.0,
    "teacher.epsilon": 0.9,
}
VARIANTS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "paper": PAPER,
    "lambda_per_step": {"objective.lambda_per": "step"},
    "weights_lambda": {"objective.mix_power": 1.0},
    "weights_u": {"objective.uncertainty": "paper"},
    "weights_umix": {"objective.uncertainty": "umix"},
    "weights_certain": {"objective.uncertainty": "certain"},
    "background_all": {"objective.background": "all"},
    "background_dropped": {"objective.background": "ignore_dropped"},
    "epsilon_0.9": {"teacher.epsilon": 0.9},
    "labels_degraded_only": {"teacher.sources": ["image"]},
    "labels_restored_only": {"teacher.sources": ["restored"]},
    "no_gate": {"translator.gate": False},
    "cycle": {"objective.cycle": 1.0},
    "no_clean_term": {"objective.clean_task": 0.0},
    "no_degraded_labels": {"objective.degraded_task": 0.0},
    "no_clean_labels_on_mix": {"objective.mixed_clean_task": 0.0},
    "no_mix": {"objective.alpha": None},
    "no_clean_through_gate": {"objective.clean_through_gate": 0.0},
}
ROWS = ("vat", "clean + vat")


def scored(config: TrainConfig, data_set: ImageSet, work_dir: Path, device: str) -> dict[str, Any]:
    """mAP50-95 and mAP50 of one training on the degraded images and on the clean ones, found or made."""
    file = work_dir / "scores.json"
    pipeline = trained(config, work_dir, device)
    if not file.exists():
        rows = vat_rows(pipeline, data_set)
        file.write_text(json.dumps({row: {"map": rows[row].map, "ap50": rows[row].ap50} for row in ROWS}))
    return {"scores": json.loads(file.read_text()), **describe_pipeline(pipeline)}


def measure(
    path: Path, names: list[str], seeds: list[int], options: dict[str, Any], work_dir: Path, device: str = "cpu"
) -> dict[str, Any]:
    """Every named variant under every seed, as JSON values.

    Raises:
        ConfigError: if a name is not a variant, or the config has no labelled set with clean images.
    """
    for name in names:
        if name not in VARIANTS:
            raise ConfigError(f"no variant {name!r}: {closest(name, VARIANTS)}")
    base = {**options, "teacher.cache_dir": str(work_dir / "cache")}  # every variant looks at the same images
    val = TrainConfig.from_file(path, base).val
    if val is None or "degradation" not in val:
        raise ConfigError(f"{path} has no 'val' with a 'degradation': an ablation scores degraded and clean images")
    data_set, unreadable = readable(build_data(val))
    found = {}
    for name in names:
        by_seed = []
        for seed in seeds:
            config = TrainConfig.from_file(path, {**base, **VARIANTS[name], "seed": seed, "val": None})
            by_seed.append(scored(config, data_set, work_dir / f"{name}-{seed}", device))
        found[name] = {
            "options": VARIANTS[name],
            **{
                row: {key: spread([one["scores"][row][key] for one in by_seed]) for key in ("map", "ap50")}
                for row in ROWS
            },
        }
    about = {key: by_seed[0][key] for key in ("pipeline", "weights", "protocol")}
    return {"seeds": seeds, "options": options, "data": describe_data(data_set, unreadable), **about, "variants": found}


def table(record: dict[str, Any]) -> str:
    """The result as Markdown; differences are to the default under the same seed."""
    lines = [
        "| variant | options | vat | to the default | clean + vat |",
        "|---|---|---:|---:|---:|",
    ]
    variants = record["variants"]
    for name, found in variants.items():
        options = ", ".join(f"`{key}={value}`" for key, value in found["options"].items()) or "–"
        own, default = (variants[key]["vat"]["map"]["values"] for key in (name, DEFAULT))
        change = "–" if name == DEFAULT else _signed(spread([a - b for a, b in zip(own, default)]))
        lines.append(f"| {name} | {options} | {_cell(found['vat'])} | {change} | {_cell(found['clean + vat'])} |")
    seeds = ", ".join(map(str, record["seeds"]))
    shared = "".join(f", {key}={value}" for key, value in record["options"].items())
    return "\n".join(lines) + (
        f"\n\nmAP50-95, mean ± standard deviation over seeds {seeds}{shared}. Differences are the mean and the "
        "deviation of those under the same seed.\n" + "".join(f"{sentence}\n" for sentence in unread(record["data"]))
    )


def _cell(found: dict[str, Any]) -> str:
    return f"{found['map']['mean']:.3f}{_deviation(found['map'])}"


def _signed(found: dict[str, Any]) -> str:
    return f"{found['mean']:+.3f}{_deviation(found)}"


def _deviation(found: dict[str, Any]) -> str:
    return "" if found["deviation"] is None else f" ± {found['deviation']:.3f}"


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--cfg-options", nargs="+", action=Options, default={}, metavar="KEY=VALUE", help="what all rows share"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train and score these rows alone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the result's path without its suffix")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    names = args.only or list(VARIANTS)
    result = measure(args.config, names, args.seeds, args.cfg_options, args.work_dir, args.device)
    if DEFAULT in names:  # what all differences are to
        write_result(args.out, result, table)


if __name__ == "__main__":
    main()
