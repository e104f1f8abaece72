import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn_jax import Augment, Loss, Model, Recipe, Task
from cnn_jax.data.boxed_set import CROWD
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.errors import UserError
from cnn_jax.state import init_state
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import Evaluator, make_model
from cnn_jax.training.step import make_train_step

OPTIONS = {
    "body": "simple_cnn",
    "body_options": {"widths": (4, 8, 8)},
    "at": (4, 8),
    "extra_levels": 0,
    "channels": 8,
    "head_depth": 1,
    "head_norm": "none",
    "detections": 4,
}
SIZES = np.array([[64, 32], [16, 32]], np.int32)
TARGETS = {
    "boxes": np.array(
        [[[8, 4, 40, 20], [0, 0, 0, 0]], [[2, 4, 12, 28], [0, 16, 8, 32]]], np.float32
    ),
    "there": np.array([[True, False], [True, True]]),
    "box_class": np.array([[1, 0], [0, 1]], np.int32),
    "box_flags": np.array([[0, 0], [0, CROWD]], np.int8),
    "box_area": np.full((2, 2), 100, np.float32),
    "size": SIZES,
}
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


def made(**fields):
    recipe = Recipe(
        "toy", task=Task("detection"), model=Model("fcos", options=OPTIONS), batch_size=2
    )
    recipe = recipe.__class__(**{**recipe.__dict__, **fields})
    split = Split(IMAGES, TARGETS)
    spec = data_spec(Dataset("toy", ("cat", "dog"), split, None, split, "here"))
    return make_task(recipe, spec)


def test_boxes_of_files_are_learnt_in_pixels_of_the_images_and_crowds_are_not():
    """A file of 64x32 pixels takes the left half of 32x32, one of 16x32 the upper half."""
    task = made()
    batch = task.evaluation_batch(IMAGES, TARGETS, jnp.ones(2))
    truth = task._truth(batch)
    np.testing.assert_allclose(truth["boxes"][0, 0], [4, 2, 20, 10])
    np.testing.assert_allclose(truth["boxes"][1, 0], [2, 4, 12, 28])
    assert truth["there"].tolist() == [[True, False], [True, False]]
    places = jnp.arange(2)
    learnt = task.training_batch(
        jax.random.key(0), jax.random.key(1), IMAGES, TARGETS, places, places
    )
    there = np.asarray(truth["there"])
    np.testing.assert_allclose(
        task._truth(learnt)["boxes"][there], truth["boxes"][there], atol=1e-4
    )


def test_what_is_told_comes_back_in_pixels_of_the_file(monkeypatch):
    from cnn_jax.detection.detections import Detections

    task = made()
    told = Detections(
        boxes=jnp.array([[[4.0, 2, 20, 10], [0, 0, 32, 32]], [[2.0, 4, 12, 28], [0, 0, 0, 0]]]),
        scores=jnp.array([[0.9, 0.8], [0.7, 0.0]]),
        classes=jnp.array([[1, 0], [0, 0]], jnp.int32),
        there=jnp.array([[True, True], [True, False]]),
    )
    monkeypatch.setattr(type(task._net), "decode", lambda self, outputs, size: told)
    batch = task.evaluation_batch(IMAGES, TARGETS, jnp.ones(2))
    records = jax.device_get(task.records(None, batch))
    np.testing.assert_allclose(records["boxes"][0], [[8, 4, 40, 20], [0, 0, 64, 32]])
    np.testing.assert_allclose(records["boxes"][1, 0], [2, 4, 12, 28])
    assert records["classes"].tolist() == [[1, 0], [0, -1]]
    found = task.finish({"examples": 2}, records, {"score": 0.5})
    # The crowd is not missed; the box around all of the first image is of a class too many.
    assert found["ap/dog"] == pytest.approx(1) and found["recall"] == 1
    assert found["precision"] == pytest.approx(2 / 3)
    assert task.choose(records) == {"score": pytest.approx(0.7)}


