import pytest

from cnn_jax import Recipe, UserError, epochs, percent, steps
from cnn_jax.command_line import parse, parse_options
from cnn_jax.launch import Launch


def launched(*words):
    return parse(Launch, default=Launch(Recipe(name="x")), arguments=words)


def test_flags_change_the_recipe():
    words = "--optimizer.learning-rate 0.05 --epochs 3 --seed 1 --workdir runs/x --seeds 4"
    found = launched(*words.split())
    assert found.recipe.optimizer.learning_rate == 0.05
    assert found.recipe.duration == epochs(3)
    assert found.recipe.seed == 1
    assert (str(found.workdir), found.seeds) == ("runs/x", 4)


def test_durations_and_options():
    words = "--duration 500steps --schedule.warmup 5% --schedule.boundaries 10 50%"
    recipe = launched(*words.split(), "--model.options", "widths=8,16", "norm=batch").recipe
    assert recipe.duration == steps(500)
    assert recipe.schedule.warmup == percent(5)
    assert recipe.schedule.boundaries == (epochs(10), percent(50))
    assert recipe.model.options == {"widths": (8, 16), "norm": "batch"}


def test_nothing_given_leaves_the_recipe_as_it_is():
    assert launched().recipe == Recipe(name="x")


def test_options_are_literals_or_words():
    words = ["a=1", "b=0.5", "c=True", "d=he_normal", "e=1,2", "f=(3,)", "g=None"]
    assert parse_options(words) == {
        "a": 1, "b": 0.5, "c": True, "d": "he_normal", "e": (1, 2), "f": (3,), "g": None
    }  # fmt: skip


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"]])
def test_what_is_no_option_is_refused(words):
    with pytest.raises(UserError, match="option"):
        parse_options(words)
