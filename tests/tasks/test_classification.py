import math

import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.batch import Batch
from cnn_jax.tasks.classification import class_sums, means, ranks
from cnn_jax.tasks.losses import CLASS_LOSSES

EYE = jnp.eye(6)


def batch(labels, weights):
    return Batch(jnp.zeros((len(labels), 1, 1, 1)), EYE[jnp.array(labels)], jnp.array(weights))


def test_rank_of_the_target():
    logits = jnp.array([[0.0, 5, 4, 3, 2, 1], [0.0, 5, 4, 3, 2, 1], [0.0, 5, 4, 3, 2, 1]])
    assert ranks(logits, EYE[jnp.array([1, 4, 0])]).tolist() == [0, 3, 5]


def test_of_equal_logits_the_first_wins_as_in_argmax():
    logits = jnp.array([[1.0, 1, 0, 0, 0, 0], [1.0, 1, 0, 0, 0, 0]])
    assert ranks(logits, EYE[jnp.array([0, 1])]).tolist() == [0, 1]
    assert jnp.argmax(logits, axis=-1).tolist() == [0, 0]


def test_what_is_not_a_number_is_wrong():
    logits = jnp.array([[jnp.nan, 1, 0, 0, 0, 0], [3.0, jnp.nan, 0, 0, 0, 0]])
    assert ranks(logits, EYE[jnp.array([0, 0])]).tolist() == [6, 6]


def test_sums_of_known_logits_leave_padding_out():
    logits = jnp.array([[2.0, 0, 0, 0, 0, 0], [0.0, 3, 2, 1, -1, -2], [jnp.nan] * 6])
    found = class_sums(logits, batch([0, 5, 0], [1.0, 1.0, 0.0]), CLASS_LOSSES["cross_entropy"])
    first = -2 + math.log(math.exp(2) + 5)
    second = 2 + math.log(sum(math.exp(x) for x in [0, 3, 2, 1, -1, -2]))
    assert float(found["loss"]) == pytest.approx(first + second, rel=1e-6)
    assert float(found["nll"]) == pytest.approx(first + second, rel=1e-6)
    assert float(found["accuracy"]) == 1.0
    assert float(found["top5"]) == 1.0


def test_metrics_are_means():
    found = means({"loss": np.float64(6), "accuracy": np.float64(1), "examples": np.float64(4)})
    assert found == {"loss": 1.5, "accuracy": 0.25}
