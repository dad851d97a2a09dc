"""Argument types and the options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import DictAction

from tdir.parts import named

HEAD = "such as yolov8n.pt or retinanet:fpn.pth"
"""What ``--head`` takes, in words."""


class Options(DictAction):
    """``KEY=VALUE`` pairs as mmengine reads them; a value may be a number, true, false, None, or a list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the pairs to the namespace; a pair without "=" or with an open bracket is a wrong argument."""
        for pair in values or ():
            if not pair.partition("=")[0] or "=" not in pair:
                parser.error(f"argument {option_string}: expected KEY=VALUE, got {pair!r}")
            if any(pair.count(left) != pair.count(right) for left, right in ("()", "[]")):
                parser.error(f"argument {option_string}: a bracket is not closed in {pair!r}")
        super().__call__(parser, namespace, values, option_string)


def pair_name(restorer: str, head: str) -> str:
    """A name for results of a restorer and a head, as given on the command line."""
    config = named("head", head)
    return f"{named('restorer', restorer)['type']}_{Path(config.get('weights', config['type'])).stem}"


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text!r}")
    return int(text)


def folder(text: str) -> Path:
    """A folder that is there or can be made."""
    path = Path(text)
    for place in (path, *path.parents):
        if place.is_file():
            raise argparse.ArgumentTypeError(f"{str(place)!r} is a file, and results need a folder: give another name")
    return path


def device(text: str) -> torch.device:
    """A device that this machine has."""
    try:
        found = torch.device(text)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"unknown device {text!r}: cpu, cuda, cuda:1 ...") from error
    if found.type not in ("cpu", "cuda", "mps"):
        raise argparse.ArgumentTypeError(f"{text!r}: tdir computes on cpu, cuda or mps")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise argparse.ArgumentTypeError(f"{text!r}: torch finds {torch.cuda.device_count()} CUDA GPUs here")
    return found


def add_compute_arguments(parser: argparse.ArgumentParser, default_size: str) -> None:
    """``--size``, ``--batch-size`` and ``--device``; ``default_size`` in words."""
    parser.add_argument(
        "--size", type=positive, metavar="N", help=f"compute at this longest side, pixels; default: {default_size}"
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images at a time, halved where they do not fit into memory (default: what is free allows)",
    )
    add_device_argument(parser)


def add_config_arguments(parser: argparse.ArgumentParser, examples: str, option: str) -> None:
    """A config file with its options, ``--work-dir`` and ``--device``; ``examples`` and ``option`` are for the help."""
    parser.add_argument("config", type=Path, help=f"a config file, such as those in {examples}")
    parser.add_argument("--work-dir", type=folder, metavar="D", help="default: work_dirs/<config>")
    add_device_argument(parser)
    setting = f"any setting, such as {option}"
    parser.add_argument("--cfg-options", nargs="+", action=Options, default={}, metavar="KEY=VALUE", help=setting)


def work_dir_of(args: argparse.Namespace) -> Path:
    """``--work-dir``, or the one that is named after the config file."""
    return args.work_dir or Path("work_dirs") / args.config.stem


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """``--device``."""
    parser.add_argument(
        "--device",
        type=device,
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="default: the GPU if there is one",
    )
