"""What a RetinaNet head shares with torchvision, and what it refuses."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

import tdir
from tdir.errors import ConfigError, WeightsError
from tdir.frozen import state_hash
from tdir.heads._retinanet import ARCHITECTURES
from tdir.heads.retinanet import COCO, RetinaNetHead
from tdir.structures import Detections
from tests.contracts.raw_outputs import anchor_centres, detached_scores

SMALL = "mobilenet_v3_small_fpn"
NAMES = ["__background__", "cat", "dog", "N/A", "owl", "fox"]
TARGETS = [
    Detections(torch.tensor([[10.0, 12, 60, 60], [30, 30, 90, 60]]), torch.tensor([3, 0])),
    Detections(torch.tensor([[3.0, 20, 30, 50]]), torch.tensor([1])),
]


@cache
def untrained(model: str = SMALL, classes: tuple[str, ...] | None = None) -> RetinaNetHead:
    torch.manual_seed(0)
    return RetinaNetHead(model=model, names=NAMES, classes=classes)


def librarys_own(head: RetinaNetHead, training: bool = False, size: tuple[int, int] | None = None) -> Any:
    """The same network as torchvision uses it, but that images keep their size."""
    model: Any = copy.deepcopy(head.model)
    model.training = model.transform.training = training
    model.transform._skip_resize = True
    if size is not None:
        model.transform.min_size, model.transform.max_size = (min(size),), max(size)
    return model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_loss_of_an_image_is_torchvisions_own(name: str) -> None:
    head = untrained(name)
    images = torch.rand(2, 3, 64, 96)
    outputs_of_classes = torch.tensor([1, 2, 4, 5])
    with torch.no_grad():
        ours = head.loss(head(images), TARGETS)
        model = librarys_own(head, training=True)
        theirs = [
            sum(model([image], [{"boxes": target.boxes, "labels": outputs_of_classes[target.labels]}]).values())
            for image, target in zip(images, TARGETS, strict=True)
        ]
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-5, atol=0)


@pytest.mark.parametrize("size", [(61, 83), (64, 96), (1, 1), (20, 200)])
def test_decoding_is_torchvisions_own(size: tuple[int, int]) -> None:
    head = untrained()
    images = torch.rand(2, 3, *size)
    model = librarys_own(head, size=size)
    model.score_thresh, model.nms_thresh, model.detections_per_img = 0.009, 0.6, 40
    # Its unused outputs are of no class: they find nothing.
    head_bias, bias = (m.head.classification_head.cls_logits.bias for m in (head.model, model))
    bias.view(9, 6)[:, [0, 3]] = -100
    assert not torch.equal(head_bias, bias)
    with torch.no_grad():
        found = head.decode(head(images), score=0.009, iou=0.6, max_det=40)
        theirs = model(list(images))
    for ours, own in zip(found, theirs, strict=True):
        assert len(ours) > 0
        torch.testing.assert_close(ours.boxes, own["boxes"])
        torch.testing.assert_close(ours.scores, own["scores"])
        assert torch.equal(torch.tensor([1, 2, 4, 5])[ours.labels], own["labels"])


def test_anchors_on_padding_are_no_background() -> None:
    head = untrained()
    outputs = head(torch.rand(1, 3, 40, 50))
    (scores,) = detached_scores(outputs)
    outputs.size = (64, 64)  # the canvas
    x, y = anchor_centres(outputs).unbind(1)
    outputs.size = (40, 50)
    head.loss(outputs, [Detections(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([0]))]).sum().backward()
    assert scores.grad is not None
    assert not scores.grad[0, (x >= 50) | (y >= 40)].any()
    assert scores.grad[0, (x < 50) & (y < 40)].any()


def test_chosen_classes_are_all_that_the_loss_sees() -> None:
    head = untrained(classes=("fox", "cat"))
    full = untrained()
    images = torch.rand(1, 3, 64, 64)
    outputs = head(images)
    torch.testing.assert_close(outputs.logits, full(images).logits[..., [5, 1]])
    target = Detections(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([0]))
    anchors = [torch.cat(head._anchors(outputs))]
    raw = {"cls_logits": outputs.logits, "bbox_regression": outputs.offsets}
    own = full.model.compute_loss([{"boxes": target.boxes, "labels": target.labels}], raw, anchors)
    torch.testing.assert_close(head.loss(outputs, [target])[0], sum(own.values()), rtol=1e-5, atol=0)


def saved(tensors: dict[str, Tensor], path: Path) -> Path:
    torch.save(tensors, path)
    return path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_architecture_is_told_from_the_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("a download"))
    path = saved(untrained(name).model.state_dict(), tmp_path / "net.pth")
    head = tdir.head(f"retinanet:{path}", names=NAMES)
    assert isinstance(head, RetinaNetHead)
    assert head.architecture() == {"model": name, "names": NAMES}
    assert head.classes == ["cat", "dog", "owl", "fox"]
    assert state_hash(head) == state_hash(untrained(name))
    assert head.weights_name == str(path)


def test_cocos_names_go_with_91_outputs(tmp_path: Path) -> None:
    head = RetinaNetHead(model=SMALL)
    assert len(COCO) == 91
    assert len(head.classes) == 80
    assert head.classes[:3] == ["person", "bicycle", "car"]
    again = RetinaNetHead(saved(head.model.state_dict(), tmp_path / "coco.pth"), classes=["toothbrush"])
    outputs = again(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(outputs.logits.shape[-1], 1)


def test_names_may_leave_out_the_background(tmp_path: Path) -> None:
    path = saved(untrained().model.state_dict(), tmp_path / "net.pth")
    head = RetinaNetHead(path, names=["a", "b", "c", "d", "e"])
    assert head.classes == ["a", "b", "c", "d", "e"]
    assert head.architecture()["names"] == ["__background__", "a", "b", "c", "d", "e"]
    with pytest.raises(ConfigError, match=r"net.pth has 6 outputs, and its classes are not COCO's: pass names="):
        RetinaNetHead(path)
    with pytest.raises(ConfigError, match=r"has 6 outputs, and names= has 2: pass names=\[...\], one for each, or 5"):
        RetinaNetHead(path, names=["a", "b"])


def test_the_first_published_weights_have_no_epsilon(tmp_path: Path) -> None:
    """They have frozen batch norm, and convolutions of the heads by their old names."""
    coarse = LastLevelP6P7(256, 256)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=coarse,
    )
    model = RetinaNet(backbone, 91).eval()
    overwrite_eps(model, 0.0)
    model.backbone.body.bn1.running_var.fill_(1e-5)  # as large as the epsilon that there is today
    tensors = {
        name.replace("conv.0.0.", "conv.0.").replace("conv.3.0.", "conv.6."): value
        for name, value in model.state_dict().items()
    }
    tensors = {name.replace("conv.1.0.", "conv.2.").replace("conv.2.0.", "conv.4."): v for name, v in tensors.items()}
    assert "head.regression_head.conv.6.weight" in tensors
    head = RetinaNetHead(saved(tensors, tmp_path / "retinanet_resnet50_fpn_coco-eeacb38b.pth"))
    assert not any(isinstance(m, nn.BatchNorm2d) and (m.training or m.eps) for m in head.modules())
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        outputs = head(image)
        theirs = list(model.backbone(model.transform.normalize(image)).values())
    for ours, own in zip(outputs.features, theirs, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"needs weights='....pth', or model='resnet50_fpn'"),
        ({"model": "resnet50_fpn_v3"}, "no model 'resnet50_fpn_v3': did you mean 'resnet50_fpn_v2'"),
        ({"model": SMALL, "classes": ["prson"]}, "has no class 'prson': did you mean 'person'"),
        ({"model": SMALL, "classes": ["N/A"]}, "has no class 'N/A'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RetinaNetHead(**settings)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds none of torchvision's RetinaNets .*resnet50_fpn.*'e_conv1.weight'"):
        RetinaNetHead(saved(tdir.restorer("aodnet").state_dict(), tmp_path / "dehazer.pth"))
    path = saved(untrained().model.state_dict(), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net.pth does not fit model 'mobilenet_v3_large_fpn'"):
        RetinaNetHead(path, model="mobilenet_v3_large_fpn", names=NAMES)
    torch.save({"model": untrained().model}, tmp_path / "pickled.pth")
    with pytest.raises(WeightsError, match="wants to run code"):
        RetinaNetHead(tmp_path / "pickled.pth")


def test_a_bundle_refers_to_it_or_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(untrained().model.state_dict(), tmp_path / "net.pth")
    head = tdir.head("retinanet", path, names=NAMES, classes=["owl"])
    pipeline = tdir.Pipeline(tdir.restorer("identity"), None, head, size=64)
    for name, inside in (("small.tdir", False), ("whole.tdir", True)):
        pipeline.save(tmp_path / name, include_head=inside)
        monkeypatch.setenv("TDIR_WEIGHTS", "" if inside else str(tmp_path))
        loaded = tdir.load(tmp_path / name)
        assert state_hash(loaded.head) == state_hash(head)
        assert loaded.head.classes == ["owl"]
        assert loaded.head.weights_sha256 == head.weights_sha256
        image = torch.rand(3, 40, 64)
        torch.testing.assert_close(loaded.predict(image, score=0.0).boxes, pipeline.predict(image, score=0.0).boxes)
    with pytest.raises(WeightsError, match=r"has 6 outputs|needs its head's weights"):
        tdir.load(tmp_path / "small.tdir")
