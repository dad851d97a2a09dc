"""Train a head on labelled images, to put translators before.

Detectors by ultralytics, whose weights are then AGPL-3.0, or by torchvision; segmentation networks by
segmentation-models-pytorch; CLIPs by open_clip.

examples:
  tdir train-head configs/heads/yolo_streets.py
  tdir train-head configs/heads/yolo_streets.py --cfg-options by.epochs=2 train.count=200 --work-dir detector
"""

from __future__ import annotations

import argparse

from tdir.cli.arguments import add_config_arguments, work_dir_of
from tdir.training.head import HeadConfig, train_head


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add_config_arguments(parser, "configs/heads", "by.epochs=3")


def run(args: argparse.Namespace) -> int:
    """Train; the last line on stdout is the path of the weight file."""
    config = HeadConfig.from_file(args.config, args.cfg_options)
    print(train_head(config, work_dir_of(args), args.device))
    return 0
