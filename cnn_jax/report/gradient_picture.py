"""Sizes of gradients and weights by layer, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.inside.gradient_norms import Checkup
from cnn_jax.report.learning_curves import figure


def draw_gradients(found: Sequence[Checkup], file: Path) -> None:
    """Draws gradients, weights and units that are never active, by layer, to a PNG file.

    Args:
      found: at some checkpoints of one run.
      file: that is written.

    Raises:
      UserError: matplotlib is not installed, or the file cannot be written.
    """
    with figure(file, 3, shared=False) as (gradients, weights, dead):
        for place, each in enumerate(found):
            shade = 0.25 + 0.75 * (place + 1) / len(found)
            style: dict[str, Any] = {"color": "#0072b2", "alpha": shade, "marker": "."}
            label = "start" if each.step == 0 else f"step {each.step:,}"
            at = np.arange(len(each.layers))
            gradients.plot(
                at, [max(one.gradient, 1e-30) for one in each.layers], label=label, **style
            )
            weights.plot(at, [one.weight for one in each.layers], **style)
            style |= {"color": "#d55e00"}
            dead.plot(np.arange(len(each.dead)), list(each.dead.values()), **style)
        for axes, title in ((gradients, "gradients"), (weights, "weights")):
            axes.set_yscale("log")
            axes.set_title(f"{title}: root mean square", fontsize=10)
            _name(axes, [one.name for one in found[-1].layers])
        gradients.legend(frameon=False, fontsize=8)
        dead.set_title("part of the units that are never active", fontsize=10)
        dead.set_ylim(-0.02, 1.02)
        _name(dead, list(found[-1].dead))


def _name(axes: Any, names: Sequence[str]) -> None:
    """Names layers below an axis; of many only some."""
    every = max(1, len(names) // 20)
    places = range(0, len(names), every)
    axes.set_xticks(list(places), [names[place] for place in places], rotation=90, fontsize=7)
