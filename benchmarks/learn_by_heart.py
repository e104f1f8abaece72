"""Makes a set of COCO whose three parts are the same few images, for a net to learn by heart.

A net that cannot learn eight photographs by heart has a loss, targets, decoding or metric at fault.

Command: python benchmarks/learn_by_heart.py coco/instances_train2017.json coco/train2017 coco8
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

PARTS = ("train2017", "val2017", "test2017")


def first(told: dict[str, Any], count: int) -> dict[str, Any]:
    """The annotations of the first images alone, with the categories that are in them."""
    images = told["images"][:count]
    ids = {each["id"] for each in images}
    boxes = [each for each in told["annotations"] if each["image_id"] in ids]
    named = {each["category_id"] for each in boxes}
    categories = [each for each in told["categories"] if each["id"] in named]
    return {"images": images, "annotations": boxes, "categories": categories}


def write(annotations: Path, images: Path, output: Path, count: int) -> None:
    """Writes the set in COCO's layout.

    Args:
      annotations: a JSON file of COCO.
      images: the folder of its images.
      output: a folder that is not there yet.
      count: of images.
    """
    told = first(json.loads(annotations.read_text()), count)
    (output / "annotations").mkdir(parents=True)
    for part in PARTS:
        (output / "annotations" / f"instances_{part}.json").write_text(json.dumps(told))
        folder = output / "images" / part
        folder.mkdir(parents=True)
        for image in told["images"]:
            shutil.copy(images / image["file_name"], folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=8)
    given = parser.parse_args()
    write(given.annotations, given.images, given.output, given.count)
