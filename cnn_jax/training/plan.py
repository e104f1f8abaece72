"""How long a run is and what comes how often, in steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cnn_jax.duration import Duration
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """The durations of a recipe in steps.

    Attributes:
      total: length of the training.
      validate: steps between validations, need not be whole; infinite where there is nothing to
        validate on.
      save: steps between checkpoints, need not be whole.
      log: steps between lines of training metrics, need not be whole.
      examples: training examples in an epoch.
      batch_size: examples in a step.
    """

    total: int
    validate: float
    save: float
    log: float
    examples: int
    batch_size: int

    @classmethod
    def of(cls, recipe: Recipe, counts: Mapping[str, int]) -> Plan:
        """The plan of a recipe.

        Args:
          recipe: what is trained.
          counts: examples in each split.

        Raises:
          UserError: a duration is zero or in the wrong unit.
        """
        if recipe.duration.unit == "percent":
            raise UserError(f"--duration {recipe.duration}: percent of what? Give epochs or steps.")
        batch_size, examples = recipe.batch_size, counts["train"]
        total = recipe.duration.steps(batch_size=batch_size, examples=examples)

        def interval(flag: str, duration: Duration) -> float:
            found = duration.exact_steps(
                batch_size=batch_size, examples=examples, total_steps=total
            )
            if found <= 0:
                raise UserError(f"{flag} {duration} must be longer than nothing")
            return max(1.0, found)

        interval("--duration", recipe.duration)
        validate = interval("--validate-every", recipe.validate_every)
        return cls(
            total=total,
            validate=validate if "validation" in counts else math.inf,
            save=interval("--checkpoints.every", recipe.checkpoints.every),
            log=interval("--log-every", recipe.log_every),
            examples=examples,
            batch_size=batch_size,
        )

    def steps(self, duration: Duration) -> int:
        """A duration within the training in whole steps."""
        return duration.steps(
            batch_size=self.batch_size, examples=self.examples, total_steps=self.total
        )

    @staticmethod
    def due(step: int, interval: float) -> bool:
        """Whether a multiple of the interval is nearest to this step.

        So what comes every epoch comes at the epochs' ends, and falls together with the end
        of the training, although an epoch is no whole number of steps.
        """
        return math.floor((step + 0.5) / interval) > math.floor((step - 0.5) / interval)

    def scheduled(self, step: int) -> bool:
        """Whether the state of a step is saved in every run, and not because one was stopped."""
        return step == self.total or self.due(step, self.save) or self.due(step, self.validate)

    def next_scheduled(self, step: int) -> int:
        """The first step after this one whose state is saved, or validated, or the last."""
        found = self.total
        for interval in filter(math.isfinite, (self.save, self.validate)):
            multiple = (math.floor((step + 0.5) / interval) + 1) * interval
            # Rounding may be a step off, to either side.
            near = max(step + 1, math.ceil(multiple - 0.5) - 1)
            while near < found and not self.due(near, interval):
                near += 1
            found = min(found, near)
        return found

    def together(self, most: int) -> int:
        """How many steps a call should have, so that the fewest calls make the whole plan.

        A call never reaches over a step whose state is needed; what is left before it is made
        in calls of one step.

        Args:
          most: steps in a call, at most.
        """
        if most == 1:
            return 1
        gaps: Counter[int] = Counter()
        step = 0
        while step < self.total:
            later = self.next_scheduled(step)
            gaps[later - step] += 1
            step = later

        def calls(steps: int) -> int:
            return sum(n * (gap // steps + gap % steps) for gap, n in gaps.items())

        return min(range(most, 0, -1), key=calls)

    def epoch(self, step: int) -> float:
        """Passes over the training examples that so many steps make."""
        return step * self.batch_size / self.examples
