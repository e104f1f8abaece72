"""The README's table of results, written from run folders: no number in it is typed by hand.

    make results                              # trains what is missing, hours in all
    make results ARGS='--only digits_lenet5'  # one row, 2 min
    make results ARGS='--table'               # trains nothing: the table of the runs there are

Runs lie in `runs/results/NAME/seed-S`. What is finished is not trained again, and what was stopped
goes on, so that the same command is given until the table is whole. Rows whose runs are not all
there are left as they stand.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import tyro

TOP = Path(__file__).parent.parent
RUNS = TOP / "runs" / "results"
_FEW = 1000
"""Test examples; of so few the table says how many."""
_HEAD = "| experiment | parameters | test accuracy, % | compared with | time of a run |"


@dataclass(frozen=True)
class Options:
    """What is trained and written."""

    only: tuple[str, ...] = ()
    """Experiments; by default all of the table."""
    table: bool = False
    """Train nothing."""


class Row(NamedTuple):
    """A line of the table.

    Attributes:
      experiment: of `experiments/`.
      seeds: runs of it, from seed 0 on.
      flags: more words of its command line.
      note: what the first column says after the command.
      beside: published numbers.
      minutes: of one run on two idle cores, about, to be told before it begins.
    """

    experiment: str
    seeds: int
    flags: tuple[str, ...] = ()
    note: str = ""
    beside: str = ""
    minutes: float = 1.0

    @property
    def folder(self) -> str:
        """Of its runs: the experiment's name, and its flags where it has some."""
        flags = "_".join(flag.strip("-").replace(".", "_") for flag in self.flags)
        return f"{self.experiment}_{flags}" if flags else self.experiment

    @property
    def command(self) -> str:
        """As a reader would type it."""
        words = ["python", f"experiments/{self.experiment}.py"]
        if self.seeds > 1:
            words += ["--seeds", str(self.seeds)]
        return " ".join([*words, *self.flags])


_SCRATCH = (
    "--init-from",
    "None",
    "--optimizer.learning-rate",
    "0.05",
    "--optimizer.factors",
)

ROWS = (
    Row(
        "mnist_lenet5",
        5,
        beside="99.05, with distortions 99.2 (LeCun et al. 1998)",
        minutes=1.5,
    ),
    Row("mnist_lenet5_1998", 5, beside="the same", minutes=5),
    Row("digits_lenet5", 5, minutes=0.3),
    Row("fashion_mnist_airbench", 3, beside="94.9, ResNet-18 there", minutes=20),
    Row(
        "fashion_mnist_cnn",
        3,
        beside="92.2–92.5, small CNNs in the data set's README",
        minutes=12,
    ),
    Row("cifar10_cnn", 3, minutes=12),
    Row("cifar10_airbench94", 3, beside="94.01, mean (Jordan 2024)", minutes=29),
    Row(
        "cifar10_resnet20_muon",
        2,
        beside="91.25 (He et al. 2015), in 3.6 times as many epochs",
        minutes=115,
    ),
    Row(
        "cifar10_resnet20",
        1,
        beside="91.25 (He et al. 2015), in 12 times as many steps",
        minutes=60,
    ),
    Row(
        "cifar10_1000_lite0",
        5,
        note=", transfer to 1,000 images",
        beside="the same net from scratch, next line",
        minutes=3.5,
    ),
    Row("cifar10_1000_lite0", 5, _SCRATCH, note=", from scratch", minutes=3.5),
)


