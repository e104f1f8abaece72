"""A net of the zoo as the body of another: its maps on the way, without its head."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError, unknown
from cnn_jax.layers.listening import listening
from cnn_jax.models import registry

FEATURES = "features"
"""The last maps before the head."""

HEAD = ("embedding", "dropout", "head")
"""What nets have after them, of which there are no maps."""

LOOKED_AT = 256
"""Pixels of a side of the images for which `points` finds the strides."""

At = str | int
"""A point by its name among the activations of a net, or by its stride in pixels: the last maps
that a pixel of the image has so many times fewer of, along each side."""


class Body(nn.Module):
    """Maps of a net of the registry: (b, h, w, c) -> one (b, h', w', c') for each of `at`.

        eighths, sixteenths = Body("resnet18", at=(8, 16), name="body")(x, train=train)

    What comes after the last of them is neither computed nor has parameters. Parameters and batch
    statistics have the paths that they have in the net, so that weights of the net fit.

    Attributes:
      model: a name of the registry, of a net that takes images and classifies them.
      at: which maps.
      options: of the net.
      output_stride: no maps are smaller than an image by more than this: what goes further is
        dilated instead. None leaves the net as it is.
      dtype: what it computes in.
    """

    model: str
    at: tuple[At, ...] = (FEATURES,)
    options: Mapping[str, Any] | None = None
    output_stride: int | None = None
    dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Finds the points, and makes the net.

        Raises:
          UserError: the net has no maps there, or cannot be a body.
        """
        self.names = [_name(self.model, self.options, at) for at in self.at]
        self.net = body_net(self.model, self.options, self.output_stride, self.dtype)
        nn.share_scope(self, self.net)

    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, ...]:
        """The maps in the order of `at`.

        Raises:
          UserError: the net has no such point, or refuses the images.
        """
        wanted = set(self.names)
        found: dict[str, jax.Array] = {}
        met: list[str] = []

        def keep(name: str, value: jax.Array) -> bool:
            met.append(name)
            if name in wanted:
                found[name] = value
            return len(found) == len(wanted)

        _run(self.net, x, train, keep, deep=True)
        for name in wanted - set(found):
            parts = [each for each in met if "/" not in each and each not in HEAD]
            raise unknown(f"point of the body {self.model}:", name, parts)
        return tuple(found[name] for name in self.names)


def body_net(
    model: str,
    options: Mapping[str, Any] | None = None,
    output_stride: int | None = None,
    dtype: DTypeLike = "float32",
) -> nn.Module:
    """The net that is to be a body.

    Raises:
      UserError: it cannot be one, or an option is unknown.
    """
    entry = registry.entry(model)
    if (entry.input_kind, entry.output_kind) != ("image", "vector"):
        raise UserError(
            f"{model} cannot be a body: it is no net that classifies images; try resnet18"
        )
    chosen = dict(options or {})
    if "aux_heads" in entry.options:
        chosen.setdefault("aux_heads", False)
    if output_stride is not None:
        if not can_dilate(model):
            raise UserError(
                f"output_stride={output_stride}: {model} has no dilated form; leave it out, or "
                f"choose a body that has one, such as {', '.join(_dilating()[:3])}"
            )
        chosen["output_stride"] = output_stride
    return registry.create(model, 1, dtype=jnp.dtype(dtype).name, **chosen)


def can_dilate(model: str) -> bool:
    """Whether a net can keep its maps from becoming smaller than an output stride."""
    return "output_stride" in registry.entry(model).options


def _dilating() -> list[str]:
    found = [name for name in registry.names("image", "vector") if can_dilate(name)]
    return sorted(found, key=lambda name: (len(name), name))


def points(model: str, options: Mapping[str, Any] | None = None) -> dict[int, str]:
    """The names of a net's last maps of each stride, by the stride; nothing is computed.

    Args:
      model: see `Body`.
      options: see `Body`; strides are those of the net that is not dilated.

    Raises:
      UserError: the net has no maps, or cannot take images of 256x256 pixels.
    """
    net = body_net(model, {k: v for k, v in (options or {}).items() if k != "output_stride"})
    return dict(_points(model, net.clone(parent=None)))


@functools.cache
def _points(model: str, net: nn.Module) -> dict[int, str]:
    found: dict[int, str] = {}

    def keep(name: str, value: jax.Array) -> bool:
        if value.ndim == 4 and value.shape[1] > 1:
            halvings = round(math.log2(LOOKED_AT / value.shape[1]))
            found[2 ** max(0, halvings)] = name
        return name == FEATURES

    def trace(key: jax.Array, x: jax.Array) -> None:
        net.init(key, x, method=lambda net, x: _run(net, x, False, keep, deep=False))

    image = jax.ShapeDtypeStruct((1, LOOKED_AT, LOOKED_AT, 3), jnp.float32)
    jax.eval_shape(trace, jax.eval_shape(lambda: jax.random.key(0)), image)
    if not found:
        raise UserError(f"{model} has no maps of an image on its way; choose another body")
    return found


def _name(model: str, options: Mapping[str, Any] | None, at: At) -> str:
    if isinstance(at, str) and at != FEATURES:
        return at
    known = points(model, options)
    if at == FEATURES:
        return known[max(known)]
    if at not in known:
        raise UserError(
            f"{model} has no maps of stride {at}, but of "
            f"{', '.join(map(str, sorted(known)))}; choose another body, or other options of it"
        )
    return known[int(at)]


class _Enough(Exception):
    """All that was wanted of a net is there."""


def _run(
    net: nn.Module,
    x: jax.Array,
    train: bool,
    keep: Callable[[str, jax.Array], bool],
    *,
    deep: bool,
) -> None:
    """Applies a net until `keep`, which is told every point (name, value), says that it is enough.

    Args:
      net: bound to its variables.
      x: images.
      train: see the net.
      keep: see above.
      deep: whether it is told of what parts of parts put out.
    """
    top = len(net.path)
    seen: dict[str, int] = {}

    def told(path: tuple[str, ...], value: Any) -> None:
        if not isinstance(value, jax.Array) or (len(path) != 1 and not deep):
            return
        name = "/".join(path)
        seen[name] = call = seen.get(name, 0) + 1
        if keep(name if call == 1 else f"{name}:{call}", value):
            raise _Enough

    def layer(
        method: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        value = method(*args, **kwargs)
        path = context.module.path[top:]
        if path and context.method_name == "__call__":
            told(path, value)
        return value

    def point(module: nn.Module, name: str, value: jax.Array) -> None:
        told((*module.path[top:], name), value)

    try:
        with nn.intercept_methods(layer), listening(point):
            net(x, train=train)
    except _Enough:
        pass
