"""Class names: COCO's, and which names of other data sets mean the same."""

from __future__ import annotations

from collections.abc import Sequence

from tdir.errors import ConfigError

COCO_CLASSES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)  # fmt: skip

ALIASES: dict[str, str] = {
    # Pascal VOC
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
    # ExDark
    "people": "person",
    "table": "dining table",
    # BDD100K
    "bike": "bicycle",
    "motor": "motorcycle",
    "pedestrian": "person",
    # everyday spellings
    "television": "tv",
    "tv monitor": "tv",
}
"""Another name -> COCO's name, both in lower case."""


def canonical(name: str) -> str:
    """One spelling for all names of a class: lower case, spaces, COCO's word where there is one."""
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    return ALIASES.get(plain, plain)


def label_positions(classes: Sequence[str]) -> dict[str, int]:
    """The canonical name of every class -> its position.

    Raises:
        ConfigError: if two of the names mean the same class.
    """
    positions = {canonical(name): position for position, name in enumerate(classes)}
    if len(positions) < len(classes):
        raise ConfigError(f"two of these names mean the same class: {', '.join(classes)}")
    return positions


def match_classes(data_set_classes: Sequence[str], head_classes: Sequence[str]) -> dict[int, int]:
    """Position in ``data_set_classes`` -> position in ``head_classes``, for every class that both know.

    Raises:
        ConfigError: if they have no class in common.
    """
    positions: dict[str, int] = {}
    for position, name in enumerate(head_classes):
        positions.setdefault(canonical(name), position)
    found = {i: positions[canonical(name)] for i, name in enumerate(data_set_classes) if canonical(name) in positions}
    if not found:
        raise ConfigError(
            f"the head knows none of the data set's classes ({', '.join(data_set_classes) or 'no class'}); "
            f"it knows {', '.join(head_classes)}"
        )
    return found


def unmatched_classes(classes: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of the first classes that are not among the others under any name, in order."""
    known = {canonical(name) for name in others}
    return [name for name in classes if canonical(name) not in known]
