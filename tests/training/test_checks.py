import pytest

from cnn_jax import Recipe, UserError
from cnn_jax.data.spec import DataSpec
from cnn_jax.training.checks import check_recipe


def spec(classes, **examples):
    names = tuple(map(str, range(classes)))
    return DataSpec("x", names, (8, 8, 1), (0.5,), (0.2,), {"train": 500, **examples})


@pytest.mark.parametrize(
    ("metric", "classes", "said"),
    [
        ("top5", 3, "metric top5 is 1 for every state, since the data have 3 classes; give loss, "),
        ("top5", 5, "have 5 classes"),
        ("accuracy", 1, "have 1 class; give loss"),
    ],
)
def test_a_metric_that_cannot_differ_is_refused(metric, classes, said, changed):
    recipe = changed(Recipe(name="x"), {"checkpoints.metric": metric})
    with pytest.raises(UserError, match=said):
        check_recipe(recipe, spec(classes, validation=50), 1)
    check_recipe(recipe, spec(classes), 1)  # nothing is chosen by it
    check_recipe(recipe, spec(6, validation=50), 1)
