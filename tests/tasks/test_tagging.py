"""Tagging against scikit-learn, and by hand where tags are unknown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_task
from sklearn import metrics as reference

from cnn_jax import Loss, Task, UserError
from cnn_jax.batch import Batch
from cnn_jax.data.fields import Field
from cnn_jax.tasks.losses import asymmetric, tag_cross_entropy

NAMES = ("sky", "sea", "sun", "never")
FACTS = tiny_task.spec(
    NAMES, Field("tags", (4,), "int8"), there=(6.0, 3.0, 1.0, 0.0), known=(8.0,) * 4
)


def tagging(**fields):
    return tiny_task.task(FACTS, task=Task("tagging"), **fields)


@pytest.fixture
def examples():
    random = np.random.default_rng(0)
    # Few different scores, so that there are ties.
    scores = random.integers(-3, 4, (60, 4)).astype(np.float32) / 2
    tags = (random.random((60, 4)) < [0.6, 0.3, 0.1, 0.0]).astype(np.int8)
    return scores, tags


def evaluated(task, scores, tags, chosen=None):
    batch = Batch(scores, task.encoded(jnp.asarray(tags)), jnp.ones(len(tags)))
    sums = {name: np.float64(value) for name, value in task.sums(scores, batch).items()}
    records = jax.device_get(task.records(jnp.asarray(scores), batch))
    return task.finish({**sums, "examples": np.float64(len(tags))}, records, chosen), records


def test_metrics_are_those_of_scikit_learn(examples):
    scores, tags = examples
    found, _ = evaluated(tagging(), scores, tags)
    there, said = tags[:, :3], scores > 0
    assert found["map"] == pytest.approx(
        reference.average_precision_score(there, scores[:, :3], average="macro"), abs=1e-9
    )
    assert found["map_micro"] == pytest.approx(
        reference.average_precision_score(tags, scores, average="micro"), abs=1e-9
    )
    assert found["roc_auc"] == pytest.approx(
        reference.roc_auc_score(there, scores[:, :3], average="macro"), abs=1e-9
    )
    assert found["f1_macro"] == pytest.approx(
        reference.f1_score(tags, said, average="macro", zero_division=0), abs=1e-9
    )
    assert found["f1_micro"] == pytest.approx(reference.f1_score(tags, said, average="micro"))
    assert found["hamming"] == pytest.approx(reference.hamming_loss(tags, said), abs=1e-6)
    assert found["exact_match"] == pytest.approx(reference.accuracy_score(tags, said), abs=1e-6)
    assert found["tags_absent"] == 1


def test_what_is_unknown_counts_nowhere(examples):
    scores, tags = examples
    hidden = tags.copy()
    hidden[:20] = -1
    found, _ = evaluated(tagging(), scores, hidden)
    rest, _ = evaluated(tagging(), scores[20:], tags[20:])
    for name in ("map", "map_micro", "roc_auc", "f1_macro", "f1_micro", "hamming"):
        assert found[name] == pytest.approx(rest[name], abs=1e-9), name
    assert found["loss"] * 60 == pytest.approx(rest["loss"] * 40, rel=1e-5)


def test_thresholds_come_from_the_validation_part(examples):
    scores, tags = examples
    task = tagging()
    _, records = evaluated(task, scores, tags)
    chosen = task.choose(records)
    found, _ = evaluated(task, scores, tags, chosen)
    best = [
        max(
            reference.f1_score(tags[:, tag], scores[:, tag] >= level, zero_division=0)
            for level in np.unique(scores)
        )
        for tag in range(3)
    ]
    assert found["f1_macro_chosen"] == pytest.approx((sum(best) + 0) / 4, abs=1e-9)
    assert chosen["thresholds"][3] == 0.5  # never there: nothing to choose by
    other, _ = evaluated(task, scores[:10], tags[:10], chosen)
    said = 1 / (1 + np.exp(-scores[:10])) >= np.array(chosen["thresholds"])
    assert other["f1_micro_chosen"] == pytest.approx(
        reference.f1_score(tags[:10], said, average="micro")
    )


def test_asymmetric_without_its_three_is_cross_entropy(examples):
    scores, tags = (jnp.asarray(each, jnp.float32) for each in examples)
    known = jnp.ones_like(tags)
    plain = tag_cross_entropy(scores, tags, known)
    np.testing.assert_allclose(asymmetric(scores, tags, known, 0.0, 0.0, 0.0), plain, rtol=1e-5)


def test_asymmetric_by_hand():
    logits, tags = jnp.log(jnp.array([[0.2 / 0.8, 0.6 / 0.4]])), jnp.array([[1.0, 0.0]])
    expected = -(0.8**1 * np.log(0.2)) - (0.55**4 * np.log(1 - 0.55))
    found = asymmetric(logits, tags, jnp.ones((1, 2)), 4.0, 1.0, 0.05)
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)


def test_asymmetric_has_finite_gradients_where_a_tag_is_surely_absent():
    gradient = jax.grad(lambda x: jnp.sum(asymmetric(x, jnp.zeros((1, 3)), jnp.ones((1, 3)))))
    found = gradient(jnp.array([[-100.0, 0.0, 100.0]]))
    assert np.isfinite(found).all() and float(found[0, 0]) == 0.0


def test_a_training_begins_at_each_tags_share():
    params = {"head": {"bias": jnp.zeros(4), "kernel": jnp.ones((2, 4))}, "stem": {}}
    found = tagging().initial(params)
    np.testing.assert_allclose(
        jax.nn.sigmoid(found["head"]["bias"]), np.array([7, 4, 2, 1]) / 10, rtol=1e-5
    )
    assert params["head"]["bias"].tolist() == [0] * 4
    plain = tiny_task.task(FACTS, task=Task("tagging", {"prior_bias": False}))
    assert plain.initial(params) is params


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="tagging learns tags, but made up has class"):
        tiny_task.task(task=Task("tagging"))
    with pytest.raises(UserError, match=r"option of --task.name tagging: 'prior'.*prior_bias"):
        tiny_task.task(FACTS, task=Task("tagging", {"prior": 1}))
    with pytest.raises(UserError, match=r"valid are gamma_negative, gamma_positive, shift"):
        tagging(loss=Loss("asymmetric", options={"gamma": 1}))
    with pytest.raises(UserError, match=r"loss of --task.name tagging.*'map'"):
        tagging(loss=Loss("map"))
