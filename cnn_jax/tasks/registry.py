"""The tasks by name, and what of a recipe they fill in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import unknown
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.binary import Binary
from cnn_jax.tasks.classification import Classification
from cnn_jax.tasks.contract import Metric, Task
from cnn_jax.tasks.example_task import ExampleTask
from cnn_jax.tasks.regression import Regression
from cnn_jax.tasks.tagging import Tagging

TASKS: dict[str, type[ExampleTask]] = {
    "binary": Binary,
    "classification": Classification,
    "regression": Regression,
    "tagging": Tagging,
}


def kind_of(recipe: Recipe) -> type[ExampleTask]:
    """The class of a recipe's task.

    Raises:
      UserError: there is no such task.
    """
    if recipe.task.name not in TASKS:
        raise unknown("task", recipe.task.name, TASKS)
    return TASKS[recipe.task.name]


def make_task(recipe: Recipe, spec: DataSpec) -> Task:
    """The task of a recipe on data with these facts.

    Raises:
      UserError: a name or an option is unknown, or the data do not hold what is to be learnt.
    """
    made: Any = kind_of(recipe)(resolved(recipe), spec)
    return made


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with what it leaves to its task: the loss, and the metric that counts.

    Raises:
      UserError: a name is none of the task's.
    """
    kind = kind_of(recipe)
    loss, metric = recipe.loss.name, recipe.checkpoints.metric
    names = [each.name for each in kind.METRICS]
    if loss is None:
        loss = kind.LOSSES[0]
    elif loss not in kind.LOSSES:
        raise unknown(f"loss of --task.name {recipe.task.name}: --loss.name", loss, kind.LOSSES)
    if metric is None:
        metric = names[0]
    elif metric not in names:
        raise unknown(
            f"metric of --task.name {recipe.task.name}: --checkpoints.metric", metric, names
        )
    return dataclasses.replace(
        recipe,
        loss=dataclasses.replace(recipe.loss, name=loss),
        checkpoints=dataclasses.replace(recipe.checkpoints, metric=metric),
    )


def target_kind(recipe: Recipe) -> str:
    """The kind of targets that a recipe learns, see `cnn_jax.data.fields`."""
    return kind_of(recipe).KINDS[0]


def metric_that_counts(recipe: Recipe) -> Metric:
    """The metric by which a recipe's checkpoints are the best, and in which direction."""
    name = resolved(recipe).checkpoints.metric
    return next(each for each in kind_of(recipe).METRICS if each.name == name)


def metric_named(name: str) -> Metric | None:
    """The metric of this name, of whichever task has one; None of a name that none has."""
    metrics = (each for kind in TASKS.values() for each in kind.METRICS)
    return next((each for each in metrics if each.name == name), None)


def headline(recipe: Recipe, metrics: Mapping[str, Any]) -> str:
    """The metrics that a result in one line names, such as `accuracy 98.20%, nll 0.0512`."""
    return ", ".join(
        f"{metric.name} {metric.written(metrics[metric.name])}"
        for metric in kind_of(recipe).HEADLINE
        if metrics.get(metric.name) is not None
    )
