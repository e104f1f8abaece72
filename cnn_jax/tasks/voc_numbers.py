"""Average precision as the Pascal VOC challenges have it, of boxes that overlap by half.

Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4, section 4.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnn_jax.data.boxed_set import CROWD, DIFFICULT
from cnn_jax.tasks.box_records import BoxRecords

OVERLAP = 0.5


def voc_numbers(records: BoxRecords, classes: int) -> dict[str, float]:
    """`voc07`, the mean over classes of the mean precision at eleven recalls, and `voc10`, that of
    the area below the curve.

    Difficult boxes and crowds are not missed, and what is told of them does not count. A class
    without boxes is left out; where there is none at all, so are the numbers.

    Args:
      records: of a split.
      classes: k, how many there are.
    """
    judged = [_judged(records, label) for label in range(classes)]
    found = [_curve(each) for each in judged if each.wanted]
    if not found:
        return {}
    return {
        "voc07": float(np.mean([eleven_points(*each) for each in found])),
        "voc10": float(np.mean([area(*each) for each in found])),
    }


def best_score(records: BoxRecords, classes: int) -> float:
    """The score from which on boxes are best told: F1 over all classes is the greatest there.

    Args:
      records: of a split.
      classes: k.

    Returns:
      Halfway to the next lower score, so that it is no single box's; 0.5 where nothing is right.
    """
    scores, right, wrong, wanted = _pooled(records, classes)
    order = np.argsort(-scores, kind="stable")
    hits, misses = np.cumsum(right[order]), np.cumsum(wrong[order])
    if not wanted or not len(order) or not hits[-1]:
        return 0.5
    best = int(np.argmax(2 * hits / (hits + misses + wanted)))
    falling = scores[order]
    lower = falling[best + 1] if best + 1 < len(falling) else falling[best]
    return float((falling[best] + lower) / 2)


def at_score(records: BoxRecords, classes: int, least: float) -> dict[str, float]:
    """Precision and recall of boxes from a score on, over all classes.

    Args:
      records: of a split.
      classes: k.
      least: the score.
    """
    scores, right, wrong, wanted = _pooled(records, classes)
    hits, misses = right[scores >= least].sum(), wrong[scores >= least].sum()
    found = {"recall": float(hits / wanted)} if wanted else {}
    return found | ({"precision": float(hits / (hits + misses))} if hits + misses else {})


class _Judged(NamedTuple):
    """The detections of a class, the surest first.

    Attributes:
      scores: (d,).
      right: (d,) 1 where a box is found.
      wrong: (d,) 1 where there is none, or it has been found before; else 0, as where a box is
        found that does not count.
      wanted: how many there are to find.
    """

    scores: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    wanted: int


def _pooled(records: BoxRecords, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    judged = [_judged(records, label) for label in range(classes)]
    scores, right, wrong = (np.concatenate(each) for each in list(zip(*judged, strict=True))[:3])
    return scores, right, wrong, sum(each.wanted for each in judged)


def _judged(records: BoxRecords, label: int) -> _Judged:
    counted = records.true_flags & (CROWD | DIFFICULT) == 0
    wanted = int(((records.true_classes == label) & counted).sum())
    images, places = np.nonzero(records.classes == label)
    order = np.argsort(-records.scores[images, places], kind="stable")
    images, places = images[order], places[order]
    right, wrong = np.zeros(len(order)), np.zeros(len(order))
    taken = np.zeros(records.true_classes.shape, bool)
    for rank, (image, place) in enumerate(zip(images, places, strict=True)):
        truth = np.flatnonzero(records.true_classes[image] == label)
        shared = overlaps(records.boxes[image, place], records.true_boxes[image, truth])
        best = int(np.argmax(shared)) if len(truth) else -1
        if best < 0 or shared[best] < OVERLAP:
            wrong[rank] = 1
        elif counted[image, truth[best]]:
            wrong[rank] = taken[image, truth[best]]
            right[rank] = not taken[image, truth[best]]
            taken[image, truth[best]] = True
    return _Judged(records.scores[images, places], right, wrong, wanted)


def _curve(judged: _Judged) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision (d,) down the detections of a class."""
    hits, misses = np.cumsum(judged.right), np.cumsum(judged.wrong)
    return hits / judged.wanted, hits / np.maximum(hits + misses, np.finfo(float).tiny)


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) of a box (4,) with others (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    own, theirs = np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1)
    return shared / np.maximum(own + theirs - shared, np.finfo(float).tiny)


def eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    """The mean of the greatest precision at a recall of at least 0, 0.1, ... 1."""
    # Recalls are ratios of counts: 0.3 may come out a last bit below.
    reached = [recall >= step / 10 - 1e-12 for step in range(11)]
    return float(np.mean([precision[each].max(initial=0.0) for each in reached]))


def area(recall: np.ndarray, precision: np.ndarray) -> float:
    """The area below the curve of the greatest precision at a recall of at least so much."""
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float(np.sum(steps * np.maximum.accumulate(precision[::-1])[::-1]))
