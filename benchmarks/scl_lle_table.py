"""SCL-LLE's Table 4, a DeepLabV3+ on three cities of Cityscapes in the dark, with rows of one's own.

    python benchmarks/scl_lle_table.py --data-root downloads --pipeline sci_deeplab_cityscapes.tdir \
        --beside dcp sci:sci/easy.pt sci:sci/medium.pt sci:sci/difficult.pt zerodce:zero_dce/Epoch99.pth \
        zerodce:scl_lle/SCL-LLE.pth rave:rave/rave_paired.pth

Everything else is for ``tdir benchmark cityscapes-dark``, whose record and page stay in the work dir; where they are
already, nothing is scored again. The paper does not name its DeepLabV3+: with another one the rows are not comparable
in their level, only among themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdir.cli import run
from tdir.report.sweeps import SHOWN
from tdir.report.tables import table

PUBLISHED = json.loads((Path(__file__).parent / "published" / "scl_lle.json").read_text(encoding="utf-8"))


def merged(city: str, record: Mapping[str, Any]) -> str:
    """The paper's rows of a city, then those of a record, in percent."""
    lines = [["paper", name, *(f"{value:.2f}" for value in values)] for name, values in PUBLISHED["sets"][city].items()]
    columns = [record["columns"][label]["rows"] for label in PUBLISHED["columns"]]
    for row in columns[0]:
        values = [rows[row]["groups"].get(city) for rows in columns]
        cells = ["–" if value is None else f"{100 * value:.2f}" for value in values]
        lines.append(["here", SHOWN.get(row, row), *cells])
    return table(["", "row", *(f"gamma {label}" for label in PUBLISHED["columns"])], lines)


def main() -> None:
    """Score if need be, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/scl_lle_table"))
    args, others = parser.parse_known_args()
    file = args.work_dir / "record.json"
    if not file.is_file() and (code := run("benchmark", ["cityscapes-dark", *others, "--out", str(args.work_dir)])):
        sys.exit(code)
    record = json.loads(file.read_text(encoding="utf-8"))
    head = record["weights"]["head"]["name"]
    parts = ["# SCL-LLE, Table 4", f"{PUBLISHED['source']}. {PUBLISHED['unit']}. Here: {head}."]
    for city in PUBLISHED["sets"]:
        parts += [f"## {city}", merged(city, record)]
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    (args.work_dir / "table_4.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
