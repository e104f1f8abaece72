"""The twelve numbers of COCO, by its own reference implementation, and AP of each class.

Lin et al. 2014, https://arxiv.org/abs/1405.0312; pycocotools is the metric of record.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_jax.data.boxed_set import CROWD, DIFFICULT
from cnn_jax.tasks.box_records import BoxRecords

NAMES = (
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
)
"""In the order that pycocotools has them."""

ALWAYS = ("ap", "ap50")
"""What is given also where there is nothing to tell: then it is not a number."""


def coco_numbers(records: BoxRecords, class_names: Sequence[str]) -> dict[str, float]:
    """The twelve numbers, and `ap/CLASS` and `ap50/CLASS` of each class that is there.

    A crowd is matched by any number of detections and never missed. Difficult boxes are not missed
    either, and what is told of them does not count.

    Args:
      records: of a split.
      class_names: the k classes.

    Returns:
      Parts of one; those of sizes and classes of which there is no box are left out.
    """
    # Its import takes a while, which a run on other data should not wait for.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    class Eval(COCOeval):
        """COCOeval, which by itself overwrites what says that boxes do not count."""

        def _prepare(self) -> None:
            super()._prepare()
            for found in self._gts.values():
                for each in found:
                    each["ignore"] = each["ignore"] or each["difficult"]

    with contextlib.redirect_stdout(io.StringIO()):
        truth, told = COCO(), COCO()
        truth.dataset = _dataset(_truth(records), len(records.boxes), class_names)
        # COCO.loadRes refuses results of which there are none.
        told.dataset = _dataset(_told(records), len(records.boxes), class_names)
        truth.createIndex(), told.createIndex()
        found = Eval(truth, told, "bbox")
        found.evaluate(), found.accumulate(), found.summarize()
    numbers = {
        name: float(value)
        for name, value in zip(NAMES, found.stats, strict=True)
        if value > -1 or name in ALWAYS
    }
    numbers |= {name: float("nan") for name in ALWAYS if numbers[name] < 0}
    # (overlaps, recalls, classes, areas, most detections), -1 where there is no truth.
    precision = found.eval["precision"][:, :, :, 0, -1]
    for place, called in enumerate(class_names):
        if (precision[:, :, place] > -1).any():
            numbers[f"ap/{called}"] = float(precision[:, :, place].mean())
            numbers[f"ap50/{called}"] = float(precision[0, :, place].mean())
    return numbers


def _dataset(
    annotations: list[dict[str, Any]], images: int, class_names: Sequence[str]
) -> dict[str, Any]:
    # Numbers begin at 1: a match is remembered by its number, and 0 is none.
    for number, each in enumerate(annotations, 1):
        each["id"] = number
    return {
        "images": [{"id": place} for place in range(images)],
        "categories": [{"id": place, "name": each} for place, each in enumerate(class_names)],
        "annotations": annotations,
    }


def _truth(records: BoxRecords) -> list[dict[str, Any]]:
    flags = records.true_flags
    return [
        {
            "image_id": int(image),
            "category_id": int(records.true_classes[image, place]),
            "bbox": _sides(records.true_boxes[image, place]),
            "area": float(records.true_areas[image, place]),
            "iscrowd": int(flags[image, place] & CROWD > 0),
            "difficult": int(flags[image, place] & DIFFICULT > 0),
        }
        for image, place in np.argwhere(records.true_classes >= 0)
    ]


def _told(records: BoxRecords) -> list[dict[str, Any]]:
    rows = []
    for image, place in np.argwhere(records.classes >= 0):
        box = _sides(records.boxes[image, place])
        rows.append(
            {
                "image_id": int(image),
                "category_id": int(records.classes[image, place]),
                "bbox": box,
                "area": box[2] * box[3],
                "score": float(records.scores[image, place]),
                "iscrowd": 0,
            }
        )
    return rows


def _sides(box: np.ndarray) -> list[float]:
    """Left, top, width and height of top, left, bottom and right."""
    top, left, bottom, right = map(float, box)
    return [left, top, right - left, bottom - top]
