"""VaT's Table 1 (RTTS and VOCh-test), 2 (how their images look) or 3 (VOCd-test and ExDark), with rows of one's own.

    python benchmarks/vat_tables.py 1 --data-root downloads --pipeline aodnet_yolov3_voch.tdir --head yolov3_voc5.pt
    python benchmarks/vat_tables.py 2 --data-root downloads --pipeline aodnet_yolov3_voch.tdir --head yolov3_voc5.pt
    python benchmarks/vat_tables.py 3 --data-root downloads --pipeline sci_yolov5_vocd.tdir --head yolov5_voc10.pt

Every set is scored by ``tdir benchmark SET --protocol voc12``, whose record and page stay in the work dir; what is
there already is not scored again. Where the paper has image quality, ``--quality`` is added; what that needs is in
``tdir/metrics/quality.py``. The paper's detectors were trained on the clean images of VOCh-train and VOCd-train:
with another head, such as a COCO-trained YOLO, the rows are not comparable in their level, only among themselves.
Left out are the average precisions of CycleGAN, CUT, MSPC, SRC, SPR and EnlightenGAN, and in Table 3 all else of other
methods than SCI's and VaT's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdir.cli import run
from tdir.report.side_by_side import read_record
from tdir.report.tables import table

PUBLISHED = json.loads((Path(__file__).parent / "published" / "vat.json").read_text(encoding="utf-8"))
OURS = {"clean": "clean", "degraded": "degraded", "restorer": "restorer only", "vat": "VaT"}


def scored(name: str, arguments: list[str], folder: Path, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """The record of a set with these metrics of image quality, found or made."""
    file = folder / "record.json"
    if file.is_file():
        record = read_record(file)
        if set(metrics) <= set(record.get("quality", {}).get("metrics", ())):
            return record
    quality = ["--quality", *metrics] if metrics else []
    code = run("benchmark", [name, *arguments, *quality, "--protocol", "voc12", "--out", str(folder)])
    if code:
        sys.exit(code)
    return read_record(file)


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


def qualities(published: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> its column, of the image quality that the paper has of a set."""
    return {column.lower(): column for column in published.get("quality", {}).get("columns", ())}


def merged_quality(published: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """The paper's image quality, then that of a record."""
    names, found = qualities(published), record["quality"]["rows"]
    lines = [["paper", row, *map(_number, values)] for row, values in published["quality"]["rows"].items()]
    for row, name in OURS.items():
        if row in found:
            lines.append(["here", name, *(_number(found[row].get(key, {}).get("value")) for key in names)])
    return table(["", "row", *names.values()], lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _explained(wanted: Mapping[str, Any]) -> str:
    """Where the numbers of a table are from and what they are."""
    units = {"columns": PUBLISHED["unit"], "quality": PUBLISHED["quality_unit"]}
    kinds = [unit for key, unit in units.items() if any(key in one for one in wanted["sets"].values())]
    heads = [f"Heads there: {wanted['heads']}"] if "heads" in wanted else []
    return " ".join(f"{sentence}." for sentence in [PUBLISHED["source"], *kinds, *heads])


def main() -> None:
    """Score what is missing, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(key for key in PUBLISHED if key.isdigit()))
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/vat_tables"))
    args, others = parser.parse_known_args()
    wanted = PUBLISHED[args.table]
    parts = [f"# VaT, Table {args.table}", _explained(wanted)]
    for name, published in wanted["sets"].items():
        record = scored(name, others, args.work_dir / f"{args.table}_{name}", list(qualities(published)))
        head = record["weights"]["head"]["name"]
        parts += [f"## {name}", f"Here: {head}, {record['data']['images']} images."]
        parts += [merged(published, record)] if "columns" in published else []
        parts += [merged_quality(published, record)] if "quality" in published else []
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    (args.work_dir / f"table_{args.table}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
