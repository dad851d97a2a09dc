"""What the whole repository promises, where no tool checks it."""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tdir

ROOT = Path(__file__).parents[1]
FOLDERS = ["tdir", "configs", "benchmarks", "tools", "tests"]
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def locked() -> dict[str, Requirement]:
    """The lock's packages for this interpreter and system."""
    lines = (ROOT / "requirements/lock.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name: r for r in requirements if r.marker is None or r.marker.evaluate()}


def unsafe_loads(source: str) -> list[int]:
    """Lines that call ``torch.load`` without ``weights_only=True``, and so may run code from the file."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    return [c.lineno for c in loads if "weights_only=True" not in [ast.unparse(k) for k in c.keywords]]


def test_no_file_is_longer_than_400_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in SOURCES}
    assert len(lengths) > 10
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_checkpoints_are_read_as_weights_only():
    assert unsafe_loads("import torch\ntorch.load('a.pt')\ntorch.load('b.pt', weights_only=True)") == [2]
    shipped = [path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts]
    found = {str(path.relative_to(ROOT)): unsafe_loads(path.read_text(encoding="utf-8")) for path in shipped}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_ultralytics_is_not_imported_before_a_yolo_head_is_built():
    code = "import sys, tdir, tdir.cli; tdir.available(); print('ultralytics' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_the_version_is_the_packages(setup_cfg):
    assert tdir.__version__ == setup_cfg["metadata"]["version"]


def test_the_lock_holds_every_requirement(setup_cfg):
    groups = [setup_cfg["options"]["install_requires"], *setup_cfg["options.extras_require"].values()]
    wanted = [Requirement(line) for group in groups for line in group.splitlines() if line]
    pins = {name: next(iter(pin.specifier)).version for name, pin in locked().items()}
    assert [str(r) for r in wanted if not r.specifier.contains(pins.get(r.name, "0"))] == []


def test_the_lock_holds_one_opencv():
    assert [name for name in locked() if name.startswith("opencv")] == ["opencv-python-headless"]
