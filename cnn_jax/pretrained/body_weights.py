"""Weights of a net that classifies, for the body of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from flax import traverse_util

from cnn_jax.errors import UserError
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.weights import Loaded, load
from cnn_jax.state import Variables

BODY = "body"
"""What a body is called in the nets that have one, see `cnn_jax.models.body`."""


def load_body(path: Path, body: str, template: Variables, **options: Any) -> Loaded:
    """The variables of a net whose body has the weights of a file; the rest is as it was.

    Args:
      path: of the weights of a whole net, see `cnn_jax.pretrained.weights.load`.
      body: the name of that net.
      template: initial values of the net that has it as its body.
      **options: of `load`.

    Raises:
      UserError: the net has no body, or the file lacks a part of it.
    """
    inner: Variables = {
        collection: each[BODY] for collection, each in template.items() if BODY in each
    }
    if not inner:
        raise UserError(f"{path} holds weights for a body, and the model has none of that name")
    loaded = load(path, body, inner, matching=True, **options)
    report = loaded.report
    if report.missing or report.misshapen:
        lines = [*(f"missing: {each}" for each in report.missing), *report.misshapen]
        raise UserError(
            f"{path} does not fit the body {body}, of which it lacks {len(lines)} arrays:\n  "
            + "\n  ".join(lines[:10])
        )
    found = {
        f"{collection}/{BODY}/{path}": value
        for collection, each in loaded.variables.items()
        for path, value in traverse_util.flatten_dict(each, sep="/").items()
    }
    every = paths(template)
    values = {path: found.get(path, value) for path, value in every.items()}
    rest = sorted({"/".join(path.split("/")[:2]) for path in every if path not in found})
    empty: Variables = {collection: {} for collection in template}
    return dataclasses.replace(
        loaded,
        variables=empty | traverse_util.unflatten_dict(values, sep="/"),
        # What follows the last map of the body is told as what is not needed.
        report=dataclasses.replace(
            report,
            new=tuple(each for each in rest if each.startswith("params/")),
            left_out=report.unexpected,
            unexpected=(),
            matching=False,
        ),
    )
