"""Make VOCh or VOCd from a clone, without installing: the same as ``tdir prepare``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tdir.cli import run

if __name__ == "__main__":
    sys.exit(run("prepare", sys.argv[1:], prog="tools/prepare_data.py"))
