"""Train a restorer of tdir's on clean images and a degradation that tdir makes of them.

examples:
  tdir train-restorer configs/restorers/sci_dark.py
  tdir train-restorer configs/restorers/aodnet_streets.py --cfg-options optim.steps=500 --work-dir dehazer
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tdir.cli.arguments import Options, add_device_argument, folder
from tdir.training.restorer import RestorerConfig, train_restorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("config", type=Path, help="a config file, such as those in configs/restorers")
    parser.add_argument("--work-dir", type=folder, metavar="D", help="default: work_dirs/<config>")
    add_device_argument(parser)
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=Options,
        default={},
        metavar="KEY=VALUE",
        help="any setting, such as optim.lr=1e-4",
    )


def run(args: argparse.Namespace) -> int:
    """Train; the last line on stdout is the path of the weight file."""
    config = RestorerConfig.from_file(args.config, args.cfg_options)
    print(train_restorer(config, args.work_dir or Path("work_dirs") / args.config.stem, args.device))
    return 0
