"""open_clip's networks: how one is described, built, filled, and what it wants images to be. Nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from tdir import weights as weight_files
from tdir.errors import ConfigError, WeightsError, shown
from tdir.heads.base import Head
from tdir.ranges import Range
from tdir.registry import closest

HEADER = "clip"
"""The name, among the metadata of a safetensors file, under which the network is described."""
TEMPLATES = ("a photo of a {}.",)
PREPROCESS: dict[str, Any] = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
"""What OpenAI's networks want of images, and most others."""
_BESIDE = "open_clip_config.json"
_VOCABULARY = 49408  # of the tokenizer that comes with open_clip
# What open_clip's constructors raise, in their depths, on a config that is none.
_UNBUILDABLE = (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError, ArithmeticError)


@dataclass(frozen=True)
class Preprocessing:
    """What a network wants images to be.

    Args:
        size: (height, width).
        mean: of the red, green and blue values.
        std: the same.
        interpolation: "bicubic" or "bilinear".
        resize_mode: "shortest": the side that reaches its size last decides, and the middle is cut out; "squash": both
            sides become what they should be.

    Raises:
        ConfigError: if one is none of these.
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]
    interpolation: str
    resize_mode: str

    def __post_init__(self) -> None:
        if self.interpolation not in ("bicubic", "bilinear") or self.resize_mode not in ("shortest", "squash"):
            raise ConfigError(
                "images are made to fit by interpolation='bicubic' or 'bilinear' and resize_mode='shortest' or "
                f"'squash', got {self.interpolation!r} and {self.resize_mode!r}"
            )
        Head.check_normalisation(self.mean, self.std)

    def fitted(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in [0, 1] -> ``(N, 3, *size)`` in [0, 1], differentiable."""
        given, wanted = (images.shape[-2], images.shape[-1]), self.size
        if given == wanted:
            return images
        reached = wanted
        if self.resize_mode == "shortest":
            factor = max(after / before for after, before in zip(wanted, given, strict=True))
            # torchvision's rounding; the small number is for a side that should come out whole.
            height, width = (max(w, int(g * factor + 1e-6)) for g, w in zip(given, wanted, strict=True))
            reached = (height, width)
        resized = F.interpolate(images, reached, mode=self.interpolation, antialias=True).clamp(0, 1)
        top, left = (round((after - size) / 2) for after, size in zip(reached, wanted, strict=True))
        return resized[..., top : top + wanted[0], left : left + wanted[1]]


