"""Train a detector on labelled images: a head to put translators before.

By ultralytics, whose weights are then AGPL-3.0, or by torchvision.

examples:
  tdir train-head configs/heads/yolo_streets.py
  tdir train-head configs/heads/yolo_streets.py --cfg-options by.epochs=2 train.count=200 --work-dir detector
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tdir.cli.arguments import Options, add_device_argument, folder
from tdir.training.detector import DetectorConfig, train_detector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("config", type=Path, help="a config file, such as those in configs/heads")
    parser.add_argument("--work-dir", type=folder, metavar="D", help="default: work_dirs/<config>")
    add_device_argument(parser)
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=Options,
        default={},
        metavar="KEY=VALUE",
        help="any setting, such as by.epochs=3",
    )


def run(args: argparse.Namespace) -> int:
    """Train; the last line on stdout is the path of the weight file."""
    config = DetectorConfig.from_file(args.config, args.cfg_options)
    print(train_detector(config, args.work_dir or Path("work_dirs") / args.config.stem, args.device))
    return 0
