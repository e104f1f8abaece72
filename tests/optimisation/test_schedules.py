import math

import numpy as np
import pytest

from cnn_jax import Schedule, UserError, percent, steps
from cnn_jax.optimisation.schedules import make_schedule

TOTAL = 100


def rates(config, at, peak=2.0):
    schedule = make_schedule(
        config, peak, TOTAL, lambda d: d.steps(batch_size=1, examples=1, total_steps=TOTAL)
    )
    return [float(schedule(step)) for step in at]


def test_constant():
    assert rates(Schedule("constant"), [0, 50, 99]) == [2, 2, 2]


def test_warmup_rises_linearly_from_the_initial_factor():
    config = Schedule("constant", warmup=steps(10), initial=0.5)
    np.testing.assert_allclose(rates(config, [0, 5, 10, 50]), [1, 1.5, 2, 2], rtol=1e-6)


def test_cosine():
    expected = [2 * (0.1 + 0.9 * (1 + math.cos(math.pi * s / 100)) / 2) for s in (0, 25, 50, 100)]
    np.testing.assert_allclose(
        rates(Schedule("cosine", final=0.1), [0, 25, 50, 100]), expected, rtol=1e-5
    )


def test_linear_after_warmup():
    config = Schedule("linear", warmup=percent(20), final=0.25)
    np.testing.assert_allclose(rates(config, [0, 20, 60, 100]), [0, 2, 1.25, 0.5], rtol=1e-6)


@pytest.mark.parametrize("warmup", [0, 5])
def test_step_falls_at_its_boundaries(warmup):
    config = Schedule("step", warmup=steps(warmup), boundaries=(steps(30), percent(60)), factor=0.1)
    np.testing.assert_allclose(
        rates(config, [5, 29, 30, 59, 60]), [2, 2, 0.2, 0.2, 0.02], rtol=1e-5
    )


def test_one_cycle_rises_and_falls_as_cosines():
    config = Schedule("one_cycle", warmup=steps(40), initial=0.1, final=0.0)
    np.testing.assert_allclose(
        rates(config, [0, 20, 40, 70, 100]), [0.2, 1.1, 2.0, 1.0, 0.0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Schedule("cosine", warmup=steps(100)), "--schedule.warmup 100 steps is 100 steps"),
        (Schedule("own"), r"needs a function: give --schedule\.own FILE\.py:NAME, or in Python"),
        (Schedule("one_cycle"), "needs --schedule.warmup"),
        (Schedule("step", boundaries=(steps(50), steps(20))), r"steps \[50, 20\]: they must rise"),
        (Schedule("step", warmup=steps(60)), "after the warm-up of 60 steps"),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(UserError, match=message):
        rates(config, [0])
