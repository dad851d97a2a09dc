"""Look a labelled data set over: its layout, counts against the published ones, and what is wrong with it.

Broken images, annotations that cannot be read, boxes outside their image or empty, classes that no COCO-trained head
knows, photos that two splits share (by a perceptual hash), and files that differ from the set's manifest. The exit
code is 1 if something has to be mended before a score on the set means anything.

examples:
  tdir check RTTS
  tdir check VOCdevkit/VOC2007
  tdir check my_rtts_copy --known-as rtts
"""

from __future__ import annotations

import argparse

from tdir.data.checking import COUNTS, check
from tdir.data.layouts import with_labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("root", metavar="PATH", help="a Pascal VOC, YOLO, COCO or ExDark folder")
    parser.add_argument("--layout", choices=with_labels(), help="default: told from the folder")
    parser.add_argument(
        "--known-as", choices=sorted(COUNTS), help="the published counts to compare with; default: by the name"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found, and a verdict."""
    verdict = check(args.root, args.layout, args.known_as)
    for heading, lines in (("", verdict.facts), ("note: ", verdict.remarks), ("wrong: ", verdict.faults)):
        for line in lines:
            print(f"{heading}{line}")
    if verdict.faults:
        print(f"not ready: {len(verdict.faults)} to mend")
        return 1
    print("ready" + (f", with {len(verdict.remarks)} to know" if verdict.remarks else ""))
    return 0
