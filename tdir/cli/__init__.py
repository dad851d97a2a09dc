"""The command line: ``tdir COMMAND``, see :data:`COMMANDS`.

Every command is a module beside this one with ``add_arguments(parser)`` and ``run(args) -> int``; its docstring is the
help text. Only the module of the command that is called gets imported, so that ``tdir --help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tdir import __version__
from tdir.errors import TdirError

COMMANDS = {
    "train": ("train", "train a translator between a frozen restorer and a frozen head, without labels"),
    "train-restorer": ("train_restorer", "train a restorer on clean images and a degradation made of them"),
    "train-head": ("train_head", "train a detector, a segmentation network or a small CLIP on labelled images"),
    "prepare": ("prepare", "make VOCh or VOCd of Pascal VOC: in haze and in the dark"),
    "check": ("check", "look a data set over before anything is measured on it"),
    "benchmark": ("benchmark", "score clean, degraded, restored and translated images of a labelled set"),
    "compare": ("compare", "put the records of several benchmarks side by side"),
    "infer": ("infer", "what a bundle says of pictures and folders: objects, maps or classes"),
    "list": ("names", "print the names that can be built and the bundles that come with tdir"),
}
"""Command -> its module in this package, and what it is for."""


def main(argv: Sequence[str] | None = None) -> int:
    """The ``tdir`` console script.

    Args:
        argv: the arguments, without the program; ``None`` takes those of this process.

    Returns:
        The exit code: 0 on success, 2 on a user's mistake, which is one line on stderr, else what the command says.

    Raises:
        SystemExit: by argparse, after ``--help``, ``--version`` or a wrong argument.
    """
    listing = "\n".join(f"  {name:<15} {what}" for name, (_, what) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="tdir",
        description="A small translator between a frozen image restorer and a frozen vision model.",
        epilog=f"commands:\n{listing}\n\n'tdir COMMAND --help' says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tdir {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")
    given = parser.parse_args(argv)
    return run(given.command, given.arguments)


def run(command: str, argv: Sequence[str], prog: str | None = None) -> int:
    """One command.

    Args:
        command: a key of :data:`COMMANDS`.
        argv: the arguments after it.
        prog: how the program calls itself; default ``tdir COMMAND``.
    """
    module = importlib.import_module(f"{__name__}.{COMMANDS[command][0]}")
    parser = argparse.ArgumentParser(
        prog=prog or f"tdir {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    args = parser.parse_args(argv)
    args.command_line = [parser.prog, *argv]
    with _logging_to_stderr():
        try:
            return module.run(args)
        except (TdirError, OSError) as error:
            if args.debug:
                raise
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130


class _Stderr(logging.Handler):
    """Lines on stderr, above a progress bar and not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """What tdir logs goes to stderr while a command runs; stdout is for results."""
    logger, handler = logging.getLogger("tdir"), _Stderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
