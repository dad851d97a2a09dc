"""VaT's Table 1 (RTTS and VOCh-test) or 3 (VOCd-test and ExDark) with rows of one's own beside the paper's.

    python benchmarks/vat_tables.py 1 --data-root downloads --pipeline aodnet_yolov3_voch.tdir --head yolov3_voc5.pt
    python benchmarks/vat_tables.py 3 --data-root downloads --pipeline sci_yolov5_vocd.tdir --head yolov5_voc10.pt

Every set is scored by ``tdir benchmark SET --protocol voc12``, whose record and page stay in the work dir; what is
there already is not scored again. The paper's detectors were trained on the clean images of VOCh-train and VOCd-train:
with another head, such as a COCO-trained YOLO, the rows are not comparable in their level, only among themselves.
Scores of CycleGAN, CUT, MSPC, SRC, SPR and EnlightenGAN are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdir.cli import run
from tdir.report.side_by_side import read_record
from tdir.report.tables import table

PUBLISHED = json.loads((Path(__file__).parent / "published" / "vat.json").read_text(encoding="utf-8"))
OURS = {"clean": "clean", "degraded": "degraded", "restorer": "restorer only", "vat": "VaT"}


def scored(name: str, arguments: list[str], folder: Path) -> dict[str, Any]:
    """The record of a set, found or made."""
    if not (folder / "record.json").is_file():
        code = run("benchmark", [name, *arguments, "--protocol", "voc12", "--out", str(folder)])
        if code:
            sys.exit(code)
    return read_record(folder / "record.json")


def merged(published: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """The paper's rows, then those of a record, in percent."""
    columns = published["columns"]
    lines = [["paper", name, *(f"{value:.2f}" for value in values)] for name, values in published["rows"].items()]
    for row, name in OURS.items():
        if row in record["rows"]:
            scores = record["rows"][row]
            by_name = {**{key: one["map"] for key, one in scores["per_class"].items()}, "mAP": scores["map"]}
            values = [by_name[column] for column in columns]
            lines.append(["here", name, *("–" if value is None else f"{100 * value:.2f}" for value in values)])
    return table(["", "row", *columns], lines)


def main() -> None:
    """Score what is missing, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(key for key in PUBLISHED if key.isdigit()))
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/vat_tables"))
    args, others = parser.parse_known_args()
    wanted = PUBLISHED[args.table]
    parts = [
        f"# VaT, Table {args.table}",
        f"{PUBLISHED['source']}. {PUBLISHED['unit']}. Heads there: {wanted['heads']}.",
    ]
    for name, published in wanted["sets"].items():
        record = scored(name, others, args.work_dir / f"{args.table}_{name}")
        head = record["weights"]["head"]["name"]
        parts += [f"## {name}", f"Here: {head}, {record['data']['images']} images.", merged(published, record)]
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    (args.work_dir / f"table_{args.table}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
