"""What the scenes are made of: semantic classes and classes with boxes."""

SEMANTIC = (
    "road", "pavement", "building", "vegetation", "sky", "person", "car", "bus", "bicycle", "motorbike", "pole", "sign",
)  # fmt: skip
"""The semantic classes; the value of a pixel is a position here, or ``VOID``."""
ROAD, PAVEMENT, BUILDING, VEGETATION, SKY, PERSON, CAR, BUS, BICYCLE, MOTORBIKE, POLE, SIGN = range(len(SEMANTIC))
VOID = 255
"""Street furniture that is none of the classes: bins, benches, tables."""

THINGS = ("person", "car", "bus", "bicycle", "motorbike")
"""The classes with boxes; semantic class ``PERSON + k`` is ``THINGS[k]``."""
