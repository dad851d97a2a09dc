"""Errors a user can catch. Each message names what was wrong, the value found, and the fix."""


class TdirError(Exception):
    """Base of every error that tdir raises on purpose."""


class ConfigError(TdirError, ValueError):
    """A setting, a name or a combination of settings is wrong, or an optional package is absent."""


class DataError(TdirError, ValueError):
    """An image, an annotation or a data set on disk cannot be used."""


class ShapeError(TdirError, ValueError):
    """A tensor does not have the shape, the type or the value range that a part takes."""


class WeightsError(TdirError, ValueError):
    """A weight file is missing, damaged, of another model, or wants to run code."""


class TrainingError(TdirError, RuntimeError):
    """A training cannot go on, for instance because a loss is not finite."""


def shown(value: object, most: int = 200) -> str:
    """What an error message shows of a value: its beginning, where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]} ..."
