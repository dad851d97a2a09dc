"""Train a restorer from a clone, without installing: the same as ``tdir train-restorer``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tdir.cli import run

if __name__ == "__main__":
    sys.exit(run("train-restorer", sys.argv[1:], prog="tools/train_restorer.py"))
