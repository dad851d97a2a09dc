"""Print the names that can be built, by kind, and the bundles that come with tdir.

example:
  tdir list
"""

from __future__ import annotations

import argparse

from tdir.parts import available


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes none of its own."""


def run(args: argparse.Namespace) -> int:
    """One line for each kind."""
    for kind, names in available().items():
        print(f"{kind}: {', '.join(names) or 'none'}")
    return 0
