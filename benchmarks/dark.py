"""Train a config under several seeds, and score each bundle on a set at several strengths of darkness.

    python benchmarks/dark.py camvid-dark configs/sci_deeplab_camvid_dark.py --seeds 0 1 2 --size 480 \
        --beside dcp sci:sci/easy.pt --work-dir work_dirs/camvid_dark --out benchmarks/results/sci_deeplab_camvid_dark

Methods in rows, strengths in columns, as in Table 4 of SCL-LLE (AAAI 2022). VaT's row is the mean over the seeds with
its standard deviation; the others know of no seed. A seed whose bundle exists is scored, not trained again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from several_seeds import cell, spread, trained, write_result

from tdir.data.published import located
from tdir.data.sweeps import SWEEPS
from tdir.evaluation import Scoring, readable
from tdir.metrics.scores import Scores
from tdir.report.records import compare, describe_pipeline, describe_scored
from tdir.report.sweeps import SHOWN
from tdir.report.tables import DIFFERENCE, difference_cells, headings, main_of
from tdir.report.tables import table as aligned
from tdir.sweep import beside, columns_of, sweep, systems_of
from tdir.training.config import TrainConfig, build_data


def measure(
    name: str, config: TrainConfig, seeds: Sequence[int], others: Sequence[str], size: int | None, work_dir: Path
) -> dict[str, Any]:
    """Rows, differences and spreads of a config at every strength, as JSON values."""
    wanted = SWEEPS[name]
    # Every seed looks at the same images: one cache serves them all.
    config = replace(config, val=None, teacher=replace(config.teacher, cache_dir=str(work_dir / "cache")))
    reader = {**located(wanted.of), **wanted.settings}
    base, unreadable = readable(build_data(reader))
    columns = columns_of(base, wanted.columns, config.seed)
    scored: list[dict[str, dict[str, Scores]]] = []
    for seed in seeds:
        pipeline = trained(replace(config, seed=seed), work_dir / f"seed-{seed}", "cpu")
        pipeline.size = size or pipeline.size
        systems = {"vat": pipeline} if scored else systems_of(pipeline, beside(others))
        found = sweep(systems, columns, Scoring())
        scored.append({label: {**(scored[0][label] if scored else {}), **rows} for label, rows in found.items()})
    by_seed = {
        str(seed): {label: compare(rows) for label, rows in by_label.items()} for seed, by_label in zip(seeds, scored)
    }
    return {
        "sweep": {"name": name, "strength": wanted.strength, "columns": dict(wanted.columns)},
        **describe_pipeline(pipeline),
        "data": describe_scored(reader, base, pipeline.head, unreadable),
        "seeds": list(seeds),
        "by_seed": by_seed,
        "over_seeds": {
            row: {
                label: {key: spread([getattr(one[label][row], key) for one in scored]) for key in scores.SAMPLED}
                for label in columns
            }
            for row, scores in next(iter(scored[0].values())).items()
            if row != "clean"
        },
    }


def table(record: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    metrics = headings(record["protocol"])
    labels = [f"{record['sweep']['strength']} {label}" for label in record["sweep"]["columns"]]
    parts = []
    for metric, heading in metrics.items():
        lines = [
            [SHOWN.get(row, row), *(cell(one[metric]) for one in by_label.values())]
            for row, by_label in record["over_seeds"].items()
        ]
        parts.append(aligned([heading, *labels], lines))
    parts.append(f"Seeds {', '.join(map(str, record['seeds']))}; mean ± standard deviation.\n")
    main = main_of(metrics)
    lines = []
    for seed, by_label in record["by_seed"].items():
        for label, column in by_label.items():
            for pair, by_metric in column["differences"].items():
                lines.append([f"seed {seed}, {label}: {pair}", *difference_cells(by_metric[main])])
    parts.append(aligned([f"difference in {metrics[main]}", *DIFFERENCE], lines))
    return "\n".join(parts)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=SWEEPS)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--beside", nargs="+", default=[], metavar="NAME[:WEIGHTS]", help="more restorers, as rows")
    parser.add_argument("--size", type=int, help="score at this longest side; default: that of the training")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the result's path without its suffix")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = TrainConfig.from_file(args.config)
    write_result(args.out, measure(args.benchmark, config, args.seeds, args.beside, args.size, args.work_dir), table)


if __name__ == "__main__":
    main()
