"""The tasks by name, and what of a recipe they fill in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError, unknown
from cnn_jax.own.values import Own
from cnn_jax.recipe import Recipe
from cnn_jax.tasks.binary import Binary
from cnn_jax.tasks.classification import Classification
from cnn_jax.tasks.contract import Metric, Task
from cnn_jax.tasks.detection import Detection
from cnn_jax.tasks.example_task import ExampleTask
from cnn_jax.tasks.own_functions import metric_name, own_metric
from cnn_jax.tasks.predicted import KINDS
from cnn_jax.tasks.regression import Regression
from cnn_jax.tasks.segmentation import Segmentation
from cnn_jax.tasks.tagging import Tagging

TASKS: dict[str, type[ExampleTask]] = {
    "binary": Binary,
    "classification": Classification,
    "detection": Detection,
    "regression": Regression,
    "segmentation": Segmentation,
    "tagging": Tagging,
}


def kind_of(recipe: Recipe) -> type[ExampleTask]:
    """The class of a recipe's task.

    Raises:
      UserError: there is no such task.
    """
    if isinstance(recipe.task.name, Own):
        return _checked(recipe.task.name)
    if recipe.task.name not in TASKS:
        raise unknown("task", recipe.task.name, TASKS)
    return TASKS[recipe.task.name]


def _checked(name: Own) -> type[ExampleTask]:
    kind: Any = name.value
    asked = sorted(each for each in vars(Task) if not each.startswith("_"))
    asked += sorted(set(Task.__annotations__) - set(asked))
    missing = [each for each in asked if not hasattr(kind, each)]
    if not isinstance(kind, type) or missing:
        more = f" and {len(missing) - 3} more" * (len(missing) > 3)
        lacks = (
            f" lacks {', '.join(missing[:3])}{more}" if isinstance(kind, type) else " is no class"
        )
        raise UserError(
            f"task {name}{lacks}; a task of your own is a class that has all of "
            "cnn_jax.tasks.contract.Task, such as one derived from cnn_jax.tasks.TASKS['tagging']"
        )
    for each in ("METRICS", "LOSSES", "KINDS"):
        if not getattr(kind, each):
            raise UserError(f"task {name}: {each} is empty; its first is what counts by default")
    return kind


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
    loss, metric = recipe.loss.name, recipe.checkpoints.metric
    if isinstance(recipe.task.name, Own) and loss is not None and metric is not None:
        return recipe  # as it was stored: to be compared, its code need not be imported
    kind = kind_of(recipe)
    names = [each.name for each in kind.METRICS] + [metric_name(each) for each in recipe.metrics]
    if loss is None:
        loss = kind.LOSSES[0]
    elif loss not in kind.LOSSES and not isinstance(loss, Own):
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
    own = next((each for each in recipe.metrics if metric_name(each) == name), None)
    if own is not None:
        return own_metric(own)
    return next(each for each in kind_of(recipe).METRICS if each.name == name)


def metric_named(name: str) -> Metric | None:
    """The metric of this name, of whichever task has one; None of a name that none has."""
    kinds = [kind.METRICS for kind in TASKS.values()] + [kind.METRICS for kind in KINDS.values()]
    metrics = (each for kind in kinds for each in kind)
    return next((each for each in metrics if each.name == name), None)


def predicted_kind(recipe: Recipe) -> str:
    """The kind of a recipe's stored predictions, see `cnn_jax.tasks.predicted.KINDS`."""
    found = getattr(kind_of(recipe), "PREDICTED", "")
    return found if found in KINDS else ""


def headline(
    recipe: Recipe, metrics: Mapping[str, Any], deviations: Mapping[str, Any] | None = None
) -> str:
    """The metrics that a result in one line names, such as `accuracy 98.20%, nll 0.0512`.

    Args:
      recipe: whose task they are of.
      metrics: their values by name.
      deviations: of these, where they are means: `accuracy 98.20% ± 0.31%`.
    """

    def written(metric: Metric) -> str:
        deviation = (deviations or {}).get(metric.name)
        more = "" if deviation is None else f" ± {metric.written(deviation)}"
        return f"{metric.name} {metric.written(metrics[metric.name])}{more}"

    return ", ".join(
        written(metric)
        for metric in (*kind_of(recipe).HEADLINE, *map(own_metric, recipe.metrics))
        if metrics.get(metric.name) is not None
    )
