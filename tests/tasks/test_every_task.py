"""What holds of every task: one test of each promise that the trainer relies on."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn_jax import Augment, Loss, Model, Optimizer, Recipe, Task
from cnn_jax.batch import Batch
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.data.sound_files import END
from cnn_jax.devices.mesh import batch_sharding, make_mesh, replicated
from cnn_jax.evaluation.predictions import predictions_of
from cnn_jax.state import init_state
from cnn_jax.tasks import TASKS, input_kinds, make_task
from cnn_jax.training.evaluator import Evaluator, make_model
from cnn_jax.training.step import make_train_step

N = 22
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (N, 8, 8, 1)).astype(np.uint8)
TAGS = (RANDOM.random((N, 3)) < 0.4).astype(np.int8)
TAGS[0] = -1  # nothing is known of it
TAGS[1] = 0  # nothing is there in it
NUMBERS = RANDOM.normal([3, -200], [1, 50], (N, 2)).astype(np.float32)
ANGLES = RANDOM.uniform(0, 360, (N, 1)).astype(np.float32)
MASKS = (IMAGES[..., 0] > 127).astype(np.uint8)
MASKS[0] = 255  # nothing is known of it
MASKS[2, 2:5] = 255
CLASSES = np.arange(N, dtype=np.int32) % 3
SERIES = RANDOM.normal(size=(N, 12, 2)).astype(np.float32)
SERIES[::3, 7:] = np.nan  # these end there
SERIES[0] = SERIES[0, 0] * np.float32(0)  # stands still
TEXTS = RANDOM.integers(1, 12, (N, 9)).astype(np.int32)
TEXTS[::3, 5:] = 0
TEXTS[0] = 0  # no word
SOUNDS = RANDOM.integers(-9000, 9000, (N, 700)).astype(np.int16)
SOUNDS[::3, 90:] = END
SOUNDS[0, :90] = 0  # silence

VIDEOS = RANDOM.integers(0, 256, (N, 6, 8, 8, 1)).astype(np.uint8)
VIDEOS[::3, 4:] = 0  # these end there
VIDEOS[0] = 0  # black throughout
VIDEOS[1, 1:] = 0  # one frame only

# Of each picture up to two squares, one bright and one dark, of which a few are there in none.
SIDE = 32
CORNERS = RANDOM.integers(0, 12, (N, 2, 2)) + np.array([[0, 0], [0, 16]])
BOXES = {
    "boxes": np.concatenate([CORNERS, np.minimum(CORNERS + 12, SIDE)], -1).astype(np.float32),
    "there": np.arange(2 * N).reshape(N, 2) % 5 > 0,
    "box_class": np.tile(np.arange(2, dtype=np.int32), (N, 1)),
    "box_flags": np.zeros((N, 2), np.int8),
    "box_area": np.full((N, 2), 144.0, np.float32),
}
BOXES["there"][0] = False
SQUARES = np.full((N, SIDE, SIDE, 1), 120, np.uint8)
for image, boxes, there in zip(SQUARES, BOXES["boxes"].astype(int), BOXES["there"], strict=True):
    for (top, left, bottom, right), level, drawn in zip(boxes, (255, 0), there, strict=True):
        if drawn:
            image[top:bottom, left:right] = level
DETECTOR = Model(
    "fcos",
    options={
        "body": "simple_cnn",
        "body_options": {"widths": (4, 8, 8)},
        "at": (4, 8),
        "extra_levels": 0,
        "channels": 8,
        "head_depth": 1,
        "head_norm": "none",
        "detections": 8,
    },
)

# What is given, and a net for it.
INPUTS = {
    "image": (IMAGES, Model("simple_cnn", options={"widths": (4,), "hidden": (16,)})),
    "pixels": (IMAGES, Model("unet", options={"width": 4, "depth": 2, "norm": "none"})),
    "boxes": (SQUARES, DETECTOR),
    "series": (SERIES, Model("fcn1d", options={"widths": (16,), "kernels": (4,)})),
    "sound": (SOUNDS, Model("simple_cnn", options={"widths": (4,), "hidden": (16,)})),
    "clip": (VIDEOS, Model("frame_cnn", options={
        "body": "simple_cnn", "body_options": {"widths": (4,)}, "temporal": (16,)
    })),
    "tokens": (
        TEXTS, Model("text_cnn", options={"embedding": 8, "maps": 8, "dropout": 0.0})
    ),
}  # fmt: skip

# Name, task, loss, targets, what they are called; and what is given, where it is no image.
KINDS = {
    "classification": (Task(), Loss(), CLASSES, "abc"),
    "binary": (Task("binary"), Loss(), np.arange(N, dtype=np.int32) % 2, "ab"),
    "tagging": (Task("tagging"), Loss(), TAGS, "xyz"),
    "regression": (Task("regression"), Loss(), NUMBERS, "de"),
    "angle": (Task("regression", {"angle": True}), Loss(), ANGLES, "a"),
    "bins": (Task("regression", {"bins": 11}), Loss("bins"), NUMBERS, "de"),
    "segmentation": (Task("segmentation"), Loss(), MASKS, "ab", "pixels"),
    "detection": (Task("detection"), Loss(), BOXES, "ab", "boxes"),
    "series": (Task(), Loss(), CLASSES, "abc", "series"),
    "forecast": (Task("regression"), Loss(), NUMBERS, "de", "series"),
    "sounds": (Task(), Loss(), CLASSES, "abc", "sound"),
    "noises": (Task("tagging"), Loss(), TAGS, "xyz", "sound"),
    "videos": (Task(), Loss(), CLASSES, "abc", "clip"),
    "gestures": (Task("tagging"), Loss(), TAGS, "xyz", "clip"),
    "texts": (Task(), Loss(), CLASSES, "abc", "tokens"),
    "topics": (Task("tagging"), Loss(), TAGS, "xyz", "tokens"),
}
OF_IMAGES = [
    kind
    for kind, (_, _, _, _, *given) in KINDS.items()
    if INPUTS[(*given, "image")[0]][0] is IMAGES
]


@dataclasses.dataclass(frozen=True)
class Made:
    recipe: Recipe
    split: Split
    spec: object
    task: object
    model: object


def made(kind, **fields):
    task, loss, targets, names, *given = KINDS[kind]
    inputs, model = INPUTS[given[0] if given else "image"]
    recipe = Recipe(
        "toy",
        task=task,
        loss=loss,
        model=model,
        optimizer=Optimizer("adam", learning_rate=0.01),
        batch_size=8,
    )
    recipe = dataclasses.replace(recipe, **fields)
    split = Split(inputs, targets)
    words = tuple("abcdefghij") if inputs is TEXTS else ()
    spec = data_spec(
        Dataset("toy", tuple(names), split, None, split, "here", words=words, rate=8000)
    )
    value = make_task(recipe, spec)
    return Made(recipe, split, spec, value, make_model(recipe, value))


# What their tasks do is seen of images, and what their inputs do of classes.
SEEN_ELSEWHERE = {"forecast", "noises", "gestures", "topics"}


def each_kind(kinds):
    """Parameters: those that are seen elsewhere are slow."""
    return [
        pytest.param(each, marks=[pytest.mark.slow] * (each in SEEN_ELSEWHERE)) for each in kinds
    ]


@pytest.fixture(params=each_kind(KINDS))
def kind(request):
    return request.param


_VARIABLES = {}


def variables_of(each):
    """Of its net: compiled once for all tasks that have as many outputs of the same inputs."""
    key = each.task.outputs, each.recipe.model.name, each.spec.input_kind
    if key not in _VARIABLES:
        begun = jax.jit(lambda: init_state(0, each.model, optax.sgd(0.1), each.task.example()))()
        _VARIABLES[key] = begun.variables
    return _VARIABLES[key]


def first(each, count, start=0):
    """Inputs and targets of the first examples."""
    return jax.tree.map(
        lambda leaf: leaf[start : start + count], (each.split.inputs, each.split.targets)
    )


class Compiled:
    """What several tests ask of a kind, each one program for batches of a size."""

    def __init__(self, kind):
        self.each = each = made(kind)
        self._prepare = jax.jit(each.task.evaluation_batch)
        self._apply = jax.jit(
            lambda variables, inputs: each.model.apply(variables, inputs, train=False)
        )
        self._count = jax.jit(
            lambda outputs, batch: (
                each.task.sums(outputs, batch),
                each.task.records(outputs, batch),
            )
        )

    def judged(self, start):
        """Eight examples as evaluation sees them."""
        given = first(self.each, 8, start)
        return jax.device_get(self._prepare(*given, np.ones(8, np.float32)))

    def outputs_of(self, batch):
        return jax.device_get(self._apply(variables_of(self.each), batch.inputs))

    def counted(self, outputs, batch):
        """Sums and records of a batch."""
        return jax.device_get(self._count(outputs, batch))


compiled = functools.cache(Compiled)


@functools.cache
def evaluator(kind, size):
    each = made(kind)
    recipe = dataclasses.replace(each.recipe, batch_size=size)
    return Evaluator(recipe, each.spec, make_mesh(devices=jax.devices()[:1]))


def numbers(metrics):
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def test_all_tasks_are_here():
    assert {task.name for task, *_ in KINDS.values()} == set(TASKS)
    assert set(INPUTS) - {"pixels", "boxes"} == set(input_kinds.INPUTS)


def test_each_example_counts_once_whatever_the_batch(kind):
    """Also where the last batch is filled up, and where a split is merged from two. From what is
    kept of each example come the same metrics."""
    found, kept = [], {}
    each = made(kind)
    variables = variables_of(each)
    for size in (8, N):
        found.append(numbers(evaluator(kind, size)(variables, each.split, kept=kept)))
    assert found[0]["examples"] == N
    stored = predictions_of(
        kept, each.split, None, recipe=each.recipe, spec=each.spec, dataset="toy", split="test"
    )
    if stored is not None and stored.about["predicted"]:
        again = stored.predicted().metrics()
        assert len(stored) == N and each.task.METRICS[0].name in again
        for name in again.keys() & found[0].keys():
            assert again[name] == pytest.approx(found[0][name], rel=1e-4, abs=1e-6), name
    for name, value in found[0].items():
        assert value == pytest.approx(found[1][name], rel=1e-5, abs=1e-6, nan_ok=True), name
    assert all(np.isfinite(value) for value in found[0].values()), found[0]


def test_without_changes_training_sees_what_evaluation_sees(kind):
    each = made(kind, augment=Augment())
    places = np.arange(8)

    @jax.jit
    def both(inputs, targets):
        key = jax.random.key(0)
        learnt = each.task.training_batch(key, key, inputs, targets, places, places)
        return learnt, each.task.evaluation_batch(inputs, targets, jnp.ones(8))

    jax.tree.map(np.testing.assert_array_equal, *both(*first(each, 8)))


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_what_is_told_of_a_mirror_image_is_told_of_the_image(kind):
    """With both views averaged: mirroring the example and undoing it changes nothing."""
    each = made(kind, views="mirror")
    variables = variables_of(each)

    @jax.jit
    def told(images):
        def apply(inputs):
            return each.model.apply(variables, inputs, train=False)

        return each.task.answers(each.task.infer(apply, each.task.prepared(images)))

    one, other = told(IMAGES[:4]), told(IMAGES[:4, :, ::-1])
    if each.recipe.model.name == "unet":
        other = other[:, :, ::-1]  # what is told of places is mirrored with them
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def step_of(each):
    """What makes a state, and a step from it."""
    optimizer = optax.adam(0.01)
    example = each.task.example()

    def begin():
        return init_state(0, each.model, optimizer, example, initial=each.task.initial)

    return begin, make_train_step(each.model, each.task.loss, optimizer)


def test_a_batch_can_be_learnt_by_heart(kind):
    each, batch = compiled(kind).each, compiled(kind).judged(start=1)
    begin, step = step_of(each)
    state, step, losses = jax.jit(begin)(), jax.jit(step), []
    for _ in range(150):
        state, metrics = step(state, batch)
        # What a centre can lose is no less than the entropy of what it learns.
        parts = [float(metrics[part.name]) for part in each.task.PARTS]
        losses.append(sum(parts) if kind == "detection" else float(metrics["loss"]))
    # What bins can reach is the entropy of their two shares.
    least = 0.0
    if kind == "bins":
        shares = np.asarray(batch.targets["learnt"])
        least = -np.sum(shares * np.log(np.maximum(shares, 1e-30))) / 8
    assert losses[-1] - least < 0.1 * (losses[0] - least), (losses[0], losses[-1])
    assert set(metrics) >= {part.name for part in each.task.PARTS}


def test_what_is_recorded_gives_the_same_numbers_when_read_back(kind):
    each, given = compiled(kind).each, compiled(kind)
    batch = given.judged(start=0)
    sums, records = given.counted(given.outputs_of(batch), batch)
    sums = {name: np.float64(value) for name, value in sums.items()}
    sums["examples"] = np.float64(8)
    stored = json.dumps({name: values.tolist() for name, values in records.items()})
    back = {
        name: np.array(values, records[name].dtype) for name, values in json.loads(stored).items()
    }
    chosen = each.task.choose(records)
    assert each.task.finish(sums, back, chosen) == each.task.finish(sums, records, chosen)
    assert each.task.choose(back) == chosen
    json.dumps(chosen)  # it is stored beside the checkpoint


def test_the_metric_that_counts_is_found_and_has_a_direction(kind):
    each = made(kind)
    found = evaluator(kind, 8)(variables_of(each), each.split, choose=True)
    for metric in each.task.METRICS:
        if metric.name in found:
            assert metric.worth(found) == found[metric.name] * (1 if metric.higher else -1)
            assert metric.worth({metric.name: float("nan")}) == -np.inf
    assert each.task.METRICS[0].name in found
    for metric in each.task.HEADLINE:
        if metric.name in found:
            assert metric.written(found[metric.name])


def test_a_step_lowers_for_accelerators(kind):
    """With static shapes, and nothing that calls back to the host."""
    each = made(kind)
    begin, step = step_of(each)
    batch = jax.eval_shape(each.task.evaluation_batch, *first(each, 8), jnp.ones(8))
    exported = jax.export.export(jax.jit(step), platforms=["cuda", "tpu"])
    text = exported(jax.eval_shape(begin), batch).mlir_module()
    assert "callback" not in text and "tensor<?" not in text


def test_padding_may_hold_anything(kind):
    given = compiled(kind)
    batch = given.judged(start=1)
    outputs = given.outputs_of(batch)
    plain, kept = given.counted(outputs, batch)

    def padded(values):
        anything = np.nan if jnp.issubdtype(values.dtype, jnp.floating) else 1
        return np.concatenate([values, np.full_like(values[:2], anything)])

    longer = Batch(
        jax.tree.map(padded, batch.inputs),
        jax.tree.map(padded, batch.targets),
        np.array([1] * 8 + [0] * 2, np.float32),
    )
    found, records = given.counted(jax.tree.map(padded, outputs), longer)
    for name, value in records.items():
        np.testing.assert_allclose(value[:8], kept[name], rtol=1e-6, err_msg=name)
    for name, value in plain.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def several_devices():
    """Compares one device with all of this process, a step and an evaluation of every task.

    Returns:
      For each kind, what is apart by more than rounding.
    """
    assert len(jax.devices()) == 8
    one, all_ = make_mesh(devices=jax.devices()[:1]), make_mesh()
    found = {}
    for kind in KINDS:
        each = made(kind, batch_size=16)
        judged = []
        for mesh in (one, all_):
            variables = jax.device_put(variables_of(each), replicated(mesh))
            evaluator = Evaluator(each.recipe, each.spec, mesh)
            judged.append(numbers(evaluator(variables, each.split)))
        apart = {
            name: (value, judged[1][name])
            for name, value in judged[0].items()
            if not np.isclose(value, judged[1][name], rtol=1e-5, atol=1e-6, equal_nan=True)
        }
        batch = each.task.evaluation_batch(*first(each, 16), jnp.ones(16))
        begin, step = step_of(each)
        state, losses = jax.jit(begin)(), []
        for mesh in (one, all_):
            spread = jax.device_put(batch, batch_sharding(mesh))
            _, metrics = jax.jit(step)(jax.device_put(state, replicated(mesh)), spread)
            losses.append(float(metrics["loss"]))
        if not np.isclose(*losses, rtol=1e-5):
            apart["a step's loss"] = tuple(losses)
        found[kind] = apart
    return found


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", "import test_every_task as t; print(t.several_devices())"],
        cwd=Path(__file__).parent,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str({kind: {} for kind in KINDS})
