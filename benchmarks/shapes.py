"""Convolutions of all shapes on a CPU: ours over the best of XLA's own and one product of matrices.

    make bench-shapes
    make bench-shapes ARGS="--minutes 3 --sides 1 2 4 --kernels 3"

For each shape the value and both gradients are compiled in several forms: with the layers of
`models.platform_layers`, as XLA's own convolution, and as one product of matrices: of all patches
of the images with the kernel or, of small images, of the images with the kernel written out for
every pixel. Ratios below 1 say that ours takes longer than the best of the others. The shapes are
all combinations of the sides and maps that are asked for, in an order that is random and always
the same: what is measured when time is up is a fair sample of all. Programs run in turn, the least
time of each counts, and what falls below the floor is compiled and measured again, for longer.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from benchmarks.shape_forms import WAYS, Case, programs, size
from benchmarks.shape_picture import draw
from cnn_jax.errors import shown_to_user


@dataclass(frozen=True)
class Options:
    """What is measured."""

    minutes: float = 18
    """Until no more shapes are begun; measuring again takes at most a third of it on top."""
    sides: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Of the images, in pixels."""
    maps: tuple[str, ...] = (
        *("3-16", "3-64", "16-16", "16-32", "32-32", "64-64", "64-128", "128-128", "128-512"),
        *("512-128", "256-256", "256-512", "512-512"),
    )
    """In and out."""
    batches: tuple[int, ...] = (1, 8, 32, 128)
    """Images."""
    kernels: tuple[int, ...] = (1, 3, 5, 7)
    """Sides of the kernels, in pixels."""
    strides: tuple[int, ...] = (1, 2)
    """Steps in pixels."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in."""
    most_products: float = 2e9
    """Shapes that multiply more often are left out."""
    most_bytes: float = 1e9
    """Shapes whose patches need more are left out."""
    seconds: float = 0.25
    """For measuring one direction of one shape."""
    floor: float = 0.8
    """Ratios below it are measured again."""
    json: Path = Path("benchmarks/results/shapes.json")
    """Where the numbers go."""
    plot: Path = Path("benchmarks/results/shapes.png")
    """Where they are drawn."""


def cases(options: Options) -> list[Case]:
    """All shapes within the limits, in their order."""
    maps = [tuple(map(int, each.split("-"))) for each in options.maps]
    every = itertools.product(
        options.sides, maps, options.batches, options.kernels, options.strides
    )
    found = [Case(side, *pair, *rest) for side, pair, *rest in every]
    random.Random(0).shuffle(found)
    return [
        case
        for case in found
        # A step over an image of one pixel changes nothing.
        if case.side >= case.stride
        and case.products <= options.most_products
        and size(case) <= options.most_bytes
    ]


def least_seconds(found: dict[str, Any], arguments: tuple, seconds: float) -> dict[str, float]:
    """The least time of each program, run in turn; what is four times slower is not waited for."""
    least = dict.fromkeys(found, math.inf)
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 5 or (time.perf_counter() < end and rounds < 200):
        fastest = min(least.values())
        for name, run in found.items():
            # The first call may take longer.
            if least[name] > (30 if rounds == 1 else 4) * fastest and rounds:
                continue
            began = time.perf_counter()
            jax.block_until_ready(run(*arguments))
            least[name] = min(least[name], time.perf_counter() - began)
        rounds += 1
    return least


def ratio(times: dict[str, float]) -> float:
    """The best of the others over ours."""
    return min(taken for name, taken in times.items() if name != "ours") / times["ours"]


def measure(case: Case, way: str, options: Options, longer: int = 1) -> dict[str, Any]:
    """A row of the results: seconds of each form, in one direction."""
    arguments = case.arguments(options.dtype)
    found = programs(case, options.dtype, way)
    times = least_seconds(found, arguments, longer * options.seconds)
    return {**case._asdict(), "way": way, "seconds": times, "ratio": ratio(times)}


def measure_all(options: Options) -> list[dict[str, Any]]:
    """Rows of as many shapes as there is time for, those below the floor measured again."""
    every, began, rows = cases(options), time.perf_counter(), []
    limit, count = 60 * options.minutes, 0
    for case in every:
        if time.perf_counter() - began > limit:
            break
        count += 1
        for way in WAYS:
            rows.append(measure(case, way, options))
            if rows[-1]["ratio"] < options.floor:
                print(line(rows[-1]), flush=True)
    print(f"{count} of {len(every)} shapes in {(time.perf_counter() - began) / 60:.1f} minutes")
    for longer in (2, 4, 8):
        for row in sorted(rows, key=lambda row: row["ratio"]):
            # As long as it may be the noise of a busy machine.
            if row["ratio"] >= options.floor or time.perf_counter() - began > limit * 4 / 3:
                break
            case = Case(*(row[name] for name in Case._fields))
            again = measure(case, row["way"], options, longer)["seconds"]
            row["seconds"] = {name: min(row["seconds"][name], again[name]) for name in again}
            row["ratio"] = ratio(row["seconds"])
    return rows


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    case = Case(*(row[name] for name in Case._fields))
    times = ", ".join(f"{name} {1e3 * taken:.3g}" for name, taken in row["seconds"].items())
    return f"{row['ratio']:.2f}  {row['way']:7}  {case}  (ms: {times})"


def main(options: Options) -> None:
    """Measures, prints what is worst, writes the numbers and the picture."""
    rows = measure_all(options)
    print("\nThe worst, measured again where they were below the floor:")
    for row in sorted(rows, key=lambda row: row["ratio"])[:15]:
        print(line(row))
    for way in WAYS:
        found = sorted(row["ratio"] for row in rows if row["way"] == way)
        below = sum(each < options.floor for each in found)
        print(
            f"{way}: least {found[0]:.2f}, median {found[len(found) // 2]:.2f}, "
            f"{below} of {len(found)} below {options.floor}"
        )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    shown = {name: value for name, value in asdict(options).items() if name not in ("json", "plot")}
    texts = ",\n".join(json.dumps(row) for row in rows)
    options.json.write_text(f'{{"options": {json.dumps(shown)}, "rows": [\n{texts}\n]}}\n')
    draw(rows, options.floor, options.plot)
    print(f"{options.json}, {options.plot}")


if __name__ == "__main__":
    with shown_to_user():
        main(tyro.cli(Options, description=__doc__))
