"""What a YOLO head shares with ultralytics, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor
from ultralytics.nn.tasks import ClassificationModel, yaml_model_load
from ultralytics.utils.ops import xyxy2xywh

import tdir
from tdir.data.images import read_image
from tdir.errors import ConfigError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.yolo import Yolo, YoloOutputs
from tdir.structures import Detections

MODELS = ("yolov3-tiny", "yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n")


@cache
def untrained(name: str) -> Yolo:
    torch.manual_seed(0)
    return Yolo(model=f"{name}.yaml")


def own_predictions(outputs: YoloOutputs) -> dict[str, Any]:
    """The outputs as ultralytics' criterion takes them."""
    branches = [{**branch, "feats": outputs.features} for branch in outputs.branches]
    return branches[0] if len(branches) == 1 else dict(zip(("one2many", "one2one"), branches, strict=True))


def own_targets(target: Detections, size: tuple[int, int]) -> dict[str, Tensor]:
    height, width = size
    return {
        "batch_idx": torch.zeros(len(target)),
        "cls": target.labels.float(),
        "bboxes": xyxy2xywh(target.boxes) / torch.tensor([width, height, width, height]),
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_an_image_is_ultralytics_own(name: str) -> None:
    head = untrained(name)
    size = (96, 128)
    targets = [
        Detections(torch.tensor([[10.0, 12, 60, 70], [50, 30, 120, 90]]), torch.tensor([17, 0])),
        Detections(torch.tensor([[3.0, 40, 30, 90]]), torch.tensor([5])),
        Detections(torch.tensor([[3.0, 4, 9, 9], [4, 4, 100, 90], [80, 1, 127, 95]]), torch.tensor([79, 1, 1])),
    ]
    with torch.no_grad():
        outputs = head(torch.rand(3, 3, *size))
        ours = head.loss(outputs, targets)
        criterion = head.model.init_criterion()
        theirs = [
            criterion(own_predictions(outputs[i : i + 1]), own_targets(target, size))[0].sum()
            for i, target in enumerate(targets)
        ]
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_decoding_is_ultralytics_own(name: str) -> None:
    head = untrained(name)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        found = head.decode(head(images), score=0.0, iou=1.0, max_det=300)[0]
        theirs = head.model(images)[0][0]
    assert found.scores is not None
    if theirs.shape[-1] == 6:  # an end-to-end detector: boxes, score and class of the 300 best
        scores, boxes = theirs[:, 4], theirs[:, :4]
    else:
        scores, best = theirs[4:].flatten().topk(300)
        x, y, w, h = theirs[:4, best % theirs.shape[1]]
        boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    limits = torch.tensor([96.0, 64, 96, 64])
    torch.testing.assert_close(found.scores, scores, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found.boxes, boxes.clamp(min=0).minimum(limits), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["yolov8n", "yolov10n", "yolo26n"])
def test_folding_batch_norm_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    plain = Yolo(model=f"{name}.yaml", fold=False)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        folded, unfolded = untrained(name)(images), plain(images)
    for ours, theirs in zip(folded.branches, unfolded.branches, strict=True):
        torch.testing.assert_close(ours["scores"], theirs["scores"], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(ours["boxes"], theirs["boxes"], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained detector as ultralytics saves one."""
    path = tmp_path_factory.mktemp("weights") / "detector.pt"
    torch.manual_seed(0)
    model = Yolo(model="yolov8n.yaml", fold=False).model
    model.names = {i: f"thing {i}" for i in range(80)}
    torch.save({"model": model, "ema": None, "train_args": {"box": 3.5}}, path)
    return path


def test_a_checkpoint_opens_with_its_names_and_gains(checkpoint: Path) -> None:
    head = tdir.head(checkpoint, classes=["thing 3"])
    assert isinstance(head, Yolo)
    assert head.classes == ["thing 3"]
    assert head.model.args.box == 3.5
    with torch.no_grad():
        images = torch.rand(1, 3, 64, 64)
        expected = untrained("yolov8n")(images).branches[0]["scores"][:, 3:4]
        torch.testing.assert_close(head(images).branches[0]["scores"], expected)


def test_a_model_takes_the_tensors_of_a_file(checkpoint: Path, tmp_path: Path) -> None:
    bare = tmp_path / "tensors.safetensors"
    unfolded = Yolo(checkpoint, fold=False)
    save_file({name: value.contiguous() for name, value in unfolded.model.state_dict().items()}, bare)
    names = [f"thing {i}" for i in range(80)]
    from_tensors = Yolo(bare, model="yolov8n.yaml", names=names, fold=False)
    from_checkpoint = Yolo(checkpoint, model="yolov8n.yaml", fold=False)
    assert from_tensors.classes == from_checkpoint.classes == names
    assert state_hash(from_tensors) == state_hash(from_checkpoint) == state_hash(unfolded)
    with pytest.raises(WeightsError, match=r"does not fit model 'yolov5n.yaml'"):
        Yolo(bare, model="yolov5n.yaml")


def test_names_decide_the_number_of_classes() -> None:
    head = Yolo(model="yolov8n.yaml", names=["cat", "dog"])
    assert head.classes == ["cat", "dog"]
    assert head.architecture() == {"model": "yolov8n.yaml", "names": ["cat", "dog"]}
    with pytest.raises(ConfigError, match="go with model="):
        Yolo("detector.pt", names=["cat"])


def test_it_needs_weights_or_a_model() -> None:
    with pytest.raises(ConfigError, match=r"weights='yolov8n.pt', or model='yolov8n.yaml'"):
        Yolo()


class RunsCode:
    """Unpickled carelessly, it ends the test run."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return exec, ("raise SystemExit('the file ran')",)


def text(path: Path) -> None:
    path.write_text("not a checkpoint")


def empty(path: Path) -> None:
    path.touch()


def code(path: Path) -> None:
    torch.save({"model": RunsCode()}, path)


def tensors(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def classifier(path: Path) -> None:
    torch.save({"model": ClassificationModel("yolov8n-cls.yaml", nc=2, verbose=False)}, path)


def without_names(path: Path) -> None:
    model = Yolo(model="yolov8n.yaml", fold=False).model
    model.names = ["only one"]
    torch.save({"model": model}, path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (text, "not a readable ultralytics checkpoint"),
        (empty, "not a readable ultralytics checkpoint"),
        (code, "nothing in it was run"),
        (tensors, "holds no model"),
        (classifier, "holds a ClassificationModel"),
        (without_names, "80 classes, but their names are"),
    ],
)
def test_a_wrong_file_is_refused(write: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pt"
    write(path)
    with pytest.raises(WeightsError, match=said) as caught:
        tdir.head(path)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_refused_and_left_alone(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = checkpoint.read_bytes()[:100_000]
    # Named like a file that ultralytics knows, and by its name alone: it would replace it by a download.
    (tmp_path / "yolov8n.pt").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"yolov8n.pt is not a readable ultralytics checkpoint"):
        tdir.head("yolov8n.pt")
    assert Path("yolov8n.pt").read_bytes() == content


def test_an_absent_file_is_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDIR_WEIGHTS", "")
    with pytest.raises(WeightsError, match=r"no weight file 'yolo11n.pt'"):
        tdir.head("yolo11n.pt")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("task", ["cls", "seg", "pose", "obb"])
def test_models_of_another_task_are_refused(task: str) -> None:
    with pytest.raises(WeightsError, match="a model that ends in .*head 'yolo' takes a detector"):
        Yolo(model=f"yolov8n-{task}.yaml")


def test_a_model_that_is_no_plain_detector_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be built as a detector"):
        Yolo(model="yolov8n-world.yaml")


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'yolo99n.yaml' is not a model of ultralytics"):
        Yolo(model="yolo99n.yaml")


def write_recipe(path: Path, **changes: Any) -> None:
    recipe = yaml_model_load("yolov8n.yaml")
    path.write_text(yaml.safe_dump({**recipe, **changes}))


def test_an_activation_is_refused_and_not_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "yolov8n-own.yaml"
    write_recipe(path, activation="exec(\"raise SystemExit('the yaml ran')\")")
    with pytest.raises(ConfigError, match="'activation' entry"):
        Yolo(model=path)


@pytest.mark.parametrize("layer", ["torch_safe_load", "DetectionModel", "nn.init.zeros_", "__builtins__", "os"])
def test_a_layer_that_is_none_is_refused_and_not_called(layer: str, tmp_path: Path) -> None:
    path = tmp_path / "yolov8n-own.yaml"
    recipe = yaml_model_load("yolov8n.yaml")
    write_recipe(path, backbone=[[-1, 1, layer, ["anything"]], *recipe["backbone"]])
    with pytest.raises(ConfigError, match=f"'{layer}', which is no layer"):
        Yolo(model=path)


def test_a_model_of_ones_own_has_no_architecture_to_name(tmp_path: Path) -> None:
    path = tmp_path / "yolov8n-own.yaml"
    write_recipe(path, scales={"n": [0.33, 0.125, 512]})
    head = Yolo(model=path)
    with pytest.raises(ConfigError, match="keep its weight file"):
        head.architecture()


@pytest.mark.real
def test_published_weights_find_what_ultralytics_finds(weights_root: Path, data_root: Path) -> None:
    from ultralytics import YOLO

    path = sorted((data_root / "coco128" / "images" / "train2017").iterdir())[0]
    image = read_image(path)
    height, width = (length - length % 32 for length in image.shape[:2])
    tensor = torch.from_numpy(image[:height, :width].copy()).permute(2, 0, 1)[None] / 255
    head = Yolo(weights_root / "yolov8n.pt")
    with torch.no_grad():
        found = head.decode(head(tensor), score=0.25, iou=0.7)[0]
    theirs = YOLO(weights_root / "yolov8n.pt").predict(tensor, conf=0.25, iou=0.7, verbose=False)[0].boxes
    assert len(theirs) > 0
    assert found.labels.tolist() == theirs.cls.int().tolist()
    torch.testing.assert_close(found.scores, theirs.conf, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.boxes, theirs.xyxy, rtol=0, atol=0.5)
    assert head.classes[0] == "person"
