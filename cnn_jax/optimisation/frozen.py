"""Parameters that training leaves as they are, found by their paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
from flax import linen as nn

from cnn_jax.errors import UserError
from cnn_jax.optimisation.paths import parameter_paths, path_name


def frozen_pattern(freeze: str | None, model: nn.Module) -> str | None:
    """The pattern of all that stays: what a recipe freezes, and what the model itself does.

    Args:
      freeze: a recipe's `optimizer.freeze`.
      model: a class of models whose parameters are not all trained has a pattern `frozen`.

    Raises:
      UserError: `freeze` is no regular expression.
    """
    patterns = [pattern for pattern in (freeze, getattr(model, "frozen", None)) if pattern]
    try:
        for pattern in patterns:
            re.compile(pattern)
        return re.compile("|".join(map(_alone, patterns))).pattern or None
    except re.error as error:
        raise UserError(
            f"--optimizer.freeze {freeze!r} is no regular expression: {error}"
        ) from None


def _alone(pattern: str) -> str:
    """A pattern as a part of another: flags at its start, such as `(?i)`, are for it alone."""
    found = re.match(r"\(\?([aiLmsux]+)\)", pattern)
    if found is None:
        return f"(?:{pattern})"
    # A line's end ends a comment, which flag x allows; without it, it would be a sign to find.
    end = "\n" if "x" in found[1] else ""
    return f"(?{found[1]}:{pattern[found.end() :]}{end})"


def check_frozen(freeze: str | None, params: Any) -> None:
    """Checks that a recipe's pattern finds some of the parameters, but not all.

    Raises:
      UserError: it does not.
    """
    if freeze is None:
        return
    names = parameter_paths(params)
    found = [name for name in names if re.search(freeze, name)]
    if not found:
        raise UserError(
            f"--optimizer.freeze {freeze!r} finds no parameter; there are: {', '.join(names)}"
        )
    if len(found) == len(names):
        raise UserError(f"--optimizer.freeze {freeze!r} leaves nothing to train")


def frozen_mask(pattern: str) -> Callable[[Any], Any]:
    """A function from parameters to a tree of booleans: which paths `pattern` is found in."""
    compiled = re.compile(pattern)

    def mask(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: compiled.search(path_name(path)) is not None, params
        )

    return mask


def stopped(params: Any, pattern: str | None) -> Any:
    """Parameters of which those that are frozen get no gradient, and cost none."""
    if pattern is None:
        return params
    return jax.tree.map(
        lambda leaf, stays: jax.lax.stop_gradient(leaf) if stays else leaf,
        params,
        frozen_mask(pattern)(params),
    )


def frozen_norms(pattern: str | None) -> AbstractContextManager[Any]:
    """Within it batch normalisations whose parameters are frozen act as in evaluation."""
    if pattern is None:
        return nullcontext()
    compiled = re.compile(pattern)

    def still(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        module = context.module
        if isinstance(module, nn.BatchNorm) and context.method_name == "__call__":
            names = ["scale"] * module.use_scale + ["bias"] * module.use_bias
            paths = ["/".join((*module.path, name)) for name in names]
            if paths and all(compiled.search(path) for path in paths):
                if module.use_running_average is None:
                    kwargs = {**kwargs, "use_running_average": True}
                else:
                    # Given as a field it cannot be given again; the module lives for one trace.
                    object.__setattr__(module, "use_running_average", True)
        return method(*args, **kwargs)

    return nn.intercept_methods(still)