@pytest.mark.slow
def test_an_image_without_boxes_and_one_with_none_but_a_crowd_have_a_loss():
    task = made()
    nothing = {**TARGETS, "there": np.array([[False, False], [False, True]])}
    batch = task.evaluation_batch(IMAGES, nothing, jnp.ones(2))
    model = make_model(task.recipe, task)
    variables = model.init(jax.random.key(0), batch.inputs)
    losses, parts = task.loss(
        lambda inputs: model.apply(variables, inputs, train=True), batch, jax.random.key(0)
    )
    assert np.isfinite(losses).all() and (np.asarray(parts["box_loss"]) == 0).all()
    padded = {
        name: np.concatenate([each, each], 1) if name != "size" else each
        for name, each in TARGETS.items()
    }
    padded["there"][:, 2:] = False
    for targets in (TARGETS, padded):
        batch = task.evaluation_batch(IMAGES, targets, jnp.ones(2))
        found, _ = task.loss(
            lambda inputs: model.apply(variables, inputs, train=True), batch, jax.random.key(0)
        )
        if targets is TARGETS:
            first = found
    np.testing.assert_allclose(found, first, rtol=1e-6)  # padding does not matter


@pytest.mark.slow
def test_what_was_learnt_by_heart_is_found():
    """Loss, targets, decoding and metric agree: AP of a batch is near one once it is learnt."""
    random = np.random.default_rng(1)
    images = random.integers(90, 130, (6, 48, 48, 3)).astype(np.uint8)
    boxes = np.zeros((6, 2, 4), np.float32)
    for place in range(6):
        for label, side in enumerate((10, 18)):
            top, left = random.integers(0, 48 - side), random.integers(24 * label, 24 + 6 * label)
            box = top, left, top + side, min(48, left + side)
            images[place, box[0] : box[2], box[1] : box[3], label] = 250
            boxes[place, label] = box
    targets = {
        "boxes": boxes,
        "there": np.ones((6, 2), bool),
        "box_class": np.tile(np.arange(2, dtype=np.int32), (6, 1)),
        "box_flags": np.zeros((6, 2), np.int8),
        "box_area": np.full((6, 2), 200, np.float32),
        "size": np.full((6, 2), 48, np.int32),
    }
    split = Split(images, targets)
    options = {**OPTIONS, "channels": 16, "detections": 10, "range_scale": 3.0}
    recipe = Recipe("toy", task=Task("detection"), model=Model("fcos", options=options))
    recipe = dataclasses.replace(recipe, batch_size=6)
    spec = data_spec(Dataset("toy", ("cat", "dog"), split, None, split, "here"))
    task = make_task(recipe, spec)
    model, optimizer = make_model(task.recipe, task), optax.adam(5e-3)
    batch = task.evaluation_batch(images, targets, jnp.ones(6))
    state = jax.jit(lambda: init_state(0, model, optimizer, task.example()))()
    step = jax.jit(make_train_step(model, task.loss, optimizer))
    for _ in range(300):
        state, metrics = step(state, batch)
    found = Evaluator(recipe, spec, make_mesh(devices=jax.devices()[:1]))(state.variables, split)
    assert found["ap50"] > 0.95 and found["ap"] > 0.6, (found, metrics["loss"])


REFUSED = {
    "no detector": ({"model": Model("lenet5")}, "lenet5"),
    "loss": ({"loss": Loss(label_smoothing=0.1)}, "has its own losses"),
    "views": ({"views": "mirror"}, "--views mirror is for what is told of a whole image"),
    "mixup": ({"augment": Augment(mixup=0.2)}, r"--augment\.mixup 0\.2"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_for_other_tasks_is_refused(fault):
    fields, words = REFUSED[fault]
    task = made(**fields)
    with pytest.raises(UserError, match=words):
        task.check(make_model(task.recipe, task))


def test_a_task_of_classes_refuses_boxes():
    with pytest.raises(UserError, match="learns class, but toy has boxes"):
        made(task=Task("classification"), model=Model())
