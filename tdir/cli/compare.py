"""Put the records of several benchmarks side by side, and say where they were not measured alike.

examples:
  tdir compare work_dirs/benchmark_fog_voc5/record.json work_dirs/benchmark_dehazer_voc5/record.json
  tdir compare work_dirs/*/record.json
"""

from __future__ import annotations

import argparse

from tdir.report.side_by_side import names, read_record, side_by_side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("records", nargs="+", metavar="RECORD", help="record.json of tdir benchmark")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    records = [read_record(path) for path in args.records]
    print(side_by_side(dict(zip(names(args.records), records, strict=True))), end="")
    return 0
