"""Put records side by side from a clone, without installing: the same as ``tdir compare``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tdir.cli import run

if __name__ == "__main__":
    sys.exit(run("compare", sys.argv[1:], prog="tools/compare.py"))
