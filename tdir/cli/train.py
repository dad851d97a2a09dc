"""Train a translator between a frozen restorer and a frozen head, without labels.

examples:
  tdir train configs/aodnet_yolov8n_voc5_haze_strong.py
  tdir train configs/aodnet_yolov8n_voc5_haze_strong.py --amp --seed 1 --cfg-options optim.lr=1e-4 objective.cycle=1
  tdir train configs/aodnet_yolov8n_voc5_haze_strong.py --resume
  tdir train --restorer aodnet:dehazer.pth --head yolov8n.pt --degraded fog/ --clean clear/ --classes person car
  tdir train --restorer sci:medium.pt --head yolov8n.pt --degraded night/ --clean day/ --preview
  torchrun --nproc_per_node 2 tools/train_vat.py configs/aodnet_yolov8n_voc5_haze_strong.py --launcher pytorch
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import torch

from tdir import distributed, parts
from tdir.cli.arguments import HEAD, Options, device, folder, natural, pair_name
from tdir.data.classes import match_classes
from tdir.errors import ConfigError, DataError
from tdir.training.config import TrainConfig, build_data
from tdir.training.preview import preview
from tdir.training.run import train

_PAIR = ("restorer", "head", "degraded", "clean", "val", "classes")
_NEEDED = _PAIR[:4]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("config", nargs="?", type=Path, help="a config file; or name a new pair with the options below")
    pair = parser.add_argument_group("a new pair, instead of a config")
    pair.add_argument("--restorer", metavar="NAME[:WEIGHTS]", help="'tdir list' prints the names")
    pair.add_argument("--head", metavar="[NAME:]WEIGHTS", help=HEAD)
    pair.add_argument("--degraded", metavar="DIR", help="unlabelled degraded images")
    pair.add_argument("--clean", metavar="DIR", help="unlabelled clean images, of other scenes")
    pair.add_argument("--val", metavar="DIR", help="a labelled set to score on, Pascal VOC or YOLO layout")
    pair.add_argument("--classes", nargs="+", metavar="NAME", help="the head's classes of interest; default: all")
    parser.add_argument(
        "--work-dir", type=folder, metavar="D", help="default: work_dirs/<config>, work_dirs/<restorer>_<head>"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the work dir")
    parser.add_argument("--amp", action="store_true", help="mixed precision: bf16 where the device has it, else fp16")
    parser.add_argument("--launcher", choices=distributed.LAUNCHERS, default="none", help="pytorch: under torchrun")
    parser.add_argument("--device", type=device, help="default: a GPU where there is one; cpu, cuda:1")
    parser.add_argument("--seed", type=natural, metavar="N", help="of weights, order and mixing")
    parser.add_argument(
        "--cfg-options", nargs="+", action=Options, metavar="KEY=VALUE", help="any setting, such as optim.lr=1e-4"
    )
    parser.add_argument(
        "--preview", action="store_true", help="show pseudo-labels, cost and advice instead of training"
    )


def run(args: argparse.Namespace) -> int:
    """Train, or show what a training would learn from; the last line on stdout is the bundle's path."""
    if args.preview and args.launcher != "none":
        raise ConfigError(f"--preview runs in one process: leave out --launcher {args.launcher}")
    device = distributed.start(args.launcher, args.device)
    try:
        if not distributed.is_first():
            logging.getLogger("tdir").setLevel(logging.WARNING)
        config = _config(args, device)
        work_dir = args.work_dir or Path("work_dirs") / _name(args)
        if args.preview:
            preview(config, work_dir, device)
            return 0
        _check(config)
        _, bundle = train(config, work_dir, args.resume, device)
        if distributed.is_first():
            print(bundle)
    finally:
        distributed.stop()
    return 0


def _config(args: argparse.Namespace, device: torch.device) -> TrainConfig:
    options: dict[str, Any] = dict(args.cfg_options or {})
    if args.seed is not None:
        options["seed"] = args.seed
    if args.amp:
        options["optim.precision"] = _mixed_precision(device)
    given = {name: getattr(args, name) for name in _PAIR if getattr(args, name) is not None}
    if args.config is None:
        missing = [f"--{name}" for name in _NEEDED if name not in given]
        if missing:
            raise ConfigError(f"a training needs a config file, or a new pair: {', '.join(missing)} missing")
        return TrainConfig.for_pair(**given, options=options)
    if given:
        raise ConfigError(
            f"{args.config} says what to train, but {', '.join(f'--{name}' for name in given)} given too: leave out "
            "one or the other, or change a setting of the config with --cfg-options"
        )
    try:
        return TrainConfig.from_file(args.config, options)
    except SyntaxError as error:
        raise ConfigError(f"{args.config} cannot be read: {error}") from error


def _mixed_precision(device: torch.device) -> str:
    """The precision of ``--amp``: bf16 needs no loss scaling, but GPUs before Ampere only emulate it."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16"
    return "bf16"


def _name(args: argparse.Namespace) -> str:
    return args.config.stem if args.config else pair_name(args.restorer, args.head)


def _check(config: TrainConfig) -> None:
    """Find now what is needed only after the teacher's work or at the end of the training.

    Raises:
        ConfigError: if the translator cannot be built, or the head knows no class of the validation set.
        DataError: if the validation set is missing or has no labels.
    """
    parts.build_part("translator", config.translator)
    if config.val is None:
        return
    data_set = build_data(config.val)
    if data_set.truth(0) is None:
        raise DataError(
            f"validation set {config.val['root']} has no labels: give one in Pascal VOC layout (Annotations, "
            "ImageSets) or YOLO layout (images, labels), or none"
        )
    match_classes(data_set.classes, parts.build_part("head", config.head).classes)
