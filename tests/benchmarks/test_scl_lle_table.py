"""SCL-LLE's Table 4: what is printed beside ours is what was published, and ours is that of the city and the gamma."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from tdir.data.cityscapes import CLASSES
from tdir.data.sweeps import SWEEPS
from tdir.heads.deeplab import HEADER, network
from tests.benchmarks.conftest import Programs
from tests.data.maps import write, write_labels


@pytest.fixture(scope="module")
def program(program_named: Programs) -> ModuleType:
    return program_named("scl_lle_table")


def test_the_published_rows_fit_the_benchmark(program):
    sweep = SWEEPS["cityscapes-dark"]
    assert program.PUBLISHED["columns"] == list(sweep.columns)
    assert list(program.PUBLISHED["sets"]) == sweep.settings["cities"]
    for rows in program.PUBLISHED["sets"].values():
        assert list(rows) == ["input", "LIME", "RetinexNet", "ISSR", "Zero-DCE", "EnlightenGAN", "RUAS", "SCL-LLE"]
        # "when using original input, the segmentation with all the enhancement models could not surpass the input"
        assert max(rows.values(), key=lambda values: values[0]) == rows["input"]
        assert max(values[3] for values in rows.values()) == rows["SCL-LLE"][3]


def test_rows_stand_side_by_side_in_percent(program):
    def column(value: float) -> dict[str, object]:
        return {"rows": {"degraded": {"groups": {"lindau": value}}, "vat": {"groups": {"lindau": 2 * value}}}}

    columns = {label: column(0.01 * int(label)) for label in program.PUBLISHED["columns"]}
    lines = [line.strip("|").split("|") for line in program.merged("lindau", {"columns": columns}).splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[0] == ["", "row", "gamma 1", "gamma 2", "gamma 6", "gamma 10"]
    assert cells[2] == ["paper", "input", "62.30", "61.50", "30.54", "17.89"]
    assert cells[-2:] == [
        ["here", "input", "1.00", "2.00", "6.00", "10.00"],
        ["here", "VaT", "2.00", "4.00", "12.00", "20.00"],
    ]
    assert program.merged("munster", {"columns": columns}).count(" – ") == 8


def test_a_small_cityscapes_becomes_the_table(program, tmp_path: Path, monkeypatch, capsys):
    torch.manual_seed(0)
    described = {"model": "unet", "encoder": "tu-mobilenetv3_small_050", "names": list(CLASSES)}
    tensors = {name: value.contiguous() for name, value in network(described, "a test").state_dict().items()}
    save_file(tensors, tmp_path / "head.safetensors", {HEADER: json.dumps(described)})
    for seed, city in enumerate(("frankfurt", "lindau", "munster")):
        name = f"{city}_000000_000019"
        pixels = torch.randint(256, (32, 64, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
        write(tmp_path / f"cityscapes/leftImg8bit/val/{city}/{name}_leftImg8bit.png", pixels.numpy())
        write_labels(tmp_path / f"cityscapes/gtFine/val/{city}/{name}_gtFine_labelIds.png", 34, (32, 64))
    head = f"deeplab:{tmp_path / 'head.safetensors'}"
    argv = ["--data-root", str(tmp_path), "--restorer", "identity", "--head", head]
    monkeypatch.setattr("sys.argv", ["scl_lle_table.py", "--work-dir", str(tmp_path / "out"), *argv, "--samples", "5"])
    program.main()
    text = (tmp_path / "out" / "table_4.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    for city in program.PUBLISHED["sets"]:
        values = [100 * record["columns"][label]["rows"]["degraded"]["groups"][city] for label in ("1", "2", "6", "10")]
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.split(f"## {city}")[1].splitlines()]
        ours = next(line for line in lines if line[:2] == ["here", "input"])
        assert [float(cell) for cell in ours[2:]] == pytest.approx(values, abs=0.006)
    # What is there is not scored again: arguments that could not be scored are not looked at.
    monkeypatch.setattr("sys.argv", ["scl_lle_table.py", "--work-dir", str(tmp_path / "out"), "--head", "nowhere.pt"])
    program.main()
    assert (tmp_path / "out" / "table_4.md").read_text(encoding="utf-8") == text