def described(file: Path | None, model: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of a network: "model_cfg" and "preprocess_cfg" as in open_clip's files, "names" and "templates".

    Args:
        file: its weights; a safetensors header says all that ``tdir train-head`` knew, and ``open_clip_config.json``
            beside a file what open_clip's hub knows.
        model: a name that open_clip knows, a JSON file, or what such a file holds; it goes before what the file says.

    Raises:
        ConfigError: if ``model`` is none of these, or nothing says what the network is.
        WeightsError: if what a file says of its network cannot be read.
    """
    found = {} if file is None else _of_file(file)
    if model is not None:
        found = {**found, **_of_model(model)}
    if "model_cfg" not in found:
        raise ConfigError(
            f"{file or 'head clip'} does not say what network it is: give model='ViT-B-32', another name that "
            "open_clip knows, or the JSON file of its config"
        )
    return {**found, "preprocess_cfg": {**PREPROCESS, **found.get("preprocess_cfg", {})}}


def network(model_cfg: Mapping[str, Any], source: str) -> Any:
    """An untrained network with the tokenizer that comes with open_clip.

    Args:
        model_cfg: "embed_dim", "vision_cfg", "text_cfg" and so on.
        source: what it is for, in messages.

    Raises:
        ConfigError: if open_clip is not installed, or cannot build it without a download.
    """
    library()
    from open_clip.model import CLIP, CustomTextCLIP

    text, vision = (_table(model_cfg, key) for key in ("text_cfg", "vision_cfg"))
    foreign = next((key for key in ("hf_model_name", "hf_tokenizer_name") if text.get(key)), None)
    if foreign or "multimodal_cfg" in model_cfg or ":" in str(vision.get("timm_model_name")):
        what = f"{foreign} {text[foreign]!r}" if foreign else "a decoder of texts or a network of a hub"
        raise ConfigError(f"{source} has {what}, which tdir cannot build without a download: choose a CLIP without it")
    Range(_VOCABULARY, whole=True).check("text_cfg.vocab_size", text.get("vocab_size", _VOCABULARY))
    kind = CustomTextCLIP if model_cfg.get("custom_text") else CLIP
    own = {key: value for key, value in model_cfg.items() if key not in ("custom_text", "text_cfg", "vision_cfg")}
    try:
        return kind(**own, vision_cfg={**vision, "timm_model_pretrained": False}, text_cfg=text)
    except _UNBUILDABLE as error:
        raise ConfigError(f"open_clip cannot build the network of {source}: {shown(error)}") from error


def preprocessing(module: Any, described: Mapping[str, Any]) -> Preprocessing:
    """What a network that is built wants of images."""
    size = module.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    own = described["preprocess_cfg"]
    return Preprocessing((height, width), *(own[key] for key in PREPROCESS))


def tokens(model_cfg: Mapping[str, Any], texts: Sequence[str]) -> Tensor:
    """``(n, context length)`` int64, of a network that could be built.

    Raises:
        ConfigError: if the tokenizer does not know its settings.
    """
    library()
    from open_clip.tokenizer import SimpleTokenizer

    text = _table(model_cfg, "text_cfg")
    try:
        tokenizer = SimpleTokenizer(**_table(text, "tokenizer_kwargs"))
    except _UNBUILDABLE as error:
        raise ConfigError(
            f"open_clip's tokenizer does not take tokenizer_kwargs as they are: {shown(error)}"
        ) from error
    result: Tensor = tokenizer(list(texts), text.get("context_length", 77))
    return result


def class_features(
    module: nn.Module, model_cfg: Mapping[str, Any], names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """``(K, D)`` of length 1: the mean over the templates of the texts' embeddings, as in CLIP's zero-shot protocol."""
    library()
    from open_clip import build_zero_shot_classifier

    module.eval()
    features: Tensor = build_zero_shot_classifier(module, lambda texts: tokens(model_cfg, texts), names, templates)
    return features.T.contiguous()


def check_templates(templates: Any) -> list[str]:
    """The templates as a list.

    Raises:
        ConfigError: if they are no list of texts with one ``{}``, where the name goes.
    """
    several = isinstance(templates, list | tuple) and len(templates) > 0
    if not several or not all(isinstance(one, str) and _is_template(one) for one in templates):
        raise ConfigError(
            f"templates is a list of texts with one {{}} each, where the name goes, got {shown(templates)}"
        )
    return list(templates)


def _table(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key} of a CLIP is a table, got {shown(value)}")
    return dict(value)


def _is_template(text: str) -> bool:
    return text.count("{}") == text.count("{") == text.count("}") == 1


def fill(module: nn.Module, file: Path) -> None:
    """Load a file's tensors.

    Raises:
        WeightsError: if they are of another network.
    """
    from open_clip.model import CustomTextCLIP, convert_to_custom_text_state_dict

    tensors = weight_files.read_tensors(file)
    if isinstance(module, CustomTextCLIP):
        tensors = convert_to_custom_text_state_dict(tensors)  # files older than such networks
    weight_files.fill(module, tensors, f"{file} is of another network")


def refuse_tag(weights: str | Path, model: Any) -> None:
    """Raise a ConfigError if ``weights`` is one of open_clip's pretrained tags, which would be downloaded."""
    import open_clip

    tag = open_clip.get_pretrained_cfg(str(model), str(weights))
    if not tag:
        return
    hub = f"https://huggingface.co/{tag['hf_hub'].strip('/')}" if tag.get("hf_hub") else None
    file = f"open_clip_model.safetensors of {hub}" if hub else tag.get("url")
    raise ConfigError(
        f"weights={str(weights)!r} is a tag that open_clip would download, and tdir downloads nothing: fetch {file} "
        "and give its path as weights="
    )


def library() -> Any:
    """open_clip.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError(f"head 'clip' needs open_clip_torch ({error}): pip install 'tdir[clip]'") from error
    return open_clip


def _of_file(file: Path) -> dict[str, Any]:
    text, place = weight_files.header(file, HEADER), file
    if text is None and (beside := file.with_name(_BESIDE)).is_file():
        text, place = beside.read_text(encoding="utf-8", errors="replace"), beside
    try:
        return {} if text is None else _nested(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"what {place} says of its network cannot be read ({shown(error)}): repair it") from error


def _of_model(model: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(model, Mapping):
        return _nested(model)
    if str(model).endswith(".json"):
        try:
            return _nested(json.loads(weight_files.find(model).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, WeightsError) as error:
            raise ConfigError(f"the config of a CLIP cannot be read from {model}: {shown(error)}") from error
    open_clip = library()
    if model not in open_clip.list_models():
        raise ConfigError(f"open_clip has no model {str(model)!r}: {closest(str(model), open_clip.list_models())}")
    return {"model_cfg": open_clip.get_model_config(model), **_usual_preprocessing(str(model))}


def _usual_preprocessing(model: str) -> dict[str, Any]:
    """What open_clip's tags of a model want of images, where they agree."""
    open_clip = library()
    tags = [open_clip.get_pretrained_cfg(model, tag) for tag in open_clip.list_pretrained_tags_by_model(model)]
    wanted = [{key: tag[key] for key in PREPROCESS if tag.get(key) is not None} for tag in tags]
    return {"preprocess_cfg": wanted[0]} if wanted and all(one == wanted[0] for one in wanted) else {}


def _nested(content: Any) -> dict[str, Any]:
    """A config as open_clip's hub has it, with the network's in "model_cfg", of that or of the network's alone."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"the config of a CLIP is a table, got {shown(content)}")
    nested = dict(content) if "model_cfg" in content else {"model_cfg": dict(content)}
    return {**nested, **{key: _table(nested, key) for key in ("model_cfg", "preprocess_cfg") if key in nested}}
