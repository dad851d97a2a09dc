from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tdir
from tdir.cli import COMMANDS, main
from tdir.errors import WeightsError

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: tdir {command}" in said
    assert f"\n  tdir {command}" in said


def test_the_version_and_every_command_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"tdir {tdir.__version__}\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and what in said for name, (_, what) in COMMANDS.items())


def test_an_unknown_command_is_answered_with_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["trian"])
    assert left.value.code == 2
    assert "'trian'" in (said := capsys.readouterr().err)
    assert "benchmark" in said


def test_list_prints_what_is_available(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert {kind: ", ".join(names) or "none" for kind, names in tdir.available().items()} == lines


def test_a_mistake_is_one_line_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"")
    wrong = ["infer", str(image), "--pipeline", "nothing.tdir", "--out", str(tmp_path / "out")]
    assert main(wrong) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no weight file 'nothing.tdir'; looked at: ")
    assert said.count("\n") == 1
    with pytest.raises(WeightsError, match=r"nothing\.tdir"):
        main([*wrong, "--debug"])


def test_a_clone_works_without_installing(tmp_path: Path) -> None:
    # One process for all of them, isolated from this one's path: torch takes seconds to import.
    code = """import contextlib, runpy, sys
for tool in sys.argv[1:]:
    sys.argv = [tool, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_path(tool, run_name="__main__")
"""
    tools = sorted(map(str, TOOLS.glob("*.py")))
    done = subprocess.run([sys.executable, "-I", "-c", code, *tools], cwd=tmp_path, capture_output=True, text=True)
    usages = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("usage: ")]
    assert usages == [f"tools/{Path(tool).name}" for tool in tools], done.stderr
    assert len(usages) == len(COMMANDS) - 1  # all but `tdir list`


def test_help_needs_no_torch() -> None:
    code = "import sys, contextlib; from tdir.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])\n"
    code += "print(*sorted({'torch', 'mmengine', 'cv2'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: tdir")
    assert done.stderr.split() == []
