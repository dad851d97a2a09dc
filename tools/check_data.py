"""Look a data set over from a clone, without installing: the same as ``tdir check``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tdir.cli import run

if __name__ == "__main__":
    sys.exit(run("check", sys.argv[1:], prog="tools/check_data.py"))
