"""How far what is told can be trusted, as charts: reliability, or truth and told of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnn_jax.evaluation.predictions import Predictions
from cnn_jax.report.page.charts import COLOURS, Chart, table, thinned
from cnn_jax.report.reliability_picture import reliability
from cnn_jax.tasks.predicted import calibration
from cnn_jax.tasks.predicted.numbers import Numbers

_MOST = 1500
"""Points of a chart of numbers at most."""
_TENTHS = 10


def trust_charts(predictions: Predictions) -> list[Chart]:
    """A reliability diagram of probabilities; of numbers those told by those that are true."""
    told = predictions.predicted()
    if isinstance(told, Numbers):
        values = told.values()
        truth, errors = values["truth"], values["error"]
        return [
            _numbers(name, truth[:, place], truth[:, place] + errors[:, place])
            for place, name in enumerate(told.names)
        ]
    values = told.values()
    if "confidence" in values:
        return [_reliability(values["confidence"], values["right"], "what is told")]
    if "probability" in values and values["known"].any():
        known = values["known"]
        return [_reliability(values["probability"][known], values["truth"][known], "tags")]
    return []


def _reliability(confidence: np.ndarray, right: np.ndarray, unit: str) -> Chart:
    found = reliability(confidence, right)
    error = calibration.calibration_error(confidence, right, calibration.equal_width(confidence))
    apart = float(confidence.mean() - right.mean())
    tendency = "above" if apart > 0 else "below"
    values, rows = [], []
    for place, count in enumerate(found.counts.tolist()):
        if not count:
            continue
        low, high = found.edges[place], found.edges[place + 1]
        sure, true = float(found.confidence[place]), float(found.right[place])
        span = f"{low:.0%} to {high:.0%}"
        values.append(
            {"low": low, "high": high, "right": true, "confidence": sure, "count": count,
             "span": span}
        )  # fmt: skip
        rows.append((span, f"{count:,}", f"{sure:.1%}", f"{true:.1%}"))
    share = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    x = {"field": "low", **share, "axis": {"title": "confidence", "format": "~%", "tickCount": 5}}
    bar = {
        "mark": {"type": "bar", "color": COLOURS[0], "opacity": 0.85, "binSpacing": 1},
        "encoding": {
            "x": {**x, "bin": {"binned": True}},
            "x2": {"field": "high"},
            "y": {"field": "right", **share, "axis": {"title": f"part of {unit} that is right",
                                                      "format": "~%", "tickCount": 5}},
            "tooltip": [
                {"field": "span", "title": "confidence"},
                {"field": "count", "title": "how many", "format": ","},
                {"field": "confidence", "title": "mean confidence", "format": ".1%"},
                {"field": "right", "title": "right", "format": ".1%"},
            ],
        },
    }  # fmt: skip
    line = {
        "data": {"values": [{"low": 0, "right": 0}, {"low": 1, "right": 1}]},
        "mark": {"type": "line", "color": "currentColor", "strokeDash": [4, 4], "opacity": 0.6},
        "encoding": {"x": x, "y": {"field": "right", **share}},
    }
    dots = {
        "mark": {"type": "point", "filled": True, "size": 45, "color": COLOURS[1]},
        "encoding": {
            "x": {"field": "confidence", **share},
            "y": {"field": "right", **share},
        },
    }
    return Chart(
        "reliability",
        f"Calibration error {error:.2%} in 15 bins; the mean confidence is {abs(apart):.2%} "
        f"{tendency} the part that is right.",
        {"data": {"values": values}, "layer": [bar, line, dots]},
        ("confidence", "how many", "mean confidence", "right"),
        table(rows),
        "bars on the dashed line are trustworthy; below it the model is too sure of itself",
    )


def _numbers(name: str, truth: np.ndarray, told: np.ndarray) -> Chart:
    kept = thinned(len(truth), _MOST)
    values = [{"true": float(truth[place]), "told": float(told[place])} for place in kept]
    both = np.concatenate([truth, told])
    low, high = float(both.min()), float(both.max())
    domain: dict[str, Any] = {"type": "quantitative", "scale": {"domain": [low, high],
                                                                "nice": True}}  # fmt: skip
    x = {"field": "true", **domain, "axis": {"title": f"true {name}", "tickCount": 6}}
    y = {"field": "told", **domain, "axis": {"title": f"told {name}", "tickCount": 6}}
    dots = {
        "mark": {"type": "point", "filled": True, "size": 28, "opacity": 0.5, "color": COLOURS[0]},
        "encoding": {
            "x": x,
            "y": y,
            "tooltip": [
                {"field": "true", "format": ".4~g"},
                {"field": "told", "format": ".4~g"},
            ],
        },
    }
    line = {
        "data": {"values": [{"true": low, "told": low}, {"true": high, "told": high}]},
        "mark": {"type": "line", "color": "currentColor", "strokeDash": [4, 4], "opacity": 0.6},
        "encoding": {"x": x, "y": y},
    }
    errors = told - truth
    rows = []
    for part in np.array_split(np.argsort(truth, kind="stable"), min(_TENTHS, len(truth))):
        rows.append(
            (
                f"{truth[part[0]]:.4g} to {truth[part[-1]]:.4g}",
                f"{len(part):,}",
                f"{told[part].mean():.4g}",
                f"{np.abs(errors[part]).mean():.4g}",
            )
        )
    return Chart(
        f"told and true {name}",
        f"Of {len(truth):,} examples {name} is told {np.abs(errors).mean():.4g} off on average, "
        f"and {abs(errors.mean()):.4g} too {'high' if errors.mean() > 0 else 'low'}.",
        {"data": {"values": values}, "layer": [line, dots]},
        ("true", "how many", "mean of what is told", "mean error"),
        table(rows),
        "what is told right lies on the dashed line"
        + f"; {len(kept):,} of {len(truth):,} are drawn" * (len(kept) < len(truth)),
        height=320,
    )
