"""What a sweep prints at its end: a table with the best trial first, and what that one came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnn_jax.commands.output import metric_text, print_json, print_rows
from cnn_jax.commands.swept_fields import short_name
from cnn_jax.errors import UserError
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs.sweep_record import Outcome, ranked
from cnn_jax.tasks import Metric


def show_sweep(
    top: Path,
    metric: Metric,
    outcomes: Sequence[Outcome],
    seed: int,
    *,
    plot: Path | None = None,
    as_json: bool = False,
    goes_on: bool = False,
) -> None:
    """Prints what came of all trials, and the test result of the best alone.

    Args:
      top: the folder of the sweep.
      metric: that counts.
      seed: the first of those that a trial runs.
      outcomes: of the trials; those that are not finished have no mean.
      plot: a PNG file to draw.
      as_json: print JSON instead.
      goes_on: whether trials may be running elsewhere, so that none need have finished.

    Raises:
      UserError: no trial was finished.
    """
    order = ranked(outcomes, metric)
    finished = [each for each in order if each.mean is not None]
    best = finished[0] if finished else None
    tests = [] if best is None else _tests(top / best.folder, best.n, seed, metric.name)
    if as_json:
        trials = [each._asdict() for each in order]
        chosen = None if best is None else {**best._asdict(), "test": tests}
        print_json({"metric": metric.name, "trials": trials, "chosen": chosen})
        _draw(finished, metric, plot)
        return
    _print_table(order, metric)
    if goes_on:
        others = "; the same command shows how the others go on" * (len(finished) < len(order))
        print(f"{len(finished)} of {len(order)} trials are finished{others}")
    if best is None and not goes_on:
        raise UserError("no trial was finished, so that none is the best")
    if best is None:
        return
    print(f"best on the validation part, of {len(order)} trials: {top / best.folder}")
    if tests:
        told = ", ".join(str(metric_text(metric.name, value)) for value in tests)
        print(f"its test {metric.name}: {told}")
    if best.n == 1 and len(order) > 1:
        print("of one seed each: trials that are near to one another may change places")
    _draw(finished, metric, plot)
    if plot is not None:
        print(f"plot: {plot}")


def _draw(finished: Sequence[Outcome], metric: Metric, plot: Path | None) -> None:
    """Draws what was printed before, which a file that cannot be written does not hide."""
    if plot is None or not finished:
        return
    from cnn_jax.report.sweep_plot import draw_sweep

    tried = [(each.values, each.mean) for each in finished if each.mean is not None]
    draw_sweep(tried, metric.name, plot)


def _print_table(order: Sequence[Outcome], metric: Metric) -> None:
    fields = list(dict.fromkeys(name for each in order for name in each.values))
    rows = [
        {
            **{short_name(name, fields): each.values.get(name) for name in fields},
            f"validation {metric.name}": _mean(each, metric),
            "state": each.state.partition("\n")[0],
        }
        for each in order
    ]
    columns = list(rows[0]) if rows else []
    print_rows(rows, columns, as_json=False, empty="no trial was run", wrap=["state"])


def _mean(each: Outcome, metric: Metric) -> str:
    if each.mean is None:
        return ""
    more = "" if each.deviation is None else f" ± {metric.written(each.deviation)}"
    return metric.written(each.mean) + more


def _tests(folder: Path, count: int, seed: int, metric: str) -> list[float]:
    """The metric on the test part of each run that the mean of a trial is over."""
    every = [folder] if count == 1 else [folder / f"seed-{seed + i}" for i in range(count)]
    summaries = [RunFolder(path).summary() for path in every]
    return [each["test"][metric] for each in summaries if each is not None and each["test"]]
