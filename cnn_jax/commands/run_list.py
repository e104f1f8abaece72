"""The command that lists runs: what differs between them, and what came of each."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnn_jax.commands.found_runs import describe_run, find_runs
from cnn_jax.commands.output import metric_text, print_rows
from cnn_jax.errors import UserError

_ALWAYS = ("model.name", "data.name", "seed")
"""Fields of the recipe that are shown also where all runs have the same, each by its first word."""

_MOST = 8
"""So many further fields are shown as columns."""

_RESULTS = ("state", "step", "validation", "test", "parameters", "seconds")
_EXTRA = ("started", "metric")


@dataclass(frozen=True)
class Runs:
    """List the runs in a folder with their results and the fields in which they differ, newest
    first.
    """

    folder: tyro.conf.Positional[Path] = Path("runs")
    """Folder to search, with all folders in it."""
    sort: str | None = None
    """Sort by a column or a field of the recipe, such as test or optimizer.learning_rate, best or
    smallest first. By default newest first."""
    reverse: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Reverse the order."""
    filter: tuple[str, ...] = ()
    """List only runs with these values, as field=value, such as model=resnet20 seed=1. A part of a
    text is enough."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON, with the whole recipe of each run."""

    def __call__(self) -> None:
        """Prints a row for each run.

        Raises:
          UserError: there is no such folder, column or field.
        """
        if not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder")
        rows = [_row(path) for path in find_runs(self.folder)]
        names = list(dict.fromkeys(name for row in rows for name in _values(row)))
        for word in self.filter:
            field, equals, value = word.partition("=")
            if not equals:
                raise UserError(f"--filter {word} is written field=value")
            place = field_named("--filter", field, names)
            rows = [row for row in rows if _matches(_values(row).get(place), value)]
        rows.sort(key=lambda row: row.get("started") or "", reverse=True)
        if self.sort is not None:
            rows = _sorted(rows, field_named("--sort", self.sort, names))
        if self.reverse:
            rows.reverse()
        if self.json:
            print_rows(rows, (), as_json=True, empty="")
            return
        self._show(rows)

    def _show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        others = [name for name in differing(rows) if name not in _ALWAYS]
        shown, left = others[:_MOST], others[_MOST:]
        columns = {"run": "run", **{name.partition(".")[0]: name for name in _ALWAYS}}
        columns |= {_short(name, others): name for name in shown}
        results = {name: name for name in _RESULTS}
        table = []
        for row in rows:
            fields, metric = row.get("recipe", {}), row.get("metric")
            cells = {title: fields.get(name) for title, name in columns.items()}
            cells |= {name: row.get(name) for name in ("run", *results)}
            for name in ("validation", "test"):
                if metric is not None and cells[name] is not None:
                    cells[name] = f"{metric} {metric_text(metric, cells[name])}"
            table.append(cells)
        print_rows(
            table,
            (*columns, *results),
            as_json=False,
            empty=f"no run below {self.folder}" + " that fits --filter" * bool(self.filter),
            drop=(
                *("parameters", "seconds", "step", "seed"),
                *reversed([title for title, name in columns.items() if name in shown]),
                *("data", "model", "validation", "state"),
            ),
        )
        if left:
            print(f"{len(left)} further fields differ: {', '.join(left)} (--json has all)")


def _higher(metric: str) -> bool:
    from cnn_jax.tasks import metric_named

    found = metric_named(metric)
    return found is not None and found.higher


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a run can be sorted and filtered by: results, and fields of its recipe."""
    results = {name: row.get(name) for name in ("run", *_RESULTS, *_EXTRA)}
    return {**results, **row.get("recipe", {})}


def field_named(flag: str, given: str, names: Sequence[str]) -> str:
    """The field that is meant: by its path, by its last word, or by its first, as in columns.

    Raises:
      UserError: there is none, or there are several.
    """
    wanted = given.strip().replace("-", "_").replace(" ", "_")
    if wanted in names:
        return wanted
    always = {name.partition(".")[0]: name for name in _ALWAYS}
    wanted = {"lr": "optimizer.learning_rate", "batch": "batch_size", "epochs": "duration"}.get(
        wanted, always.get(wanted, wanted)
    )
    ends = [name for name in names if name == wanted or name.endswith(f".{wanted}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UserError(f"{flag} {given} may be {' or '.join(ends)}; give one of them")
    near = difflib.get_close_matches(wanted, [*names, *always], n=3, cutoff=0.5)
    told = f"; did you mean {' or '.join(near)}?" if near else "."
    raise UserError(
        f"{flag} {given} is no column and no field of a recipe{told} Columns: "
        f"{', '.join(('run', *always, *_RESULTS, *_EXTRA))}"
    )


def _matches(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted.lower() in value.lower()
    if isinstance(value, bool) or value is None:
        return str(value).lower() == wanted.lower()
    with contextlib.suppress(ValueError, TypeError):
        return float(value) == float(wanted)
    return wanted in str(value)


def _sorted(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Rows by a value, the best or smallest first; those without one last."""
    have = [row for row in rows if _values(row).get(name) is not None]
    lack = [row for row in rows if _values(row).get(name) is None]
    if name in ("validation", "test"):
        # Of runs by different metrics those of one metric stand together.
        have.sort(
            key=lambda row: (row["metric"], -row[name] if _higher(row["metric"]) else row[name])
        )
        return have + lack

    def key(row: Mapping[str, Any]) -> tuple[bool, Any]:
        value = _values(row)[name]
        number = isinstance(value, int | float)
        return (not number, value if number else str(value))

    return sorted(have, key=key) + lack


def differing(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields of recipes that are not the same in all rows, but for the name of the run."""
    recipes = [row["recipe"] for row in rows if "recipe" in row]
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    return [
        name
        for name in names
        if name != "name" and any(each.get(name) != recipes[0].get(name) for each in recipes)
    ]


def _short(name: str, names: Sequence[str]) -> str:
    """The last word of a field, or its path where another ends alike."""
    last = name.rpartition(".")[2]
    taken = (*_RESULTS, *_EXTRA, "run", *(each.partition(".")[0] for each in _ALWAYS))
    alike = [each for each in names if each.rpartition(".")[2] == last]
    return name if len(alike) > 1 or last in taken else last


def _row(path: Path) -> dict[str, Any]:
    try:
        return describe_run(path)
    except (UserError, OSError, KeyError, TypeError):
        return {"run": str(path), "state": "unreadable"}
