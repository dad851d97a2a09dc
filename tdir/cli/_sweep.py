"""The benchmarks that are sweeps: a published set at several strengths of a degradation."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdir import distributed
from tdir.data.published import located
from tdir.data.sample import ImageSet
from tdir.data.sweeps import SWEEPS
from tdir.errors import ConfigError
from tdir.evaluation import Scoring, readable
from tdir.memory import automatic
from tdir.metrics.scores import Scores
from tdir.pipeline import Pipeline
from tdir.predictions import until_done
from tdir.report.page import changed
from tdir.report.pictures import draw, seen
from tdir.report.records import FORMAT, compare, describe_scored, environment, portable_command, save_record
from tdir.report.sweeps import Seen, sweep_summary, write_sweep_page
from tdir.sweep import beside, columns_of, sweep, systems_of
from tdir.training.config import build_data


def score_sweep(args: argparse.Namespace, pipeline: Pipeline, about: Mapping[str, Any], out: Path) -> None:
    """Score, write ``record.json``, ``table.md`` and ``page.html``, print the table.

    Args:
        args: of ``tdir benchmark``; ``benchmark`` is a key of ``SWEEPS``.
        pipeline: on its device.
        about: what a record says of it.
        out: where the files go.
    """
    _check(args)
    wanted = SWEEPS[args.benchmark]
    noise = args.degradation_options or {}
    strengths = {label: None if one is None else {**one, **noise} for label, one in wanted.columns.items()}
    reader = {**located(wanted.of, args.data_root), **wanted.settings}
    base, unreadable = readable(build_data(reader), args.limit)
    columns = columns_of(base, strengths, args.seed)
    systems = systems_of(pipeline, beside(args.beside, next(pipeline.head.parameters()).device))
    with until_done(out) as unfinished:
        scoring = Scoring(None, args.batch_size or automatic(pipeline), args.launcher != "none", unfinished)
        found = sweep(systems, columns, scoring)
        if not distributed.is_first():
            return
        photos = [base.photo(i) for i in range(len(base))]
        record = {
            "format": FORMAT,
            "command": portable_command(args.command_line),
            "seed": args.seed,
            "sweep": {"name": args.benchmark, "strength": wanted.strength, "columns": strengths},
            **about,
            "data": describe_scored(reader, base, pipeline.head, unreadable),
            "samples": args.samples,
            "columns": {label: compare(rows, args.samples, args.seed, photos) for label, rows in found.items()},
            "environment": environment(),
        }
        save_record(out / "record.json", record)
        text = sweep_summary(record)
        (out / "table.md").write_text(text, encoding="utf-8")
        write_sweep_page(out / "page.html", record, found, _seen(systems, columns, found, args.examples))
        print(text)


def _check(args: argparse.Namespace) -> None:
    """Raise a ConfigError if something is asked for that a sweep has settled or does not do."""
    settled = (
        "data", "layout", "split", "originals", "classes", "degradation", "protocol", "plus_one", "quality", "pictures",
    )  # fmt: skip
    given = [f"--{name.replace('_', '-')}" for name in settled if getattr(args, name)]
    if given:
        raise ConfigError(f"{args.benchmark} says what is scored and how, but {', '.join(given)} given too: leave out")
    if wrong := (args.degradation_options or {}).keys() & {"type", "gamma"}:
        raise ConfigError(
            f"{args.benchmark} has a gamma for each column, got {', '.join(sorted(wrong))}=: leave it out"
        )


def _seen(
    systems: Mapping[str, Pipeline],
    columns: Mapping[str, ImageSet],
    found: Mapping[str, Mapping[str, Scores]],
    count: int,
) -> list[Seen]:
    """The images that gain most where the degradation is strongest, at every strength."""
    strongest = list(columns)[-1]
    clean = columns[strongest].clean or columns[strongest]
    best, _ = changed(found[strongest], count)
    rows = [row for row in ("degraded", "restorer", "vat") if row in systems]
    shown = []
    for i, _ in best:
        pictures = {
            label: {row: seen(systems[row], data_set.image(i)) for row in rows} for label, data_set in columns.items()
        }
        truth = clean.truth(i)
        assert truth is not None
        shown.append(Seen(clean.names[i], draw(clean.image(i), truth, clean.classes), pictures))
    return shown
