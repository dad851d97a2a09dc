"""What heads predict and losses take: dataclasses of tensors, the masks optional."""

from tdir.structures.base import IGNORE, Prediction, Size, check_images
from tdir.structures.detections import Detections, concatenate
from tdir.structures.maps import SemanticMap
from tdir.structures.scores import ClassScores

KINDS: dict[str, type[Prediction]] = {kind.__name__: kind for kind in (Detections, SemanticMap, ClassScores)}
"""The predictions by the name of their class."""

__all__ = [
    "IGNORE",
    "KINDS",
    "ClassScores",
    "Detections",
    "Prediction",
    "SemanticMap",
    "Size",
    "check_images",
    "concatenate",
]
