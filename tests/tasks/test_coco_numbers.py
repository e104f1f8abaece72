import json

import numpy as np
import pytest

from cnn_jax.data.boxed_set import CROWD, DIFFICULT
from cnn_jax.tasks.box_records import BoxRecords
from cnn_jax.tasks.coco_numbers import NAMES, coco_numbers
from cnn_jax.tasks.voc_numbers import area, at_score, best_score, eleven_points, voc_numbers

CLASSES = ("a", "b", "c")


def records(truth, told, d=6, m=5):
    """Records of lists, of each image: truth (class, box, flags), told (class, box, score)."""
    n = len(truth)
    found = BoxRecords(
        boxes=np.zeros((n, d, 4), np.float32),
        scores=np.zeros((n, d), np.float32),
        classes=np.full((n, d), -1, np.int32),
        true_boxes=np.zeros((n, m, 4), np.float32),
        true_classes=np.full((n, m), -1, np.int32),
        true_flags=np.zeros((n, m), np.int8),
        true_areas=np.zeros((n, m), np.float32),
    )
    for image, rows in enumerate(truth):
        for place, (label, box, flags) in enumerate(rows):
            found.true_classes[image, place], found.true_flags[image, place] = label, flags
            found.true_boxes[image, place] = box
            found.true_areas[image, place] = (box[2] - box[0]) * (box[3] - box[1])
    for image, rows in enumerate(told):
        for place, (label, box, score) in enumerate(rows):
            found.classes[image, place], found.scores[image, place] = label, score
            found.boxes[image, place] = box
    return found


ONE, OTHER, FAR = (0, 0, 10, 10), (0, 20, 40, 60), (200, 200, 300, 300)


def test_what_is_right_is_one_and_sizes_that_are_not_there_are_left_out():
    found = coco_numbers(
        records([[(0, ONE, 0)], [(1, OTHER, 0)]], [[(0, ONE, 0.9)], [(1, OTHER, 0.2)]]), CLASSES
    )
    assert [found[name] for name in ("ap", "ap50", "ar100")] == pytest.approx([1, 1, 1])
    assert [found["ap/a"], found["ap50/b"]] == pytest.approx([1, 1])
    assert "ap/c" not in found  # nothing of it is there
    assert {"ap_small", "ap_medium"} <= set(found) and "ap_large" not in found


def test_numbers_by_hand():
    """Two boxes to find; the surest detection is wrong, then one is found with IoU 0.6."""
    half = (0, 0, 6, 10)
    made = records([[(0, ONE, 0), (0, OTHER, 0)]], [[(0, FAR, 0.9), (0, half, 0.8)]])
    found = coco_numbers(made, CLASSES)
    # Recall 1/2 at precision 1/2: 51 of 101 recalls, at thresholds 0.5, 0.55, 0.6 of ten.
    assert found["ap50"] == pytest.approx(51 / 101 / 2)
    assert found["ap"] == pytest.approx(0.3 * 51 / 101 / 2, abs=1e-6)
    assert found["ar1"] == 0 and found["ar10"] == pytest.approx(0.3 * 0.5)
    numbers = voc_numbers(made, 3)
    assert numbers["voc07"] == pytest.approx(6 / 11 / 2)  # recalls 0 to 0.5
    assert numbers["voc10"] == pytest.approx(0.25)


def test_a_box_found_twice_is_wrong_once_and_ties_keep_their_order():
    rows = [(0, ONE, 0.5), (0, ONE, 0.5), (0, FAR, 0.5)]
    found = records([[(0, ONE, 0)]], [rows])
    assert coco_numbers(found, CLASSES)["ap50"] == pytest.approx(1)
    last = records([[(0, ONE, 0)]], [rows[::-1]])
    assert coco_numbers(last, CLASSES)["ap50"] == pytest.approx(0.5)
    assert voc_numbers(found, 3)["voc10"] == 1 and voc_numbers(last, 3)["voc10"] == 0.5


def test_crowds_and_difficult_boxes_are_not_missed_and_what_is_told_of_them_does_not_count():
    inside = (200, 200, 220, 220)
    for flag in (CROWD, DIFFICULT):
        truth = [[(0, ONE, 0), (0, FAR, flag)]]
        assert coco_numbers(records(truth, [[(0, ONE, 0.5)]]), CLASSES)["ap"] == pytest.approx(1)
        told = [[(0, ONE, 0.5), (0, FAR, 0.9)]]
        made = records(truth, told)
        assert coco_numbers(made, CLASSES)["ap"] == pytest.approx(1)
        assert voc_numbers(made, 3) == {"voc07": 1, "voc10": 1}
        # A crowd is around many: a part of it is in it, which is no box that is difficult to tell.
        part = coco_numbers(records(truth, [[(0, ONE, 0.5), (0, inside, 0.9)]]), CLASSES)
        assert part["ap50"] == pytest.approx(1 if flag == CROWD else 0.5)
    only = records([[(0, FAR, CROWD)]], [[(0, FAR, 0.9)]])
    assert np.isnan(coco_numbers(only, CLASSES)["ap"]) and voc_numbers(only, 3) == {}


