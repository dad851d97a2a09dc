from __future__ import annotations

import json

import pytest

from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics import evaluate_detections
from tdir.metrics.coco import CocoMAP
from tdir.metrics.protocols import PROTOCOLS
from tdir.metrics.voc import VocAP
from tests.metrics.scenes import CLASSES, detections, random_rows

LEFT, RIGHT, STRAY = [0, 0, 40, 40], [100, 0, 140, 40], [0, 200, 40, 240]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_loop_of_one_s_own_is_scored_by_every_protocol(protocol):
    found = evaluate_detections(*random_rows(0), CLASSES, protocol)
    assert 0 < found["map"] <= found["ap50"] < 1
    assert set(found["per_class"]) == set(CLASSES)
    assert found["protocol"]["name"] == protocol
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_default_is_coco_s():
    rows = random_rows(1)
    metric = CocoMAP(CLASSES)
    metric.update(*rows)
    found = evaluate_detections(*rows, CLASSES)
    assert {key: found[key] for key in metric.compute().as_dict()} == metric.compute().as_dict()


def test_pascal_voc_s_convention_of_the_last_pixel_is_a_setting():
    rows = [detections([[0, 0, 10, 5]], [0], [0.9])], [detections([[0, 0, 10, 11]], [0])]
    assert evaluate_detections(*rows, CLASSES, "voc12")["map"] == 0
    found = evaluate_detections(*rows, CLASSES, "voc12", plus_one=True)
    assert found["map"] == pytest.approx(1)
    assert found["protocol"]["plus_one"] is True
    with pytest.raises(ConfigError, match="plus_one=True with protocol 'coco'"):
        evaluate_detections(*rows, CLASSES, "coco", plus_one=True)


def test_ia_yolo_looks_at_confident_boxes_alone_and_takes_difficult_objects_away():
    near = [2, 0, 42, 40]
    prediction = detections([LEFT, near, RIGHT, STRAY], [0] * 4, [0.9, 0.8, 0.7, 0.3])
    truth = detections([LEFT, RIGHT, STRAY], [0] * 3, difficult=[False, True, False])
    found = evaluate_detections([prediction], [truth], CLASSES, "ia_yolo")
    # NMS takes away the box beside the first; the difficult object's is a false positive; 0.3 is not above 0.3.
    assert found["map"] == pytest.approx(0.5)
    assert found["truths"] == 2
    standard = evaluate_detections([prediction], [truth], CLASSES, "voc12")
    # The box beside the first is a false positive, the difficult object's goes unscored, the last one is found.
    assert standard["map"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_ia_yolo_s_threshold_cuts_the_curve():
    rows = random_rows(3, images=20, difficult=False)
    kept = [one[one.scores > 0.3] for one in rows[0]]
    plain = VocAP(CLASSES)
    plain.update(kept, rows[1])
    # NMS takes doubles away, which can only be false positives here, or the worse of two on one object.
    assert evaluate_detections(*rows, CLASSES, "ia_yolo")["map"] != evaluate_detections(*rows, CLASSES, "voc12")["map"]
    assert evaluate_detections(*rows, CLASSES, "ia_yolo")["map"] >= 0.9 * plain.compute().map


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], [], CLASSES, "voc2012"), ConfigError, "no protocol 'voc2012': did you mean 'voc12'"),
        (([], [], [], "voc12"), ConfigError, "one or more different names"),
        (([], [], CLASSES, "voc12"), DataError, "in 0 images"),
        (([detections([LEFT], [0])], [detections([LEFT], [0])], CLASSES, "ia_yolo"), ShapeError, "has no scores"),
        (([], [detections([LEFT], [0])], CLASSES), ShapeError, "0 predictions but 1 truths"),
    ],
)
def test_what_cannot_be_scored_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        evaluate_detections(*arguments)
