"""What a model is trained for: one task a file, by name."""

from cnn_jax.tasks.contract import Apply, LossFn, Metric, Task, Turn
from cnn_jax.tasks.registry import (
    TASKS,
    headline,
    kind_of,
    make_task,
    metric_named,
    metric_that_counts,
    predicted_kind,
    resolved,
    target_kind,
)

__all__ = [
    "TASKS",
    "Apply",
    "LossFn",
    "Metric",
    "Task",
    "Turn",
    "headline",
    "kind_of",
    "make_task",
    "metric_named",
    "metric_that_counts",
    "predicted_kind",
    "resolved",
    "target_kind",
]
