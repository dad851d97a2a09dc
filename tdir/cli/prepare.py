"""Make a degraded data set of Pascal VOC as the papers do: VOCh in haze (IA-YOLO's), VOCd in the dark.

The photos of the source that hold one of the classes are degraded at native size and written as a set in Pascal VOC's
layout, with a manifest that names what was drawn for every image and the sha256 of every file. Stopped, it goes on
where it was when it is called again.

examples:
  tdir prepare voch VOCdevkit --out VOCh
  tdir prepare vocd VOCdevkit --out VOCd --seed 1
  tdir prepare voch VOCdevkit --out VOCh_depth --depth depth_maps
  tdir prepare voch photos_in_voc_layout --out hazy --classes person car bus train cat --options light=0.75 scale=1.5
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tdir.cli.arguments import Options, folder, natural, positive
from tdir.data.depth_maps import DepthMaps
from tdir.data.made import RECIPES, explained, make


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("set", choices=sorted(RECIPES), help="what to make")
    parser.add_argument(
        "root", metavar="ROOT", help="a VOCdevkit with VOC2007 and VOC2012, or a folder in Pascal VOC's layout"
    )
    parser.add_argument("--out", type=folder, required=True, metavar="DIR", help="where the set goes")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="of what is drawn (default: 0)")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="photos with none of them are left out")
    parser.add_argument("--draws", type=positive, metavar="N", help="of the degradation, for each photo")
    parser.add_argument(
        "--options", nargs="+", action=Options, default={}, metavar="KEY=VALUE", help="such as light=0.75 scale=1.5"
    )
    parser.add_argument(
        "--depth",
        metavar="DIR",
        help="depth maps, <photo>.npy in metres or <photo>.png of 16 bits and 256 a metre: haze by the scattering "
        "model with the true depth, in place of IA-YOLO's",
    )
    parser.add_argument(
        "--format", choices=("png", "jpg"), default="png", help="png keeps every pixel; jpg is a tenth of its size"
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="default: as many as there are cores")


def run(args: argparse.Namespace) -> int:
    """Make the set; its counts and the manifest's sha256 are printed."""
    recipe = RECIPES[args.set]
    depth = None if args.depth is None else DepthMaps(args.depth)
    kind = recipe.degradation if depth is None else {"type": "depth_haze"}
    recipe = replace(
        recipe,
        degradation={**kind, **args.options},
        classes=tuple(args.classes or recipe.classes),
        draws=args.draws or recipe.draws,
        published={} if args.classes else recipe.published,
    )
    made = make(recipe, args.root, args.out, args.seed, f".{args.format}", depth, args.workers)
    for sentence in explained(recipe, made):
        print(sentence)
    print(f"{Path(args.out) / 'manifest.json'}: sha256 {made['sha256']}")
    return 0