def test_no_detections_and_no_boxes():
    nothing = coco_numbers(records([[(0, ONE, 0)], []], [[], []]), CLASSES)
    assert nothing["ap"] == nothing["ap50"] == nothing["ar100"] == 0
    assert voc_numbers(records([[(0, ONE, 0)]], [[]]), 3) == {"voc07": 0, "voc10": 0}
    empty = coco_numbers(records([[]], [[(0, ONE, 0.5)]]), CLASSES)
    assert set(empty) == {"ap", "ap50"} and np.isnan(empty["ap"])
    assert best_score(records([[]], [[]]), 3) == 0.5


def test_all_twelve_equal_those_of_files_that_pycocotools_reads(tmp_path):
    """Random boxes of three sizes with crowds and ties, by way of its own reader of results."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    random = np.random.default_rng(0)
    truth, told = [], []
    for _ in range(12):
        rows, guesses = [], []
        for _ in range(random.integers(0, 5)):
            corner, side = random.uniform(0, 200, 2), random.choice([20, 60, 150], 2)
            box = np.concatenate([corner, corner + side]).astype(np.float32)
            rows.append((int(random.integers(3)), box, CROWD * (random.random() < 0.2)))
            moved = (box + random.normal(0, 5, 4)).astype(np.float32)
            guesses.append((rows[-1][0], moved, round(random.random(), 1)))
        truth.append(rows), told.append([*guesses, (1, FAR, 0.5)])
    made = records(truth, told)
    boxes = [
        {
            "id": number,
            "image_id": image,
            "category_id": label + 5,
            "bbox": [*map(float, (b[1], b[0], b[3] - b[1], b[2] - b[0]))],
            "area": float((b[3] - b[1]) * (b[2] - b[0])),
            "iscrowd": int(flag > 0),
        }
        for number, (image, (label, b, flag)) in enumerate(
            ((i, row) for i, rows in enumerate(truth) for row in rows), 1
        )
    ]
    results = [
        {
            "image_id": image,
            "category_id": label + 5,
            "bbox": [*map(float, (b[1], b[0], b[3] - b[1], b[2] - b[0]))],
            "score": float(np.float32(score)),
        }
        for image, rows in enumerate(told)
        for label, b, score in rows
    ]
    whole = {
        "images": [{"id": image} for image in range(12)],
        "categories": [{"id": label + 5, "name": name} for label, name in enumerate(CLASSES)],
        "annotations": boxes,
    }
    (tmp_path / "truth.json").write_text(json.dumps(whole))
    (tmp_path / "told.json").write_text(json.dumps(results))
    theirs = COCO(tmp_path / "truth.json")
    judged = COCOeval(theirs, theirs.loadRes(str(tmp_path / "told.json")), "bbox")
    judged.evaluate(), judged.accumulate(), judged.summarize()
    found = coco_numbers(made, CLASSES)
    assert 0.1 < found["ap"] < 0.9 and len(NAMES) == 12
    np.testing.assert_allclose([found[name] for name in NAMES], judged.stats, atol=1e-9)


def test_voc_averages_by_hand():
    recall, precision = np.array([0.25, 0.25, 0.5, 0.75]), np.array([1, 0.5, 2 / 3, 0.75])
    assert area(recall, precision) == pytest.approx(0.25 * 1 + 0.5 * 0.75)
    assert eleven_points(recall, precision) == pytest.approx((3 * 1 + 5 * 0.75) / 11)
    tenths = np.arange(1, 11) / 10
    assert eleven_points(tenths, np.ones(10)) == 1


def test_the_score_from_which_boxes_are_told_best():
    made = records(
        [[(0, ONE, 0), (1, OTHER, 0)]],
        [[(0, ONE, 0.9), (1, OTHER, 0.6), (0, FAR, 0.4), (2, FAR, 0.3)]],
    )
    assert best_score(made, 3) == pytest.approx(0.5)
    assert at_score(made, 3, 0.5) == {"recall": 1, "precision": 1}
    assert at_score(made, 3, 0.7) == {"recall": 0.5, "precision": 1}
    assert at_score(made, 3, 0.35) == {"recall": 1, "precision": pytest.approx(2 / 3)}
    assert at_score(made, 3, 0.95) == {"recall": 0}
