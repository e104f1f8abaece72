"""Binary classification against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from sklearn import metrics as reference

from cnn_jax import Task, UserError
from cnn_jax.batch import Batch
from cnn_jax.tasks.classification import class_loss
from cnn_jax.tasks.losses import CLASS_LOSSES

TASK = tiny_task.task(tiny_task.spec(("cat", "dog")), task=Task("binary"))


def evaluated(scores, labels, chosen=None):
    batch = Batch(scores, TASK.encoded(jnp.asarray(labels)), jnp.ones(len(labels)))
    outputs = jnp.asarray(scores)[:, None]
    sums = {name: np.float64(value) for name, value in TASK.sums(outputs, batch).items()}
    records = jax.device_get(TASK.records(outputs, batch))
    return TASK.finish({**sums, "examples": np.float64(len(labels))}, records, chosen), records


def test_metrics_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 80)
    scores = (random.integers(-4, 5, 80) / 2 + labels).astype(np.float32)
    found, records = evaluated(scores, labels)
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-9)
    assert found["average_precision"] == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-9
    )
    assert found["f1"] == pytest.approx(reference.f1_score(labels, scores > 0), abs=1e-9)
    assert found["accuracy"] == pytest.approx(np.mean((scores > 0) == labels), abs=1e-6)
    probability = 1 / (1 + np.exp(-scores.astype(np.float64)))
    assert found["loss"] == pytest.approx(reference.log_loss(labels, probability), rel=1e-5)
    chosen, _ = evaluated(scores, labels, TASK.choose(records))
    best = max(reference.f1_score(labels, scores >= level) for level in np.unique(scores))
    assert chosen["f1_chosen"] == pytest.approx(best, abs=1e-9)


def test_one_logit_learns_as_two_do():
    """The gradient of one logit is that of two logits -x/2 and x/2 of a softmax."""
    labels = jnp.array([0, 1, 1])
    x = jnp.array([[0.3], [-1.2], [2.0]])
    batch = Batch(x, TASK.encoded(labels), jnp.ones(3))
    one = jax.grad(lambda x: jnp.sum(TASK.loss(lambda _: x, batch, jax.random.key(0))[0]))(x)
    two = Batch(x, jax.nn.one_hot(labels, 2), jnp.ones(3))
    softmax = class_loss(CLASS_LOSSES["cross_entropy"])

    def halves(x):
        logits = jnp.concatenate([-x, x], axis=1) / 2
        return jnp.sum(softmax(lambda _: logits, two, jax.random.key(0))[0])

    np.testing.assert_allclose(one, jax.grad(halves)(x), rtol=1e-5)


def test_answers_are_probabilities_of_both_classes():
    found = TASK.answers(jnp.array([[0.0], [2.0]]))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[1, 1], 1 / (1 + np.exp(-2)), rtol=1e-5)


def test_of_one_class_alone_there_is_no_ranking():
    found, _ = evaluated(np.array([1.0, -1.0], np.float32), np.array([0, 0]))
    assert np.isnan(found["auroc"]) and np.isnan(found["average_precision"])
    assert found["accuracy"] == 0.5


def test_three_classes_are_refused():
    with pytest.raises(UserError, match="binary is for two classes, but made up has 3"):
        tiny_task.task(task=Task("binary")).check(None)
