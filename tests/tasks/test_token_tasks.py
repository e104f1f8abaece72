"""Every task on words: traced only, since what it computes does not depend on the inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Model, Recipe, Task
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.recipe_data import data_spec
from cnn_jax.tasks import TASKS, make_task
from cnn_jax.training.evaluator import make_model

TOKENS = np.array([[2, 3, 4], [5, 1, 0], [4, 0, 0], [0, 0, 0]], np.int32)
TARGETS = {
    "classification": np.array([0, 1, 0, 1], np.int32),
    "binary": np.array([0, 1, 0, 1], np.int32),
    "tagging": np.array([[1, 0], [0, 1], [-1, 1], [0, 0]], np.int8),
    "regression": np.array([[1, 2], [3, 4], [5, 6], [7, 9]], np.float32),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_task_learns_from_words(name):
    assert set(TARGETS) <= set(TASKS)
    recipe = Recipe("toy", task=Task(name), model=Model("text_cnn", options={"embedding": 5}))
    split = Split(TOKENS, TARGETS[name])
    words = ("a", "b", "c", "d")
    spec = data_spec(Dataset("toy", ("x", "y"), split, None, split, "here", words=words))
    task = make_task(recipe, spec)
    model = make_model(recipe, task)
    task.check(model)
    assert task.example() == jax.ShapeDtypeStruct((3,), jnp.int32)
    batch = task.evaluation_batch(split.inputs, split.targets, jnp.ones(4))
    assert batch.inputs.dtype == jnp.int32
    key, places = jax.random.key(0), jnp.arange(4)
    learnt = task.training_batch(key, key, split.inputs, split.targets, places, places)
    jax.tree.map(np.testing.assert_array_equal, learnt, batch)

    def loss(params):
        def apply(inputs):
            return model.apply({"params": params}, inputs, train=False)

        return jnp.mean(task.loss(apply, batch, key)[0])

    params = jax.eval_shape(model.init, key, batch.inputs)["params"]
    # A vector for each word, for padding and for the unknown.
    assert params["words"]["vectors"].shape == (6, 5)
    gradient = jax.eval_shape(jax.grad(loss), params)
    assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)
