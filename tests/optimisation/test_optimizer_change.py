import dataclasses

import pytest

from cnn_jax import Optimizer, Recipe
from cnn_jax.commands.command_line import added_options, parse
from cnn_jax.launch import Launch
from cnn_jax.optimisation.optimizer_change import RATES, with_own_rate
from cnn_jax.optimisation.optimizers import optimizers

SGD = Optimizer("sgd", 0.2, options={"momentum": 0.9}, weight_decay=5e-4)


def changed(*words, optimizer=SGD):
    default = Recipe(name="x", optimizer=optimizer)
    given = parse(Launch, default=Launch(default), arguments=words).recipe
    found, told = with_own_rate(default, added_options(default, given), words)
    assert dataclasses.replace(found, optimizer=optimizer) == default
    return found.optimizer, told


def test_another_optimizer_brings_its_own_rate_and_decay():
    found, [told] = changed("--optimizer.name", "adamw")
    assert (found.learning_rate, found.weight_decay, found.options) == (1e-3, 0.1, {})
    assert told == (
        "--optimizer.name adamw instead of sgd: learning rate 0.001 instead of 0.2; weight decay "
        "0.1 instead of 0.0005; without momentum=0.9, given for sgd"
    )
    # Into the gradient it goes as it is.
    assert changed("--optimizer.name", "adam")[0].weight_decay == 5e-4
    back, _ = changed("--optimizer.name", "sgd", optimizer=Optimizer("adamw", 1e-3, {}, 0.05))
    assert (back.learning_rate, back.weight_decay) == (0.1, 5e-4)


@pytest.mark.parametrize(
    "rate", [("--optimizer.learning-rate", "0.2"), ("--optimizer.learning_rate=0.2",)]
)
def test_what_is_given_counts(rate):
    """Also where it is what the recipe has."""
    found, [told] = changed("--optimizer.name", "adamw", *rate, "--optimizer.weight-decay", "5e-4")
    assert (found.learning_rate, found.weight_decay) == (0.2, 5e-4)
    assert "learning rate" not in told and "weight decay" not in told


def test_the_same_and_the_like_keep_theirs():
    assert changed("--optimizer.name", "sgd") == (SGD, [])
    adam = Optimizer("adam", 3e-4)
    assert changed("--optimizer.name", "adamw", optimizer=adam) == (Optimizer("adamw", 3e-4), [])


def test_where_no_rate_is_known_that_is_said():
    found, [told] = changed("--optimizer.name", "lars")
    assert found.learning_rate == 0.2
    assert "keeps the learning rate 0.2 of sgd" in told
    assert "give --optimizer.learning-rate" in told


def test_rates_are_of_optimizers():
    assert RATES.keys() <= optimizers().keys()