def main() -> None:
    """The command; see the docstring of this file."""
    given = tyro.cli(Options, prog="make results", description=__doc__)
    unknown = set(given.only) - {row.experiment for row in ROWS}
    if unknown:
        names = ", ".join(sorted({row.experiment for row in ROWS}))
        sys.exit(f"error: --only {' '.join(sorted(unknown))}: no row of the table; valid: {names}")
    rows = [row for row in ROWS if not given.only or row.experiment in given.only]
    if not given.table:
        _train(rows)
    summaries = {row: finished(RUNS / row.folder, row.seeds) for row in rows}
    readme = TOP / "README.md"
    old = readme.read_text()
    new, left = with_rows(old, summaries)
    if new != old:
        readme.write_text(new)
    for row in left:
        print(f"left as it stands, runs are missing: {row.command}")
    print(f"{len(rows) - len(left)} of {len(rows)} rows are those of {RUNS.relative_to(TOP)}")
    commits = sorted({str(each["commit"])[:7] for found in summaries.values() for each in found})
    if commits:
        print(f"at commit {', '.join(commits)}")


def _train(rows: Sequence[Row]) -> None:
    """Runs every experiment, which trains what of it is not finished."""
    for row in rows:
        missing = row.seeds - len(finished(RUNS / row.folder, row.seeds))
        if not missing:
            continue
        print(f"{row.command}: {missing} of {row.seeds} runs, about {row.minutes:g} min each")
        words = [str(TOP / "experiments" / f"{row.experiment}.py"), "--seeds", str(row.seeds)]
        folder = ["--workdir", str(RUNS / row.folder)]
        done = subprocess.run([sys.executable, *words, *row.flags, *folder], cwd=TOP, check=False)
        if done.returncode:
            sys.exit(f"error: {row.command} ended with {done.returncode}; the same command goes on")


def finished(folder: Path, seeds: int) -> list[dict[str, Any]]:
    """The summaries of those of the seeds 0, 1, ... whose runs in a folder have ended."""
    files = [folder / f"seed-{seed}" / "summary.json" for seed in range(seeds)]
    found = [json.loads(file.read_text()) for file in files if file.is_file()]
    return [each for each in found if each.get("test")]


def with_rows(
    readme: str, summaries: Mapping[Row, Sequence[Mapping[str, Any]]]
) -> tuple[str, list[Row]]:
    """A README with the rows of its table of results written anew.

    Args:
      readme: its text.
      summaries: of each row those of the runs that have ended.

    Returns:
      The text, and the rows that were left as they stand: not all of their runs are there.

    Raises:
      ValueError: it has no such table.
    """
    lines = readme.splitlines()
    if _HEAD not in lines:
        raise ValueError(f"the README has no line {_HEAD!r}")
    first = lines.index(_HEAD) + 2
    last = next(
        i for i in range(first, len(lines) + 1) if not lines[i : i + 1] or lines[i][:1] != "|"
    )
    table, left = lines[first:last], []
    for row, found in summaries.items():
        if len(found) < row.seeds:
            left.append(row)
            continue
        begins = f"| `python experiments/{row.experiment}.py"
        place = next(
            (
                i
                for i, line in enumerate(table)
                if line.startswith(begins) and line.split("|")[1].rstrip().endswith(row.note or "`")
            ),
            len(table),
        )
        table[place : place + 1] = [line_of(row, found)]
    return "\n".join([*lines[:first], *table, *lines[last:]]) + "\n", left


def line_of(row: Row, summaries: Sequence[Mapping[str, Any]]) -> str:
    """A line of the table: mean and sample deviation of the accuracy in %, mean of the minutes."""
    values = [100 * each["test"]["accuracy"] for each in summaries]
    seconds = statistics.mean(each["seconds"]["total"] for each in summaries)
    mean, count = statistics.mean(values), len(values)
    # As many digits as one example of the test part is worth.
    examples = summaries[0]["test"]["examples"]
    digits = max(1, math.ceil(math.log10(examples)) - 2)
    of = f", of {examples}" if examples < _FEW else ""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if count > 1 else ""
    minutes = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    cells = (
        f"`{row.command}`{row.note}",
        f"{summaries[0]['parameters']:,}",
        f"{mean:.{digits}f}{spread} (n={count}){of}",
        row.beside,
        minutes,
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


if __name__ == "__main__":
    main()
