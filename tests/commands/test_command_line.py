import re
from pathlib import Path

import pytest

import cnn_jax
from cnn_jax import Model, Optimizer, Recipe, UserError, epochs, percent, steps
from cnn_jax.__main__ import read_command
from cnn_jax.commands.command_line import (
    added_options,
    flags_of,
    foreign_flags_told,
    parse,
    parse_options,
)
from cnn_jax.commands.names import COMMANDS, Command
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
    words = ["a=1", "b=0.5", "c=true", "d=he_normal", "e=1,2", "f=(3,)", "g=none"]
    assert parse_options(words) == {
        "a": 1, "b": 0.5, "c": True, "d": "he_normal", "e": (1, 2), "f": (3,), "g": None
    }  # fmt: skip


def test_options_are_added_to_those_of_the_recipe():
    default = Recipe(
        name="x",
        model=Model("simple_cnn", options={"widths": (8,), "norm": "batch"}),
        optimizer=Optimizer("sgd", options={"momentum": 0.9}),
    )

    def added(*words):
        given = parse(Launch, default=Launch(default), arguments=words).recipe
        found = added_options(default, given)
        return dict(found.model.options), dict(found.optimizer.options)

    assert added() == ({"widths": (8,), "norm": "batch"}, {"momentum": 0.9})
    assert added("--model.options", "widths=4,", "dropout=0.5")[0] == {
        "widths": (4,), "norm": "batch", "dropout": 0.5
    }  # fmt: skip
    assert added("--optimizer.name", "adamw")[1] == {}
    assert added("--optimizer.name", "adamw", "--optimizer.options", "b1=0.8")[1] == {"b1": 0.8}


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"]])
def test_what_is_no_option_is_refused(words):
    with pytest.raises(UserError, match="option"):
        parse_options(words)


def test_every_flag_that_a_message_names_is_there():
    """Also those that are put together, such as `--data.{flag}`, up to the brace."""
    there = flags_of(Launch)
    assert {"--seed", "--epochs", "--init-from", "--data.image-size", "--processes.count"} <= there
    for found in COMMANDS.values():
        for command in [found] if isinstance(found, Command) else found.values():
            there |= flags_of(command.load())
    there.add("--help")
    unknown = {}
    for file in Path(cnn_jax.__file__).parent.rglob("*.py"):
        for line in file.read_text().splitlines():
            if "UserError" not in line and '"' not in line:
                continue
            for flag in re.findall(r"(?<![\w=`-])--(?!xla)[a-z][a-z0-9.-]*[a-z0-9]", line):
                known = flag in there or any(each.startswith(flag) for each in there)
                if not known:
                    unknown.setdefault(file.name, []).append(flag)
    # Those of other programs.
    for name in ("download.py", "mirrors.py", "run_folder.py", "compilation.py"):
        unknown.pop(name, None)
    assert unknown == {}


def test_a_message_says_which_of_its_flags_the_command_does_not_have():
    plan = read_command(["plan", "x.py"])
    with pytest.raises(UserError) as told, foreign_flags_told(plan):
        raise UserError("give --data.image-size 64 or --batch-size 8, XLA_FLAGS=--xla_x=1")
    assert str(told.value).endswith(
        "(--data.image-size is a flag of an experiment's file, not of this command.)"
    )
    with pytest.raises(UserError) as told, foreign_flags_told(plan):
        raise UserError("give --batch-size 8 or --parallel.fsdp 2")
    assert "experiment" not in str(told.value)
