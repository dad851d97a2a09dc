"""One set at several strengths of a degradation, through several restorers: methods in rows, strengths in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tdir.data.degradations import Degraded
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.evaluation import Scoring, evaluate, stages
from tdir.metrics.scores import Scores
from tdir.parts import named, working_restorer
from tdir.pipeline import Pipeline
from tdir.registry import DEGRADATIONS
from tdir.restorers.base import Restorer


def columns_of(data_set: ImageSet, strengths: Mapping[str, dict[str, Any] | None], seed: int) -> dict[str, ImageSet]:
    """Label -> the set at this strength.

    Args:
        data_set: the images as they are.
        strengths: label -> settings of the degradation; ``None`` leaves the images as they are.
        seed: of what a degradation leaves to chance.

    Raises:
        ConfigError: if a degradation is unknown, or a setting is wrong.
    """
    built = {label: None if one is None else DEGRADATIONS.build(one) for label, one in strengths.items()}
    return {label: data_set if one is None else Degraded(data_set, one, seed) for label, one in built.items()}


def beside(names: Sequence[str], device: torch.device | str = "cpu") -> dict[str, Restorer]:
    """Restorers from ``NAME[:WEIGHTS]``, by that without folders and suffixes.

    Raises:
        ConfigError: if two have the same name, or one cannot be built.
    """
    found: dict[str, Restorer] = {}
    for text in names:
        config = named("restorer", text)
        name = " ".join([config["type"], *([Path(config["weights"]).stem] if "weights" in config else [])])
        if name in found:
            raise ConfigError(f"two restorers are called {name!r}: give each once")
        found[name] = working_restorer(text).to(device)
    return found


def systems_of(pipeline: Pipeline, others: Mapping[str, Restorer]) -> dict[str, Pipeline]:
    """Row -> what an image goes through for it: the head alone, each restorer before it, and the whole pipeline.

    Args:
        pipeline: with or without a translator.
        others: restorers besides its own, by the names of their rows.
    """
    own = stages(pipeline)
    beside = {name: Pipeline(restorer, None, pipeline.head, pipeline.size) for name, restorer in others.items()}
    return {"degraded": own.pop("degraded"), **beside, **own}


def sweep(
    systems: Mapping[str, Pipeline], columns: Mapping[str, ImageSet], scoring: Scoring
) -> dict[str, dict[str, Scores]]:
    """Label -> row -> scores, with a "clean" row wherever the images are degraded and the head alone is asked.

    Args:
        systems: from :func:`systems_of`.
        columns: from :func:`columns_of`; one of them holds the images as they are.
        scoring: protocol, batches and processes.

    Raises:
        DataError, ConfigError: as ``evaluate`` does.
    """
    found = {
        label: {row: evaluate(system, data_set, f"{label}, {row}", scoring) for row, system in systems.items()}
        for label, data_set in columns.items()
    }
    clean = [label for label, data_set in columns.items() if not isinstance(data_set, Degraded)]
    for label, rows in found.items():
        if clean and label not in clean and "degraded" in found[clean[0]]:
            rows["clean"] = found[clean[0]]["degraded"]
    return found
