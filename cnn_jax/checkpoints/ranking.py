"""Which checkpoint is the best, and which are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orbax.checkpoint.checkpoint_managers import (
    AnyPreservationPolicy,
    BestN,
    PreservationContext,
    PreservationPolicy,
)

from cnn_jax import recipe
from cnn_jax.tasks import Metric

_LOSS = Metric("loss")


def rank(metrics: Mapping[str, Any], metric: Metric) -> tuple[float, float, int]:
    """What validated states are sorted by; the best has the largest.

    Of states that are equally good by the metric the one with the smaller loss is better, and of
    those the later one, which has seen more.

    Args:
      metrics: of a validation, with its `step`.
      metric: what they are compared by first.
    """
    loss = _LOSS.worth(metrics) if "loss" in metrics else 0.0
    return metric.worth(metrics), loss, int(metrics["step"])


@dataclass
class _Latest(PreservationPolicy):
    """Keeps the newest n of those that are due, and the newest of all."""

    n: int
    scheduled: Callable[[int], bool]

    def should_preserve(
        self, checkpoints: Sequence[Any], *, context: PreservationContext
    ) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*steps[-1:], *[step for step in steps if self.scheduled(step)][-self.n :]}
        return [step in kept for step in steps]


def kept(
    config: recipe.Checkpoints, metric: Metric, scheduled: Callable[[int], bool]
) -> PreservationPolicy:
    """What Orbax keeps: the newest and the best.

    Args:
      config: how many.
      metric: by which the best are found.
      scheduled: whether a checkpoint of a step is due in every run.
    """
    return AnyPreservationPolicy(
        [
            _Latest(config.keep_latest, scheduled),
            BestN(
                get_metric_fn=lambda metrics: rank(metrics, metric),
                n=config.keep_best,
                keep_checkpoints_without_metrics=False,
            ),
        ]
    )
