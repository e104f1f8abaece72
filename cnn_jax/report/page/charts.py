"""Charts of a page: a specification of Vega-Lite, and the same values as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLOURS = ("#2f7fc1", "#d0640a", "#1f9a6c", "#a663cc", "#c8475f", "#8a7a12", "#1d98a8", "#7d7d7d")
"""Told apart by nearly all, and with a contrast of 3 to 1 on white and on near black."""

_HEIGHT = 240


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
      title: what it shows.
      says: the same in a sentence, for those who do not see it.
      spec: of Vega-Lite, without its size and its look.
      heads: of the table.
      rows: of the table, a text a column.
      note: what is left out or to be known.
      height: in pixels.
    """

    title: str
    says: str
    spec: Mapping[str, Any]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    height: int = _HEIGHT

    @property
    def source(self) -> str:
        """The whole specification as JSON that can stand inside a script element."""
        whole = {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "width": "container",
            "height": self.height,
            "autosize": {"type": "fit-x", "contains": "padding"},
            "background": None,
            "config": _LOOK,
            **self.spec,
        }
        return in_script(whole)


_LOOK = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": "currentColor", "domainOpacity": 0.4, "gridColor": "currentColor",
        "gridOpacity": 0.12, "labelColor": "currentColor", "labelFontSize": 12,
        "tickColor": "currentColor", "tickOpacity": 0.4, "titleColor": "currentColor",
        "titleFontSize": 12, "titleFontWeight": 400, "labelOverlap": True,
    },
    "legend": {
        "labelColor": "currentColor", "labelFontSize": 12, "titleColor": "currentColor",
        "orient": "top", "title": None, "symbolType": "stroke", "symbolStrokeWidth": 3,
        "labelLimit": 260, "columns": 3, "columnPadding": 18, "offset": 6,
    },
    "range": {"category": list(COLOURS)},
    "aria": False,
}  # fmt: skip
"""Text and lines take the colour of the page, so that they are read in the dark and on paper."""


def in_script(value: Any) -> str:
    """A value as JSON that no sign in it can end the script element of; not a number is null."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        # Six figures are more than a chart can show, and half the size.
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def thinned(count: int, most: int) -> list[int]:
    """At most so many places of a row of things, evenly spread, first and last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def table(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Rows as a `Chart` takes them."""
    return tuple(tuple(row) for row in rows)
