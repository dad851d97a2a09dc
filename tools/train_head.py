"""Train a detector from a clone, without installing: the same as ``tdir train-head``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tdir.cli import run

if __name__ == "__main__":
    sys.exit(run("train-head", sys.argv[1:], prog="tools/train_head.py"))
