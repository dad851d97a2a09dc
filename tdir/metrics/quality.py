"""How images look, apart from what a detector finds in them: PSNR, SSIM, LPIPS and FID against clean images, and NIQE.

All but NIQE are torchmetrics', ``pip install 'tdir[quality]'``. LPIPS, FID and NIQE need a file each, which is found as
any weight file, or where torch.hub keeps its downloads; none is downloaded here.
"""

from __future__ import annotations

import importlib
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tdir import weights as weight_files
from tdir.data.images import Pixels, to_tensor
from tdir.errors import ConfigError, WeightsError
from tdir.metrics.niqe import LEAST, niqe, read_natural
from tdir.registry import closest

_AGAIN = "download it again"


@dataclass(frozen=True)
class Score:
    """A metric of some images.

    Args:
        value: ``None`` without an image that has one.
        images: that have one: of two equal images the PSNR is infinite, and a flat image has no NIQE.
    """

    value: float | None
    images: int


class Measure(ABC):
    """A metric while it is computed: ``update`` with every image of a row, then ``compute``, then the next row."""

    @abstractmethod
    def update(self, image: Pixels, clean: Pixels | None) -> None:
        """Take an image in.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            clean: the same before its degradation, of the same shape; ``None`` if the metric does without.
        """

    @abstractmethod
    def compute(self) -> Score:
        """The metric of all images since the last call."""


class Mean(Measure):
    """The mean over images of what each has.

    Args:
        value: image and clean image -> a number.
    """

    def __init__(self, value: Callable[[Pixels, Pixels | None], float]):
        self.value = value
        self._values: list[float] = []

    def update(self, image: Pixels, clean: Pixels | None) -> None:
        """Take an image in."""
        self._values.append(self.value(image, clean))

    def compute(self) -> Score:
        """The mean over the images that have a finite value."""
        finite = [value for value in self._values if math.isfinite(value)]
        self._values = []
        return Score(math.fsum(finite) / len(finite) if finite else None, len(finite))


class Frechet(Measure):
    """FID: how far the features of the images are from those of the clean ones, all images at once.

    Every row is held against the same clean images, whose features are computed with the first row alone.

    Args:
        device: to compute on.
        file: of InceptionV3, as torch-fidelity publishes it.
        features: of the layer: 2048 is what FID means, 64, 192 and 768 are cheaper.

    Raises:
        ConfigError: without torchmetrics or torch-fidelity.
        WeightsError: if the file is damaged, another model's, or wants to run code.
    """

    def __init__(self, device: torch.device, file: Path, features: int = 2048):
        module = _imported("torch_fidelity", "torchmetrics.image.fid")
        tensors = weight_files.read_tensors(file)
        # torch-fidelity unpickles whatever its file says: it gets a copy of the tensors alone.
        with tempfile.TemporaryDirectory() as folder:
            copy = str(Path(folder) / file.name)
            torch.save(tensors, copy)
            try:
                self.metric = module.FrechetInceptionDistance(
                    feature=features, reset_real_features=False, feature_extractor_weights_path=copy,
                    antialias=False,  # images are resized as for the published Inception
                ).to(device)  # fmt: skip
            except RuntimeError as error:
                raise _of_another_model("FID", file, error) from error
        self.device = device
        self._images = 0
        self._knows_clean = False

    def update(self, image: Pixels, clean: Pixels | None) -> None:
        """Take an image in, and in the first row its clean image."""
        if not self._knows_clean:
            assert clean is not None
            self.metric.update(self._levels(clean), real=True)
        self.metric.update(self._levels(image), real=False)
        self._images += 1

    def compute(self) -> Score:
        """FID of the images; one image alone has none."""
        images, self._images, self._knows_clean = self._images, 0, True
        value = max(0.0, float(self.metric.compute())) if images > 1 else None  # below 0 by rounding
        self.metric.reset()
        return Score(value, images)

    def _levels(self, image: Pixels) -> Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(self.device)


@dataclass(frozen=True)
class WeightFile:
    """A file that a metric needs.

    Args:
        name: that it is looked for by.
        get: how one comes by it, in words.
    """

    name: str
    get: str

    def find(self, metric: str) -> Path:
        """Where it lies: as any weight file, or where torch.hub keeps its downloads.

        Raises:
            WeightsError: if it is nowhere; what it is, how one comes by it and where to put it is in the message.
        """
        downloads = Path(torch.hub.get_dir()) / "checkpoints"
        try:
            return weight_files.find(self.name)
        except WeightsError as error:
            if (downloads / self.name).is_file():
                return downloads / self.name
            raise WeightsError(
                f"{metric} needs {self.name}: {self.get}, and put it into {downloads} or a folder that "
                f"{weight_files.SEARCH_PATH} names; {error}"
            ) from error


