"""What the measured numbers come to: ratios round by round, and tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

OTHERS = {"torch": "PyTorch", "compiled": "torch.compile", "flax": "flax"}
"""What ours is compared with, and how it is called."""

TOLERANCE = 1e-4
"""How far losses of the first step and of evaluation may be apart in float32, as a part of ours."""

TOLERANCE_LATER = 1e-2
"""And those of the steps after an update: in a deep net at its start rounding alone, by the ReLUs
that it switches, moves the second loss by 1e-3 (ResNet-50)."""


class Spread(NamedTuple):
    """Numbers of several rounds."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one number."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        if self.n == 1:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} ({self.low:.3g}–{self.high:.3g})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, each round by itself: what slows the machine slows both."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest distance of two rows of losses, as a part of ours; not a number if one is not."""
    return float(np.max(np.abs(np.divide(theirs, ours) - 1)))


def same_work(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether losses of the first steps, and of evaluation, are of the same net and data."""
    distances = np.abs(np.divide(theirs, ours) - 1)
    # Written so that a loss which is no number does not pass.
    return bool(
        max(distances[0], distances[-1]) <= TOLERANCE and np.all(distances <= TOLERANCE_LATER)
    )


def apart(row: dict[str, Any]) -> dict[str, float]:
    """How far each of the others' losses are from ours, as far as both were measured."""
    losses = {
        name: found["losses"] for name, found in row["implementations"].items() if "losses" in found
    }
    if "ours" not in losses:
        return {}
    return {name: difference(losses["ours"], losses[name]) for name in losses if name != "ours"}


def disagreements(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each net in float32 whose losses tell that other work was measured."""
    return [
        f"{row['net']}: the losses of {name} are {far:.1e} from ours"
        for row in rows
        if row["dtype"] == "float32"
        for name, far in apart(row).items()
        if not same_work(*(row["implementations"][each]["losses"] for each in ("ours", name)))
    ]


def compared(row: dict[str, Any], mode: str, other: str) -> Spread | None:
    """Examples a second of ours over another's, if both were measured."""
    found = row["implementations"]
    ours, theirs = (found.get(name, {}).get(mode) for name in ("ours", other))
    return Spread.of(ratios(ours, theirs)) if ours and theirs else None


def flops(row: dict[str, Any], mode: str, name: str) -> float | None:
    """Median floating-point operations a second, counting multiply-adds alone.

    Training has three times those of evaluation: for the output and for both gradients.
    """
    rates = row["implementations"].get(name, {}).get(mode)
    if not rates:
        return None
    passes = 3 if mode == "train" else 1
    return statistics.median(rates) * passes * 2 * row["multiply_adds"]


def measured(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Those of `OTHERS` that are in some row."""
    return {
        name: called
        for name, called in OTHERS.items()
        if any(name in row["implementations"] for row in rows)
    }


def tables(results: dict[str, Any]) -> str:
    """All tables in Markdown."""
    rows = results["rows"]
    parts = [
        *(_speeds(title, mode, rows, results["matmul"]) for title, mode in _MODES),
        _loops(rows),
        _starts(rows),
        _losses(rows),
        _products(results["matmul"]),
    ]
    return "\n\n".join(part for part in parts if part)


_MODES = (("Training steps", "train"), ("Evaluation", "evaluate"))


def _speeds(title: str, mode: str, rows: list[dict[str, Any]], matmul: dict[str, Any]) -> str:
    others = measured(rows)
    lines = [
        f"{title}, examples/s; ours over the others, median (lowest–highest) of n rounds",
        "",
        _line(
            "net",
            "batch",
            "dtype",
            "ours",
            *others.values(),
            *(f"ours / {name}" for name in others.values()),
            "n",
            "GFLOP/s",
            "of a product's in float32",
        ),
        "|---|---:|---|" + "---:|" * (2 * len(others) + 4),
    ]
    for row in rows:
        cells = [_speed(row, mode, name) for name in ("ours", *others)]
        against = [compared(row, mode, other) for other in others]
        counts = [spread.n for spread in against if spread]
        rate = flops(row, mode, "ours")
        best = max((max(found) for found in matmul.get("float32", {}).values()), default=None)
        lines.append(
            _line(
                row["net"],
                f"{row['batch']}×{_size(row)}",
                row["dtype"],
                *cells,
                *(spread or "–" for spread in against),
                max(counts, default="–"),
                f"{rate / 1e9:.1f}" if rate else "–",
                f"{rate / best:.0%}" if rate and best else "–",
            )
        )
    return "\n".join(lines)


def _size(row: dict[str, Any]) -> str:
    """Of an example: a square's side, times, words or samples, frames and their side."""
    side, kind = row["side"], row.get("kind", "image")
    return {"image": f"{side}²", "clip": f"{row.get('frames')}×{side}²"}.get(kind, f"{side}")


def _speed(row: dict[str, Any], mode: str, name: str) -> str:
    found = row["implementations"].get(name)
    if found is None:
        return "–"
    if mode in found:
        return f"{statistics.median(found[mode]):.4g}"
    return found.get("why", "–")


def _loops(rows: list[dict[str, Any]]) -> str:
    lines = [
        "The whole training loop over the step alone, examples/s of ours",
        "",
        "| net | dtype | step | loop | loop / step | n |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        ours = row["implementations"].get("ours", {})
        if "loop" in ours:
            ratio = Spread.of(ratios(ours["loop"], ours["train"]))
            speeds = [f"{statistics.median(ours[mode]):.4g}" for mode in ("train", "loop")]
            lines.append(_line(row["net"], row["dtype"], *speeds, ratio, ratio.n))
    return "\n".join(lines) if len(lines) > 4 else ""


def _starts(rows: list[dict[str, Any]]) -> str:
    others = measured(rows)
    called = ("ours", *others.values())
    lines = [
        "From the command to the first step done, in s: with no compiled program stored / with "
        "it stored; and the most memory that the process held, in GB",
        "",
        _line("net", "dtype", *called, *(f"{name}, GB" for name in called)),
        "|---|---|" + "---:|" * 2 * len(called),
    ]
    for row in rows:
        found = [row["implementations"].get(name, {}) for name in ("ours", *others)]
        starts = [" / ".join(f"{one:.1f}" for one in each.get("start", [])) for each in found]
        peaks = [
            f"{each['peak_bytes'] / 1e9:.2f}" if "peak_bytes" in each else "–" for each in found
        ]
        lines.append(_line(row["net"], row["dtype"], *(s or "–" for s in starts), *peaks))
    return "\n".join(lines)


def _losses(rows: list[dict[str, Any]]) -> str:
    others = measured(rows)
    lines = [
        "Losses of the first three steps and of evaluation, and how far the others' are from "
        "ours at most",
        "",
        _line("net", "dtype", "ours", *others.values()),
        "|---|---|---|" + "---:|" * len(others),
    ]
    for row in rows:
        ours, far = row["implementations"].get("ours", {}), apart(row)
        shown = ", ".join(f"{loss:.6g}" for loss in ours.get("losses", [])) or "–"
        cells = [f"{far[name]:.1e}" if name in far else "–" for name in others]
        lines.append(_line(row["net"], row["dtype"], shown, *cells))
    return "\n".join(lines)


def _products(matmul: dict[str, Any]) -> str:
    if not matmul:
        return ""
    lines = ["A product of two square matrices, GFLOP/s", "", "| dtype | by | rate | n |"]
    lines.append("|---|---|---:|---:|")
    for dtype, found in matmul.items():
        for name, rates in found.items():
            spread = Spread.of([rate / 1e9 for rate in rates])
            lines.append(_line(dtype, {"flax": "JAX", "torch": "PyTorch"}[name], spread, spread.n))
    return "\n".join(lines)


def _line(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"
