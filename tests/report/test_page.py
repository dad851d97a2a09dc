"""The page of a benchmark: what it says, that it needs nothing else, and that it works in a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tdir.evaluation import recovered, recovered_by_class
from tdir.metrics.protocols import PROTOCOLS
from tdir.metrics.scores import DetectionScores
from tdir.report.page import Example, changed, write_page
from tdir.report.records import write_record
from tests.metrics.scenes import detections

BOX, STRAY = [0, 0, 40, 40], [0, 200, 40, 240]
FOUND = {"clean": [True] * 4, "degraded": [False, False, True, True], "vat": [True, True, True, False]}


def row(found: list[bool], protocol: str = "coco") -> DetectionScores:
    metric = PROTOCOLS[protocol].metric(["car", "<b>bus</b>"])
    metric.update(
        [detections([BOX if right else STRAY], [0], [0.9]) for right in found],
        [detections([BOX], [0]) for _ in found],
    )
    return metric.compute()


def example(name: str, change: float) -> Example:
    before, after = (np.full((60, 80, 3), level, dtype=np.uint8) for level in (40, 220))
    return Example(name, change, before, after)


def made(folder: Path, protocol: str = "coco") -> tuple[str, dict[str, Any]]:
    rows = {name: row(found, protocol) for name, found in FOUND.items()}
    data = {"name": "fog", "split": "test", "degradation": None, "unreadable": ["broken.jpg"]}
    rules = {**PROTOCOLS[protocol].settings(), "size": 320}
    record = write_record(
        folder / "record.json", rows, samples=20, command="tdir benchmark", data=data, protocol=rules, weights={}
    )
    write_page(folder / "page.html", record, rows, [example("a <i>name</i>.png", 1.0)], [example("d.png", -1.0)])
    return (folder / "page.html").read_text(encoding="utf-8"), record


def test_the_page_says_what_the_record_says(tmp_path):
    text, record = made(tmp_path)
    for name, scores in record["rows"].items():
        assert re.search(rf"<td>{name}</td><td>{scores['map']:.3f} <small>", text)
    cells = [
        rf"<td>{scores['map']:.3f} <small>{scores['low']:.3f} to {scores['high']:.3f}</small></td>"
        for name in record["rows"]
        for scores in [{**record["rows"][name]["per_class"]["car"], **record["class_intervals"][name]["car"]["map"]}]
    ]
    assert "<td>car</td><td>4</td>" + "".join(cells) in text
    assert "<td>&lt;b&gt;bus&lt;/b&gt;</td><td>0</td>" + "<td>–</td>" * 3 in text
    share = record["recovered"]["vat"]
    assert 0 < share < 1
    assert f"Recovered of the gap from degraded to clean, in mAP50-95: vat {share:.0%}." in text
    assert "as they cannot be read, 1: broken.jpg" in text
    assert "<td>car</td><td>2</td><td>2</td><td>2</td><td>3</td><td>1</td><td>1</td>" in text
    assert "<svg" in text and "precision" in text
    assert "Most improved" in text and "+1.000" in text and "Most harmed" in text and "-1.000" in text
    assert "tdir benchmark" in text


def several(**found: list[list[bool]]) -> dict[str, DetectionScores]:
    """Rows of three classes, each found in these of its two images; "cow" has no object."""
    rows = {}
    for name, by_class in found.items():
        metric = PROTOCOLS["coco"].metric(["car", "$b$ & <i>us</i>", "van", "cow"])
        for label, hits in enumerate(by_class):
            metric.update(
                [detections([BOX if hit else STRAY], [label], [0.9]) for hit in hits],
                [detections([BOX], [label]) for _ in hits],
            )
        rows[name.replace("_", " + ")] = metric.compute()
    return rows


FULL, HALF, NONE = [True, True], [True, False], [False, False]


def written(folder: Path, rows: dict[str, DetectionScores]) -> str:
    record = write_record(folder / "r.json", rows, samples=5, data={"name": None}, protocol={}, weights={})
    write_page(folder / "page.html", record, rows)
    return (folder / "page.html").read_text(encoding="utf-8")


def test_what_is_won_back_is_drawn_by_class(tmp_path):
    rows = several(
        clean=[FULL, FULL, HALF],
        degraded=[NONE, HALF, HALF],
        restorer=[HALF, NONE, HALF],
        vat=[FULL, HALF, HALF],
        clean_vat=[FULL, FULL, HALF],
    )
    text = written(tmp_path, rows)
    drawn = text[text.index('id="gap"') : text.index("Precision over recall")]
    shares = {row: recovered(rows, row) for row in ("restorer", "vat")}
    assert recovered_by_class(rows, "vat") == {"car": pytest.approx(1), "$b$ & <i>us</i>": pytest.approx(0)}
    numbers = [f"{share:.0%}" for share in shares.values()]
    # A class that loses more than it can win is drawn to the left of 0, with its number.
    assert recovered_by_class(rows, "restorer")["$b$ & <i>us</i>"] < -0.9
    for word in ("mean", "car", "restorer", "vat", "-102%", *numbers):
        assert f"<!-- {word} -->" in drawn, word
    assert "van" not in re.sub("Left out.*", "", drawn)
    assert "Left out, as the degradation takes nothing from them: van." in drawn
    assert "Left out of every mean, as there is no object to find: cow." in text
    assert "<i>us" not in text


def test_without_a_gap_nothing_is_drawn(tmp_path):
    same = [FULL, FULL, HALF]
    for rows in (several(degraded=same, restorer=same), several(clean=same, degraded=same, restorer=same)):
        assert 'id="gap"' not in written(tmp_path, rows)
    assert recovered_by_class(several(degraded=same), "degraded") == {}


def test_the_page_needs_nothing_else_and_runs_nothing_of_the_data(tmp_path):
    text, _ = made(tmp_path)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert "<i>name</i>" not in text and "&lt;i&gt;name&lt;/i&gt;" in text
    assert "<b>bus</b>" not in text
    assert "@import" not in text and "url(http" not in text


def test_the_same_record_makes_the_same_page(tmp_path):
    assert made(tmp_path / "a")[0] == made(tmp_path / "b")[0]


def test_by_pascal_voc_s_rules_there_is_one_score(tmp_path):
    text, _ = made(tmp_path, "voc07")
    assert "<th>mAP50</th>" in text and "mAP50-95" not in text and "medium" not in text


def test_without_changes_there_are_no_pictures(tmp_path):
    rows = {"degraded": row([True]), "restorer": row([True])}
    record = write_record(tmp_path / "r.json", rows, samples=5, data={"name": None}, protocol={}, weights={})
    write_page(tmp_path / "page.html", record, rows)
    text = (tmp_path / "page.html").read_text()
    assert "Most improved" not in text and '<input type="range"' not in text


def test_the_most_improved_and_the_most_harmed_images():
    rows = {name: row(found) for name, found in FOUND.items()}
    assert changed(rows, 6) == ([(0, 1.0), (1, 1.0)], [(3, -1.0)])
    assert changed(rows, 1) == ([(0, 1.0)], [(3, -1.0)])
    assert changed(rows, 0) == ([], [])
    assert changed({"degraded": rows["vat"], "restorer": rows["vat"]}, 6) == ([], [])


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium, if there is one."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium and chromedriver on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.mark.browser
def test_a_slider_shows_more_of_the_image_before_and_the_table_can_be_read(tmp_path, browser):
    _, record = made(tmp_path)
    browser.get((tmp_path / "page.html").as_uri())
    lines = browser.find_elements("css selector", "#scores tbody tr")
    assert [line.text.split()[0] for line in lines] == list(FOUND)
    assert lines[2].text.split()[1] == f"{record['rows']['vat']['map']:.3f}"

    bars = browser.find_element("css selector", "#gap svg")
    assert bars.size["width"] > 300 and bars.size["height"] > 60

    slider = browser.find_element("css selector", "input[type=range]")
    above = browser.find_elements("css selector", ".pair img")[1]
    assert above.size["width"] > 100
    assert above.value_of_css_property("clip-path").endswith(" 50%)")
    slider.send_keys("\ue012" * 20)  # the left arrow
    assert slider.get_attribute("value") == "30"
    assert above.value_of_css_property("clip-path").endswith(" 30%)")
    assert browser.get_log("browser") == []