@dataclass(frozen=True)
class Quality:
    """A metric of image quality.

    Args:
        name: a key of :data:`QUALITY`.
        title: for tables.
        direction: "higher" or "lower" is better.
        range: the least and the greatest value, ``None`` where there is no end.
        needs_clean: whether images are held against clean ones.
        least: the shortest side of an image, pixels.
        build: a device, and the file if there is one -> how it is computed.
        unit: of the value, if it has one.
        file: that it needs.
    """

    name: str
    title: str
    direction: str
    range: tuple[float, float | None]
    needs_clean: bool
    least: int
    build: Callable[[torch.device, Path], Measure]
    unit: str = ""
    file: WeightFile | None = None

    def measure(self, device: torch.device) -> Measure:
        """The metric, to be fed with images.

        Raises:
            ConfigError: if an optional package is absent.
            WeightsError: if its file is nowhere, damaged or another's.
        """
        return self.build(device, Path() if self.file is None else self.file.find(self.title))

    def settings(self) -> dict[str, Any]:
        """What a record says of it, as JSON values."""
        kept = ("title", "unit", "direction", "needs_clean")
        file = None if self.file is None else self.file.find(self.title)
        weights = None if file is None else {"name": file.name, "sha256": weight_files.sha256(file)}
        return {**{name: getattr(self, name) for name in kept}, "range": list(self.range), "weights": weights}


def _psnr(device: torch.device, file: Path) -> Measure:
    functional = _imported("torchmetrics.functional.image")
    return Mean(_compared(lambda *pair: functional.peak_signal_noise_ratio(*pair, data_range=1.0), device))


def _ssim(device: torch.device, file: Path) -> Measure:
    functional = _imported("torchmetrics.functional.image")
    return Mean(_compared(lambda *pair: functional.structural_similarity_index_measure(*pair, data_range=1.0), device))


def _lpips(device: torch.device, file: Path) -> Measure:
    """With AlexNet; what was learnt of people's judgements comes with torchmetrics."""
    module = _imported("torchmetrics.functional.image.lpips")
    # The public class would download the backbone and unpickle it.
    net = module._NoTrainLpips(net="alex", pnet_rand=True)
    _load_backbone(net.net, file)
    net.to(device)
    return Mean(_compared(lambda *pair: net(*pair, normalize=True), device))


def _load_backbone(backbone: nn.Module, file: Path) -> None:
    """Torchvision's AlexNet into that of LPIPS, which has its layers under the same numbers in slices."""
    tensors = weight_files.read_tensors(file)
    try:
        backbone.load_state_dict({key: tensors[f"features.{key.partition('.')[2]}"] for key in backbone.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise _of_another_model("LPIPS with AlexNet", file, error) from error


def _niqe(device: torch.device, file: Path) -> Measure:
    natural = read_natural(file)
    return Mean(lambda image, clean: niqe(image, natural))


def _compared(value: Callable[..., Tensor], device: torch.device) -> Callable[[Pixels, Pixels | None], float]:
    """A metric of two tensors ``(1, 3, H, W)`` in [0, 1] as one of two images."""

    def of_images(image: Pixels, clean: Pixels | None) -> float:
        assert clean is not None
        with torch.no_grad():
            return float(value(*(to_tensor(one)[None].to(device) for one in (image, clean))))

    return of_images


def _imported(*names: str) -> Any:
    """The last of some modules of the optional packages."""
    try:
        return [importlib.import_module(name) for name in names][-1]
    except ImportError as error:
        raise ConfigError(f"image quality needs {names[0].partition('.')[0]}: pip install 'tdir[quality]'") from error


def _of_another_model(metric: str, file: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{file} does not hold the network of {metric} ({str(error)[:200]}): {_AGAIN}")


QUALITY = {
    quality.name: quality
    for quality in (
        Quality("psnr", "PSNR", "higher", (0, None), True, 1, _psnr, unit="dB"),
        Quality("ssim", "SSIM", "higher", (-1, 1), True, 11, _ssim),
        Quality("lpips", "LPIPS", "lower", (0, None), True, 32, _lpips, file=WeightFile(
            "alexnet-owt-7be5be79.pth", "download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
        )),
        Quality("fid", "FID", "lower", (0, None), True, 1, Frechet, file=WeightFile(
            "weights-inception-2015-12-05-6726825d.pth",
            "download https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
        )),
        Quality("niqe", "NIQE", "lower", (0, None), False, LEAST, _niqe, file=WeightFile(
            "niqe_pris_params.npz",
            "it is mmagic/evaluation/metrics/niqe_pris_params.npz in the package mmagic, pip download --no-deps "
            "mmagic==1.2.0; unzip that one file",
        )),
    )
}  # fmt: skip
"""Name -> metric."""


def quality_named(name: str) -> Quality:
    """A metric by name.

    Raises:
        ConfigError: if there is none; the nearest right names are in the message.
    """
    if name not in QUALITY:
        raise ConfigError(f"no metric of image quality {name!r}: {closest(name, QUALITY)}")
    return QUALITY[name]
