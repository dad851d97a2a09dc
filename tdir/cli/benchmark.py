"""Score clean, degraded, restored and translated images of a labelled set.

Boxes are scored by average precision, maps by mean intersection over union, classes by accuracy and ROC curves.

The clean rows need clean images: give --degradation, and tdir makes the degraded ones of them. Without it the
images are taken as degraded already. To --out go a JSON record, a Markdown table, and a page for the browser, with
curves and with the most improved and the most harmed images before and after. The same command goes on after an
interruption, with the images that are left.

examples:
  tdir benchmark rtts --data-root downloads --pipeline fog.tdir --head yolov8n.pt
  tdir benchmark voch --data-root downloads --restorer aodnet:dehazer.pth --head yolov8n.pt --protocol voc12
  tdir benchmark --pipeline fog.tdir --data dawn_fog --split test
  tdir benchmark --pipeline fog.tdir --data voc5 --degradation haze --degradation-options light=0.75 scale=1.5
  tdir benchmark --pipeline streets_haze.tdir --data streets --degradation depth_haze --limit 200 --pictures 6
  tdir benchmark --restorer aodnet:dehazer.pth --head yolov8n.pt --data coco128 --classes person car --size 640
  tdir benchmark camvid-dark --data-root downloads --pipeline sci_deeplab.tdir --beside dcp sci:easy.pt rave:rave.pth
  torchrun --nproc_per_node 4 tools/benchmark.py --pipeline fog.tdir --data RTTS --launcher pytorch
  tdir benchmark --pipeline fog.tdir --data voc5 --degradation haze --quality psnr ssim lpips niqe
  tdir benchmark --pipeline dark.tdir --head yolov8s.pt --data exdark_voc --limit 100 --pictures 6
  tdir benchmark --pipeline fog.tdir --head yolov8n.pt --data VOCdevkit/VOC2007 --degradation haze --protocol voc07
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tdir
from tdir import bundle as bundles
from tdir import distributed
from tdir import weights as weight_files
from tdir.cli._sweep import score_sweep
from tdir.cli.arguments import HEAD, Options, add_compute_arguments, folder, natural, pair_name, positive
from tdir.data.images import write_image
from tdir.data.layouts import PLAIN, layout_of, with_labels, without_files
from tdir.data.published import PUBLISHED, located
from tdir.data.sample import ImageSet
from tdir.data.sweeps import SWEEPS
from tdir.errors import ConfigError, DataError
from tdir.evaluation import Scoring, base_rows, check_quality, quality_rows, readable, stages, vat_rows
from tdir.memory import automatic
from tdir.metrics.protocols import PROTOCOLS, Protocol, protocol_named
from tdir.metrics.quality import QUALITY, Measure, Quality, quality_named
from tdir.parts import working_restorer
from tdir.pipeline import Pipeline
from tdir.predictions import until_done
from tdir.registry import DEGRADATIONS, closest
from tdir.report.page import Example, changed, compared, write_page
from tdir.report.pictures import seen, sheet, spread
from tdir.report.records import (
    describe_pipeline,
    describe_quality,
    describe_scored,
    portable_command,
    write_record,
)
from tdir.report.speed import peak_memory, stage_times
from tdir.report.tables import summary
from tdir.training.config import TrainConfig, build_data

DEFAULT_SIZE = 640  # what ultralytics' detectors are trained and validated at
TIMED = 8  # images that the stages are timed on
ROWS = ("clean", "degraded", "restorer", "vat", "clean + restorer", "clean + vat")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    system = parser.add_argument_group("what is scored: a bundle, or a restorer and a head")
    system.add_argument("--pipeline", metavar="BUNDLE", help="a .tdir file, or the name of one that comes with tdir")
    system.add_argument(
        "--restorer",
        metavar="NAME[:WEIGHTS]",
        help="'tdir list' prints the names; with a bundle, only where its restorer is code",
    )
    system.add_argument("--head", metavar="[NAME:]WEIGHTS", help=f"{HEAD}; default with a bundle: its own")
    data = parser.add_argument_group("what it is scored on")
    data.add_argument(
        "benchmark",
        nargs="?",
        metavar="SET|CONFIG",
        help=f"{', '.join([*PUBLISHED, *SWEEPS])}: a published set, 'dark' at several strengths; or a training's "
        "config, for its 'val'",
    )
    data.add_argument("--data-root", metavar="DIR", help="where the published set lies; default: as TDIR_DATA says")
    data.add_argument("--data", metavar="ROOT", help="or a folder in a layout that has labels, or 'streets'")
    data.add_argument("--originals", metavar="ROOT", help="the photos that a made set was made of, for its clean rows")
    data.add_argument("--split", metavar="NAME", help="default: test, or what comes nearest")
    data.add_argument("--layout", choices=with_labels(), help="default: told from the folder")
    data.add_argument("--classes", nargs="+", metavar="NAME", help="the classes to score; default: all of the set")
    data.add_argument("--degradation", choices=DEGRADATIONS.names(), help="make it, at native image size")
    data.add_argument(
        "--degradation-options", nargs="+", action=Options, metavar="KEY=VALUE", help="such as light=0.75 scale=1.5"
    )
    system.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="NAME[:WEIGHTS]",
        help="more restorers, as rows of a 'dark' benchmark",
    )
    data.add_argument("--limit", type=positive, metavar="N", help="only the first images")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), help="how boxes are scored (default: coco)")
    parser.add_argument(
        "--quality", nargs="+", metavar="METRIC", default=[],
        help=f"how the images look, at their own size: {', '.join(QUALITY)}; all but niqe need clean images",
    )  # fmt: skip
    parser.add_argument(
        "--plus-one",
        action="store_true",
        help="boxes name their last pixel, a convention of Pascal VOC's own program; tdir's boxes do not",
    )
    parser.add_argument("--samples", type=positive, default=1000, metavar="N", help="of the bootstrap (default: 1000)")
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="of degradation and bootstrap (default: 0)"
    )
    parser.add_argument("--out", type=folder, metavar="DIR", help="default: work_dirs/benchmark_<pipeline>_<data>")
    parser.add_argument("--pictures", type=natural, default=0, metavar="N", help="images on a sheet with boxes")
    parser.add_argument(
        "--examples",
        type=natural,
        default=6,
        metavar="N",
        help="of the most improved and the most harmed images, on the page (default: 6)",
    )
    parser.add_argument("--launcher", choices=distributed.LAUNCHERS, default="none", help="pytorch: under torchrun")
    add_compute_arguments(parser, f"the bundle's own; without a bundle {DEFAULT_SIZE} for boxes, or the images' own")


def run(args: argparse.Namespace) -> int:
    """Score, write ``record.json``, ``table.md``, ``page.html`` and ``pictures.jpg``, print the table."""
    protocol = protocol_named(args.protocol or "coco", args.plus_one) if args.protocol or args.plus_one else None
    metrics = [quality_named(name) for name in args.quality]
    device = distributed.start(args.launcher, str(args.device))
    try:
        pipeline = _pipeline(args).to(device)
        if args.beside and args.benchmark not in SWEEPS:
            raise ConfigError(f"--beside is for {', '.join(SWEEPS)}: give --restorer")
        if args.benchmark in SWEEPS:
            score_sweep(args, pipeline, _about(args, pipeline), _out(args))
        else:
            _score(args, pipeline, protocol, metrics)
        return 0
    finally:
        distributed.stop()


def _about(args: argparse.Namespace, pipeline: Pipeline, protocol: Protocol[Any] | None = None) -> dict[str, Any]:
    """What a record says of the pipeline."""
    about = describe_pipeline(pipeline, protocol)
    if args.pipeline:
        file = bundles.find(args.pipeline)
        about["weights"]["bundle"] = {"name": file.name, "sha256": weight_files.sha256(file)}
    return about


def _score(
    args: argparse.Namespace,
    pipeline: Pipeline,
    protocol: Protocol[Any] | None,
    metrics: Sequence[Quality],
) -> None:
    whole, reader = _data(args)
    out = _out(args)
    data_set, unreadable = readable(whole, args.limit)
    measures = _measures(metrics, data_set, next(pipeline.head.parameters()).device)
    with until_done(out) as unfinished:
        scoring = Scoring(protocol, args.batch_size or automatic(pipeline), args.launcher != "none", unfinished)
        rows = base_rows(pipeline, data_set, scoring)
        if pipeline.translator is not None:
            rows |= vat_rows(pipeline, data_set, scoring)
        if not distributed.is_first():
            return
        about = _about(args, pipeline, protocol) | {
            "speed": stage_times(pipeline, [data_set.image(i) for i in spread(len(data_set), TIMED)]),
            "memory": peak_memory(),
        }
        if measures:
            about["quality"] = describe_quality(quality_rows(pipeline, data_set, measures), len(data_set))
        record = write_record(
            out / "record.json",
            {name: rows[name] for name in ROWS if name in rows},
            samples=args.samples,
            seed=args.seed,
            command=portable_command(args.command_line),
            photos=[data_set.photo(i) for i in range(len(data_set))],
            data=describe_scored(reader, data_set, pipeline.head, unreadable),
            **about,
        )
        table = summary(record)
        (out / "table.md").write_text(table, encoding="utf-8")
        improved, harmed = (_examples(pipeline, data_set, rows, found) for found in changed(rows, args.examples))
        write_page(out / "page.html", record, rows, improved, harmed)
        if args.pictures:
            write_image(out / "pictures.jpg", _pictures(pipeline, data_set, args.pictures))
        print(table)


def _measures(metrics: Sequence[Quality], data_set: ImageSet, device: torch.device) -> dict[str, Measure]:
    """What the first process computes after the scores; what it lacks is said before them, to every process."""
    with distributed.together():
        if not metrics or not distributed.is_first():
            return {}
        check_quality(data_set, metrics)
        return {metric.name: metric.measure(device) for metric in metrics}


def _pipeline(args: argparse.Namespace) -> Pipeline:
    if args.pipeline is None:
        if args.restorer is None or args.head is None:
            raise ConfigError(
                "say what to score: --pipeline BUNDLE, or both --restorer NAME[:WEIGHTS] and --head [NAME:]WEIGHTS"
            )
        restorer = working_restorer(args.restorer)
        pipeline = Pipeline(restorer, None, tdir.head(args.head), args.size)
        if args.size is None and pipeline.head.task == "detection":
            pipeline.size = DEFAULT_SIZE
        return pipeline
    # A head given by name knows all of its classes: the set may label others than the translator was trained on.
    head = None if args.head is None else tdir.head(args.head)
    pipeline = tdir.load(args.pipeline, head=head, restorer=args.restorer)
    pipeline.size = args.size or pipeline.size
    return pipeline


def _data(args: argparse.Namespace) -> tuple[ImageSet, dict[str, Any]]:
    """The data set, and how it was read."""
    reader = _named(args) if args.benchmark else _reader(args)
    settings = {**reader, **({"classes": args.classes} if args.classes else {})}
    if args.degradation is not None:
        degradation = {**(args.degradation_options or {}), "type": args.degradation}
        settings |= {"degradation": degradation, "degradation_seed": args.seed}
    elif args.degradation_options:
        raise ConfigError("--degradation-options without --degradation: name one")
    return build_data(settings), reader


def _named(args: argparse.Namespace) -> dict[str, Any]:
    """How a published set, or the "val" of a config, is read."""
    given = [f"--{name}" for name in ("data", "layout", "split", "originals") if getattr(args, name) is not None]
    if given:
        raise ConfigError(f"{args.benchmark} says what to score on, but {', '.join(given)} given too: leave out one")
    if args.benchmark in PUBLISHED:
        return located(args.benchmark, args.data_root)
    if not args.benchmark.endswith(".py"):
        raise ConfigError(
            f"no benchmark {args.benchmark!r}: {closest(args.benchmark, [*PUBLISHED, *SWEEPS])} Or give a config.py"
        )
    val = TrainConfig.from_file(args.benchmark).val
    if val is None:
        raise ConfigError(f"{args.benchmark} has no 'val', the labelled set to score on")
    return {**layout_of(val["root"]), **val} if "root" in val else dict(val)


def _reader(args: argparse.Namespace) -> dict[str, Any]:
    if args.data is None:
        raise ConfigError(f"say what to score on: --data ROOT, one of {', '.join(PUBLISHED)}, or a config")
    if args.data in without_files():
        return {"type": args.data, "split": args.split or "test"}
    told = layout_of(args.data)
    layout = args.layout or told["type"]
    if layout == PLAIN:
        raise DataError(
            f"{args.data}: no labels to score against; expected Annotations and ImageSets/Main (Pascal VOC), images "
            "and labels with a folder for each split (YOLO), annotations with a JSON file for each (COCO), ExDark's, "
            "CamVid's, Cityscapes', CIFAR-10's, or a folder for each class"
        )
    split = args.split or (told["split"] if layout == told["type"] else "test")
    originals = {} if args.originals is None else {"originals": args.originals}
    return {"type": layout, "split": split, "root": args.data, **originals}


def _out(args: argparse.Namespace) -> Path:
    """Where results go."""
    return args.out or Path("work_dirs") / _name(args)


def _name(args: argparse.Namespace) -> str:
    system = Path(args.pipeline).stem if args.pipeline else pair_name(args.restorer, args.head)
    data = Path(args.benchmark).stem if args.benchmark else Path(args.data).resolve().name
    return "_".join(filter(None, ["benchmark", system, data, args.degradation]))


def _pictures(pipeline: Pipeline, data_set: ImageSet, count: int) -> np.ndarray:
    """One line of pictures for an image, with what the head finds in each."""
    systems = stages(pipeline)
    columns = {row: (data_set, system) for row, system in systems.items()}
    if data_set.clean is not None:
        columns = {"clean": (data_set.clean, systems["degraded"]), **columns}
    chosen = spread(len(data_set), count)
    lines = [[seen(system, images.image(i)) for images, system in columns.values()] for i in chosen]
    return sheet(lines, list(columns))


def _examples(
    pipeline: Pipeline, data_set: ImageSet, rows: Mapping[str, object], found: list[tuple[int, float]]
) -> list[Example]:
    """Images with what the head finds in them as they are, and after the last thing that is done to them."""
    systems = stages(pipeline)
    return [
        Example(data_set.names[i], change, *(seen(systems[row], data_set.image(i)) for row in compared(rows)))
        for i, change in found
    ]
