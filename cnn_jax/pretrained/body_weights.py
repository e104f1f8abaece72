"""The weights of a net that classifies images, for the body of another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cnn_jax import models
from cnn_jax.errors import UserError
from cnn_jax.pretrained.weights import Loaded, load
from cnn_jax.recipe import Model
from cnn_jax.state import Variables

PART = "body"
"""The option that names the net, and where its parameters stand in those of the model."""


def find_body(model: Model) -> str | None:
    """The net that is the body of a recipe's model, or None where it has none."""
    body = {**models.entry(model.name).options, **model.options}.get(PART)
    return None if body is None else str(body)


def body_name(model: Model) -> str:
    """The net that is the body of a recipe's model.

    Raises:
      UserError: it has none.
    """
    body = find_body(model)
    if body is None:
        with_body = [name for name in models.names() if PART in models.entry(name).options]
        raise UserError(
            f"--init.body is for models that have a body, and {model.name} has none; these have: "
            f"{', '.join(with_body)}"
        )
    return body


def load_body(
    path: Path,
    model: Model,
    template: Variables,
    *,
    names: Path | None = None,
    matching: bool = False,
    checkpoint: str = "best",
    code: Sequence[Path] = (),
) -> Loaded:
    """The variables of a model, whose body is that of a classifier's weights.

    What the classifier has behind the last maps that are wanted is left out.

    Args:
      path: see `cnn_jax.pretrained.weights.load`.
      model: of the recipe.
      template: initial variables of the model.
      names: see `load`.
      matching: what the weights lack of the body, or have in another shape, keeps its initial
        values; otherwise that is an error.
      checkpoint: see `load`.
      code: see `load`.

    Raises:
      UserError: see `load`; or the weights lack a part of the body, or have it in another shape.
    """
    name = body_name(model)
    inner = {kind: tree[PART] for kind, tree in template.items() if PART in tree}
    loaded = load(path, name, inner, names=names, matching=True, checkpoint=checkpoint, code=code)
    report = loaded.report
    lacking = (*report.missing, *report.misshapen)
    if lacking and not matching:
        more = f", and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise UserError(
            f"{path} does not fit the body {name}: it lacks, or has in another shape, "
            f"{', '.join(lacking[:3])}{more}"
        )
    report = dataclasses.replace(
        report,
        missing=tuple(map(_in_model, report.missing)),
        misshapen=tuple(map(_in_model, report.misshapen)),
        unexpected=(),
        left_out=(*report.left_out, *report.unexpected),
        new=tuple(part for part in template["params"] if part != PART),
        matching=matching,
    )
    variables = {
        kind: {**tree, PART: loaded.variables[kind]} if kind in inner else tree
        for kind, tree in template.items()
    }
    return dataclasses.replace(loaded, variables=variables, report=report)


def _in_model(path: str) -> str:
    """A path of the body, such as `params/stem/conv/kernel`, as one of the whole model."""
    return path.replace("/", f"/{PART}/", 1)
