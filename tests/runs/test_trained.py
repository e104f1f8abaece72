"""What `train` returns, and a trained model in Python."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from PIL import Image
from rich.console import Console

from cnn_jax import (
    Model,
    Order,
    Recipe,
    Task,
    UserError,
    load,
    make_batch,
    make_init,
    make_train_step,
    read_data,
    train,
)
from cnn_jax.data.fields import Field
from cnn_jax.data.statistics import target_facts
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.evaluation.predict import predict
from cnn_jax.restored import Restored, restore
from cnn_jax.runs.result import Result
from cnn_jax.trained import TrainedModel


@pytest.fixture(scope="module")
def result(logged_run):
    return logged_run[0]


@pytest.fixture(scope="module")
def model(result):
    return result.model


@pytest.fixture(scope="module")
def data(logged):
    return read_data(logged)


def test_a_result_is_the_summary_with_what_lies_beside_it(result):
    assert json.loads(json.dumps(result)) == result
    assert result.metrics is result["test"] and result.metrics["examples"] == 360
    assert [line["step"] for line in result.history] == [10, 19, 20, 30, 39, 39]
    assert result.history[1]["kind"] == "validation"
    assert result.model is result.model and result.model.step == result["tested"]


def test_paths_may_be_strings_and_begin_at_home(logged, result, monkeypatch):
    monkeypatch.setenv("HOME", str(result.folder.parent))
    again = train(logged, f"~/{result.folder.name}", console=Console(quiet=True))
    assert again == result and again.folder == result.folder
    assert load(f"~/{result.folder.name}", checkpoint=19).step == 19
    with pytest.raises(UserError, match="is no run folder"):
        load("~/nothing")


def test_own_evaluation_finds_the_same_as_the_run(result, model, data):
    test = data[0].test
    right = model.answers(test.images).argmax(axis=1) == test.labels
    assert right.mean() == pytest.approx(result.metrics["accuracy"], abs=1e-9)


def test_a_picture_is_told_the_same_however_it_is_given(model, result, data, tmp_path):
    images = data[0].test.images[:3]
    file = tmp_path / "digit.png"
    Image.fromarray(images[0, ..., 0]).save(file)
    told = model.predict(images)
    assert [each.image for each in told] == ["picture 0", "picture 1", "picture 2"]
    assert sum(told[0].probabilities) == pytest.approx(1, abs=1e-5)
    assert sorted(told[0].classes) == list("0123456789")
    assert told[0].probabilities == tuple(sorted(told[0].probabilities, reverse=True))
    ways = [
        images[0],
        images[0, ..., 0],
        jnp.asarray(images[0]),
        images[0].astype(np.int64),
        Image.open(file),
        file,
        str(file),
        np.repeat(images[0], 3, axis=-1).repeat(2, axis=0).repeat(2, axis=1),
    ]
    for way in ways[:-1]:
        found = model.predict(way)
        assert found.classes == told[0].classes
        np.testing.assert_allclose(found.probabilities, told[0].probabilities, rtol=1e-5)
    # Of another size and colour it is brought to the model's.
    assert model.preprocess(ways[-1]).shape == (1, 8, 8, 1)
    several = model.predict([file, images[1], Image.open(file)], top=2)
    assert [each.image for each in several] == [str(file), "picture 1", "picture 2"]
    assert all(len(each.classes) == 2 for each in several)
    # And as the command tells it.
    (by_command,) = predict(restore(result.folder), [file])
    assert by_command.image == str(file) and by_command.classes == told[0].classes[:5]
    np.testing.assert_allclose(by_command.probabilities, told[0].probabilities[:5], rtol=1e-5)


@pytest.mark.parametrize(
    "pictures, message",
    [
        (np.zeros((2, 8, 8, 1), np.float32), "pictures are float32.*trained on uint8, 0 to 255"),
        (np.full((8, 8), 300), "pictures are int64"),
        (np.zeros((1, 2, 8, 8, 1), np.uint8), r"valid are \(h, w\)"),
        (np.zeros((0, 8, 8, 1), np.uint8), "at least one"),
        (np.zeros((2, 8, 8, 5), np.uint8), r"are \(8, 8, 5\), but the model takes \(8, 8, 1\)"),
        ([], "the list is empty"),
        ([3], "picture 0 is of int"),
        ([np.zeros((2, 8, 8, 1), np.uint8)], "which is several"),
        (["nothing.png"], "nothing.png: cannot be read"),
        (Image.new("I", (8, 8)), "give its file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_refused(pictures, message, model):
    with pytest.raises(UserError, match=message):
        model.predict(pictures)


def test_apply_is_what_the_answers_are_made_of(model, data):
    images = data[0].test.images[:5]
    inputs = model.preprocess(images)
    mean, std = (np.asarray(each) for each in model.task.inputs.normalisation)
    np.testing.assert_allclose(inputs, (images / 255 - mean) / std, rtol=1e-4, atol=1e-5)
    logits = jax.jit(model.apply)(model.variables, inputs)
    np.testing.assert_allclose(jax.nn.softmax(logits), model.answers(images), atol=1e-5)
    assert model.params is model.variables["params"] and model.variables["batch_stats"]


def test_activations_have_the_names_of_the_parameters(model, data):
    images = data[0].test.images[:5]
    found = model.activations(images)
    assert set(model.params) <= set(found)
    assert [*found][:1] + [*found][-1:] == ["conv1", "logits"]
    logits = model.apply(model.variables, model.preprocess(images))
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-4, atol=1e-5)
    # The last layer's, by hand, from those of the layer before and its parameters.
    head = model.params["head"]
    by_hand = found["dense1_relu"] @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(found["head"], by_hand, rtol=1e-4, atol=1e-5)
    assert list(model.activations(images, "1$")) == [name for name in found if name[-1] == "1"]
    with pytest.raises(UserError, match=r"(?s)unknown layer 'haed'.*did you mean 'head'"):
        model.activations(images, "haed")
    with pytest.raises(UserError, match="no regular expression"):
        model.activations(images, "(")


def test_a_loop_of_ones_own_makes_the_updates_of_the_run(logged, result, data):
    dataset, spec = data
    init = jax.jit(make_init(logged, spec))
    batch = jax.jit(make_batch(logged, spec))
    step = jax.jit(make_train_step(logged, spec))
    order = Order(logged.seed, len(dataset.train), logged.batch_size)
    state = init(logged.seed)
    for place in range(19):
        indices, epochs = order(place)
        given = dataset.train.images[indices], dataset.train.labels[indices], indices, epochs
        state, metrics = step(state, batch(state, *given))
    saved = load(result.folder, 19)
    assert int(state.step) == saved.step and np.isfinite(metrics["loss"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        state.evaluated,
        saved.variables,
    )


def test_what_a_loop_of_ones_own_cannot_begin_with_is_refused(logged, changed, data):
    with pytest.raises(UserError, match="weights of runs/other"):
        make_init(changed(logged, {"init.source": "runs/other"}), data[1])
    whitened = {"widths": (4,), "hidden": (16,), "whiten": True}
    with pytest.raises(UserError, match="simple_cnn is fitted to training images"):
        make_init(changed(logged, {"model.options": whitened}), data[1])


def test_a_damaged_history_is_an_error_in_words(result, tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{")
    with pytest.raises(UserError, match=r"metrics.jsonl cannot be read"):
        _ = Result(result, tmp_path).history


def untrained(spec, **fields):
    """A model of random parameters."""
    recipe = Recipe("toy", model=Model("simple_cnn", options={"widths": (2,)}), **fields)
    state = jax.jit(make_init(recipe, spec))(0)
    return TrainedModel(Restored(recipe, spec, 0, state.variables, make_mesh()))


def test_numbers_are_told_in_the_unit_of_the_data():
    ages = np.array([[20.0], [40.0], [90.0]], np.float32)
    spec = tiny_task.spec(
        ["age"], Field("number", (1,), "float32"), (5, 5, 1), **target_facts(ages)
    )
    model = untrained(spec, task=Task("regression"))
    pictures = np.arange(50, dtype=np.uint8).reshape(2, 5, 5)
    told = model.predict(pictures)
    outputs = model.apply(model.variables, model.preprocess(pictures))
    np.testing.assert_allclose(
        [each.numbers for each in told], outputs * ages.std() + ages.mean(), rtol=1e-5
    )
    assert told[0].names == ("age",)


def test_tags_are_told_each_with_its_own_probability():
    seen = np.array([[1, 0], [0, 1], [1, 1]], np.int8)
    spec = tiny_task.spec(
        ["cat", "dog"], Field("tags", (2,), "int8"), (5, 5, 1), **target_facts(seen)
    )
    model = untrained(spec, task=Task("tagging"))
    picture = np.arange(25, dtype=np.uint8).reshape(5, 5)
    (outputs,) = model.apply(model.variables, model.preprocess(picture))
    told = model.predict(picture)
    probabilities = dict(zip(told.classes, told.probabilities, strict=True))
    np.testing.assert_allclose(
        [probabilities["cat"], probabilities["dog"]], jax.nn.sigmoid(outputs), rtol=1e-5
    )


def test_the_page_and_its_notebook(tmp_path, monkeypatch):
    """Every block of docs/python.md runs, one after the other, and the notebook is made of it."""
    from docs.notebook import NOTEBOOK, PAGE, blocks, notebook

    page = PAGE.read_text()
    assert NOTEBOOK.read_text() == notebook(page), "make it anew: make notebook"
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__page__"}
    for kind, text in blocks(page):
        if kind == "code":
            exec(compile(text, str(PAGE), "exec"), names)
    assert names["accuracy"] == pytest.approx(names["result"].metrics["accuracy"], abs=1e-9)
    assert names["accuracy"] > 0.5
    assert names["probabilities"].shape == (360, 10) and len(names["several"][0].classes) == 2
    assert set(names["convolutions"]) < set(names["everything"])
    # The gradient of an example by the bias before softmax and cross-entropy, by hand.
    by_hand = jax.nn.softmax(names["logits"]) - jax.nn.one_hot(names["labels"][:32], 10)
    np.testing.assert_allclose(names["gradients"]["head"]["bias"], by_hand, atol=1e-5)
    assert names["norms"].shape == (32,) and names["saliency"].shape == (32, 8, 8)
    assert float(names["saliency"].max()) > 0
    assert names["more"]["steps"] > names["result"]["steps"]
    assert names["own"].shape == (32, 10) and Path("digit.png").exists()
