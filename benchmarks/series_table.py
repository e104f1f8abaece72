"""Nets for series beside each other on many sets: accuracies, ensembles, mean ranks.

Reads the runs of `experiments/ucr.py` from folders NET/SET/seed-S, which `--workdir
runs/ucr/fcn1d/GunPoint --seeds 5` leaves:

    python -m benchmarks.series_table runs/ucr --rocket 1

A row is a set, a column a net with the mean and deviation of its seeds, and beside it the ensemble
of these: their probabilities averaged (of five inception_time that is InceptionTime). ROCKET is the
yardstick that is not trained. Below stand the mean rank of each column over the sets that all have,
and of each pair the two-sided p of Wilcoxon's signed-rank test with Holm's correction (Demsar 2006,
https://jmlr.org/papers/v7/demsar06a.html; Benavoli et al. 2016). A few sets tell no two nets apart:
with five the smallest p of one pair is 0.06.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, wilcoxon

from benchmarks import rocket
from cnn_jax.evaluation.own_data import own_part
from cnn_jax.evaluation.predict import Answers
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder

Table = dict[str, dict[str, list[float]]]
"""Accuracies in % by set and column: of each seed, or a single one."""


def mean_ranks(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean rank of each column, 1 the best; equal values share their ranks.

    Args:
      values: of each column its accuracy on every set, in one order.
    """
    ranks = rankdata([[-each for each in column] for column in values.values()], axis=0)
    return dict(zip(values, np.mean(ranks, axis=1).tolist(), strict=True))


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities p of several tests, corrected as Holm does: in their order, 1 at most."""
    corrected, least = np.empty(len(chances)), 0.0
    for rank, place in enumerate(np.argsort(chances, kind="stable")):
        least = max(least, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = least
    return corrected.tolist()


def pairs(values: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], float]:
    """Of each pair of columns Holm's p that they are equally good; equal columns have 1."""
    both = list(itertools.combinations(values, 2))
    chances = [
        1.0 if np.array_equal(values[a], values[b]) else float(wilcoxon(values[a], values[b])[1])
        for a, b in both
    ]
    return dict(zip(both, holm(chances), strict=True))


def ensemble(runs: Sequence[Path]) -> float:
    """The accuracy in % of the averaged probabilities of several runs, on their test part."""
    total, labels = 0.0, None
    for run in runs:
        restored = restore(run)
        part = own_part(restored, "test", None, RunFolder(run).parts()).examples
        total, labels = total + Answers(restored)(part.inputs), part.labels
    return 100 * float(np.mean(np.argmax(total, axis=1) == labels))


def read(top: Path) -> tuple[Table, dict[str, str]]:
    """The table of all finished runs below a folder, and the data's name of each set."""
    table: Table = {}
    names: dict[str, str] = {}
    for folder in sorted(each for each in top.glob("*/*") if each.is_dir()):
        runs = sorted(file.parent for file in folder.glob("seed-*/summary.json"))
        if not runs:
            continue
        net, name = folder.parent.name, folder.name
        summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
        names[name] = summaries[0]["recipe"]["data"]["name"]
        row = table.setdefault(name, {})
        row[net] = [100 * each["test"]["accuracy"] for each in summaries]
        if len(runs) > 1:
            row[f"{net}, averaged"] = [ensemble(runs)]
    return table, names


def written(table: Table) -> str:
    """Accuracies, ranks and pairs in Markdown."""
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    lines = ["| set | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(_cell(row.get(column)) for column in columns) + " |"
        for name, row in table.items()
    ]
    full = [row for row in table.values() if len(row) == len(columns)]
    if len(full) < 2 or len(columns) < 2:
        return "\n".join(lines)
    values = {column: [float(np.mean(row[column])) for row in full] for column in columns}
    ranks = mean_ranks(values)
    lines.append(
        f"| mean rank, {len(full)} sets | "
        + " | ".join(f"{ranks[column]:.2f}" for column in columns)
        + " |"
    )
    told = [f"- {a} / {b}: p = {p:.2g}" for (a, b), p in pairs(values).items()]
    return "\n".join([*lines, "", "Wilcoxon's signed-rank test, Holm's correction:", "", *told])


def _cell(values: Sequence[float] | None) -> str:
    if values is None:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} (n={len(values)})"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rocket", type=int, default=0, help="seeds of ROCKET; 0 leaves it out")
    asked = parser.parse_args()
    table, names = read(asked.folder)
    for name, row in table.items() if asked.rocket else ():
        row["ROCKET"] = [
            100 * rocket.accuracy(names[name], seed, rocket.KERNELS) for seed in range(asked.rocket)
        ]
    print(written(table))


if __name__ == "__main__":
    main()
