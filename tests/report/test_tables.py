from __future__ import annotations

from typing import Any

import pytest

from tdir.report.tables import class_table, difference_table, markdown_table, quality_table, summary


def row(value: float) -> dict[str, Any]:
    overall = dict.fromkeys(("map", "ap50", "ap75", "medium", "large"), value)
    per_class = {
        "car": {"map": value, "ap50": 1.0, "truths": 12},
        "bus": {"map": None, "ap50": None, "truths": 0},
    }
    return {**overall, "small": None, "images": 5, "truths": 12, "per_class": per_class}


@pytest.fixture
def record() -> dict[str, Any]:
    bounds = {name: {"value": 0.5, "low": 0.25, "high": 0.75} for name in ("map", "ap50")}
    change = {"difference": 0.25, "low": -0.125, "high": 0.5, "above": 0.9, "p": 0.04}
    return {
        "rows": {"degraded": row(0.25), "vat": row(0.5)},
        "intervals": {"degraded": bounds, "vat": bounds},
        "differences": {"vat - degraded": {"map": change, "ap50": change}},
        "recovered": {"vat": 0.625},
        "samples": 100,
        "data": {"name": "voc5", "split": "test", "degradation": {"type": "haze", "light": 0.75}},
        "protocol": {"size": 320},
    }


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_become_lines(record: dict[str, Any]) -> None:
    header, rule, degraded, vat = markdown_table(record["rows"]).splitlines()
    assert cells(header) == ["row", "mAP50-95", "mAP50", "mAP75", "small", "medium", "large"]
    assert set(rule) <= set("|-: ")
    assert cells(degraded) == ["degraded", "0.250", "0.250", "0.250", "–", "0.250", "0.250"]
    assert cells(vat)[:2] == ["vat", "0.500"]
    assert len({len(line) for line in (header, rule, degraded, vat)}) == 1


def test_intervals_stand_beside_the_score(record: dict[str, Any]) -> None:
    lines = markdown_table(record["rows"], record["intervals"]).splitlines()
    assert cells(lines[3])[1:4] == ["0.500 (0.250 to 0.750)", "0.500 (0.250 to 0.750)", "0.500"]


def test_by_pascal_voc_s_rules_there_is_one_score(record: dict[str, Any]) -> None:
    record["protocol"] |= {"curve": "voc07", "title": "Pascal VOC 2007"}
    text = summary(record)
    assert "Scored by Pascal VOC 2007." in text
    assert "mAP50-95" not in text and "small" not in text
    lines = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["row", "mAP50"]
    assert ["mAP50", "objects", "degraded", "vat"] in lines
    assert ["vat - degraded", "mAP50", "+0.250", "-0.125 to +0.500", "0.040"] in lines


def test_classes_become_lines(record: dict[str, Any]) -> None:
    header, _, car, bus = class_table(record["rows"]).splitlines()
    assert cells(header) == ["mAP50-95", "objects", "degraded", "vat"]
    assert cells(car) == ["car", "12", "0.250", "0.500"]
    assert cells(bus) == ["bus", "0", "–", "–"]
    assert cells(class_table(record["rows"], "ap50").splitlines()[2]) == ["car", "12", "1.000", "1.000"]


def test_differences_have_signs(record: dict[str, Any]) -> None:
    lines = difference_table(record["differences"]).splitlines()
    assert cells(lines[2]) == ["vat - degraded", "mAP50-95", "+0.250", "-0.125 to +0.500", "0.040"]
    assert cells(lines[3])[1] == "mAP50"


def test_a_summary_says_what_was_measured(record: dict[str, Any]) -> None:
    text = summary(record)
    assert text.startswith("voc5 test: 5 images, haze (light 0.75), longest side 320; ")
    assert "100 bootstrap samples" in text
    assert "Recovered of the gap from degraded to clean, in mAP50-95: vat 62%." in text
    assert markdown_table(record["rows"], record["intervals"]) in text
    assert class_table(record["rows"]) in text
    assert difference_table(record["differences"]).rstrip() in text


def test_what_is_left_out_stands_under_the_table(record: dict[str, Any]) -> None:
    assert summary(record).endswith("Left out of every mean, as there is no object to find: bus.\n")
    record["data"]["unreadable"] = ["a.jpg", "b.jpg"]
    assert summary(record).endswith("Left out of every row, as they cannot be read, 2: a.jpg, b.jpg.\n")


def test_classes_that_the_head_does_not_know_stand_under_the_table(record: dict[str, Any]) -> None:
    assert "does not know" not in summary(record)
    record["data"]["unknown"] = ["gnu", "yak"]
    said = (
        "Classes of the set that the head does not know, 2: gnu, yak. They score 0 wherever there is an object to find."
    )
    assert said in summary(record)


def test_a_summary_of_real_images_at_native_size(record: dict[str, Any]) -> None:
    record |= {"data": {"name": "fog", "degradation": None}, "differences": {}, "recovered": {}}
    record["protocol"]["size"] = None
    text = summary(record)
    assert text.startswith("fog: 5 images, at native size; ")
    assert "Recovered" not in text
    assert "difference |" not in text


@pytest.fixture
def quality() -> dict[str, Any]:
    psnr = {"title": "PSNR", "unit": "dB", "direction": "higher", "range": [0, None], "needs_clean": True}
    niqe = {"title": "NIQE", "unit": "", "direction": "lower", "range": [0, None], "needs_clean": False}
    rows = {
        "clean": {"niqe": {"value": 3.5, "images": 5}},
        "degraded": {"psnr": {"value": 12.25, "images": 5}, "niqe": {"value": None, "images": 0}},
    }
    return {"images": 5, "metrics": {"psnr": psnr, "niqe": niqe}, "rows": rows}


def test_image_quality_is_a_table_with_directions(record: dict[str, Any], quality: dict[str, Any]) -> None:
    header, _, clean, degraded = quality_table(quality).splitlines()
    assert cells(header) == ["image quality", "PSNR (dB) ↑", "NIQE ↓"]
    assert cells(clean) == ["clean", "–", "3.500"]
    assert cells(degraded) == ["degraded", "12.250", "–"]
    text = summary({**record, "quality": quality})
    assert quality_table(quality).rstrip() in text
    assert "Image quality of 5 images at their own size; arrows point to the better. PSNR against the clean" in text
    assert "The others are flat or equal to the clean ones: NIQE of degraded 0 images." in text
    assert "Image quality" not in summary(record)
