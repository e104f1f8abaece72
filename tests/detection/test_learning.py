"""A few drawn images are learnt by heart: losses, targets, decoding and the metric agree."""

import jax
import numpy as np
import optax
import pytest

from cnn_jax import models
from cnn_jax.devices.compilation import compiled
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.models.cost import shapes
from cnn_jax.tasks.box_records import BoxRecords
from cnn_jax.tasks.coco_numbers import coco_numbers

SIDE, IMAGES, STEPS = 96, 4, 250
SHARED = {"body": "resnet18", "body_options": {"depths": (1, 1, 1), "width": 16}, "channels": 32}
NETS = {
    "retinanet": {"at": (8, 16), "extra_levels": 1, "head_depth": 1, "anchor_scale": 2.0},
    "fcos": {"at": (8, 16), "extra_levels": 0, "head_depth": 1},
    "faster_rcnn": {
        "at": (8, 16),
        "anchor_scale": 3.0,
        "proposals": 30,
        "training_proposals": 60,
        "samples": 32,
        "hidden": 64,
    },
}


def drawn():
    """Images of one to three rectangles, of two classes by their colour, and the truth."""
    random = np.random.default_rng(3)
    images = random.normal(0, 0.2, (IMAGES, SIDE, SIDE, 3)).astype(np.float32)
    boxes, there = np.zeros((IMAGES, 4, 4), np.float32), np.zeros((IMAGES, 4), bool)
    classes = np.zeros((IMAGES, 4), np.int32)
    for image in range(IMAGES):
        # In a quarter each, so that none hides another.
        for place in random.permutation(4)[: 1 + image % 3]:
            corner = np.array(divmod(place, 2)) * SIDE // 2
            top, left = corner + random.integers(2, 14, 2)
            height, width = random.integers(16, 30, 2)
            label = int(random.integers(2))
            box = [top, left, top + height, left + width]
            boxes[image, place], classes[image, place], there[image, place] = box, label, True
            images[image, top : box[2], left : box[3], label] += 2
    return images, {"boxes": boxes, "classes": classes, "there": there}


def start(module):
    random = np.random.default_rng(0)

    def value(path, leaf):
        names = [each.key for each in path]
        if names[-1] == "kernel":
            last = names[1] in ("class_head", "proposal_head") or names[2] in (
                "deltas",
                "distances",
            )
            deviation = 0.01 if last else np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return random.normal(0, deviation, leaf.shape).astype(np.float32)
        if names[1:3] == ["class_head", "logits"]:
            return np.full(leaf.shape, -np.log(99), np.float32)
        return np.full(leaf.shape, names[-1] in ("scale", "var"), np.float32)

    return jax.tree_util.tree_map_with_path(value, shapes(module, (SIDE, SIDE, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETS))
def test_drawn_images_are_learnt_by_heart(name):
    images, truth = drawn()
    module, size = models.create(name, 2, **SHARED, **NETS[name]), (SIDE, SIDE)
    optimizer = optax.chain(
        optax.clip_by_global_norm(10.0),
        optax.adam(optax.warmup_cosine_decay_schedule(0, 3e-3, 10, STEPS)),
    )

    def step(state, key):
        def objective(params):
            outputs, changed = module.apply(
                {**state["variables"], "params": params},
                {"image": images, "truth": truth},
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            parts = module.losses(outputs, truth, size, key)
            return sum(part.mean() for part in parts.values()), changed

        params = state["variables"]["params"]
        (loss, changed), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        updates, moved = optimizer.update(gradient, state["optimizer"])
        variables = {**changed, "params": optax.apply_updates(params, updates)}
        return {"variables": variables, "optimizer": moved}, loss

    variables, key = start(module), jax.random.key(0)
    state = {"variables": variables, "optimizer": optimizer.init(variables["params"])}
    mesh = make_mesh()
    program = compiled(mesh, jax.jit(step), state, key)
    losses = []
    for place in range(STEPS):
        state, loss = program(state, jax.random.fold_in(key, place))
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 3

    found = jax.jit(lambda v: module.decode(module.apply(v, images), size))(state["variables"])
    boxes, scores, classes, there = jax.device_get(found)
    sides = truth["boxes"][..., 2:] - truth["boxes"][..., :2]
    records = BoxRecords(
        boxes=boxes,
        scores=scores,
        classes=np.where(there, classes, -1),
        true_boxes=truth["boxes"],
        true_classes=np.where(truth["there"], truth["classes"], -1),
        true_flags=np.zeros((IMAGES, 4), np.int8),
        true_areas=sides.prod(-1),
    )
    assert coco_numbers(records, ("red", "green"))["ap"] >= 0.9
