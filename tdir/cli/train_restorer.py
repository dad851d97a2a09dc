"""Train a restorer of tdir's on clean images and a degradation that tdir makes of them.

examples:
  tdir train-restorer configs/restorers/sci_dark.py
  tdir train-restorer configs/restorers/aodnet_streets.py --cfg-options optim.steps=500 --work-dir dehazer
"""

from __future__ import annotations

import argparse

from tdir.cli.arguments import add_config_arguments, work_dir_of
from tdir.training.restorer import RestorerConfig, train_restorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add_config_arguments(parser, "configs/restorers", "optim.lr=1e-4")


def run(args: argparse.Namespace) -> int:
    """Train; the last line on stdout is the path of the weight file."""
    config = RestorerConfig.from_file(args.config, args.cfg_options)
    print(train_restorer(config, work_dir_of(args), args.device))
    return 0
