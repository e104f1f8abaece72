import pytest
import tiny_task

from cnn_jax import Checkpoints, Recipe, UserError
from cnn_jax.tasks import headline


def check(metric, classes, **examples):
    facts = tiny_task.spec(tuple(map(str, range(classes))), image_shape=(8, 8, 1))
    facts.examples.update(examples)
    tiny_task.task(facts, checkpoints=Checkpoints(metric=metric)).check(None)


@pytest.mark.parametrize(
    ("metric", "classes", "said"),
    [
        ("top5", 3, "metric top5 is 1 for every state, since the data have 3 classes; give loss, "),
        ("top5", 5, "have 5 classes"),
        ("accuracy", 1, "have 1 class; give loss"),
    ],
)
def test_a_metric_that_cannot_differ_is_refused(metric, classes, said):
    with pytest.raises(UserError, match=said):
        check(metric, classes, validation=50)
    check(metric, classes)  # nothing is chosen by it
    check(metric, 6, validation=50)


def test_a_misspelt_metric_names_those_of_the_task():
    with pytest.raises(UserError, match=r"'acuracy'; did you mean 'accuracy'.*nll, top5"):
        check("acuracy", 3)


def test_means_stand_with_their_deviations_in_the_form_of_the_metric():
    means, deviations = {"accuracy": 0.8952, "nll": 0.306152}, {"accuracy": 0.0096, "nll": None}
    assert headline(Recipe("x"), means, deviations) == "accuracy 89.52% ± 0.96%, nll 0.3062"
    assert headline(Recipe("x"), means) == "accuracy 89.52%, nll 0.3062"
