"""Where examples lie in the last features of a net, in two dimensions."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn_jax.errors import UserError
from cnn_jax.inside.net import Net
from cnn_jax.inside.points import Layer, layer_named, values
from cnn_jax.models.activations import LOGITS

_BATCH = 64


class Embedding(NamedTuple):
    """Examples as points.

    Attributes:
      layer: whose values they are.
      features: (n, d) of the layer.
      pca: (n, 2), the two directions in which they differ most.
      kept: the part of all variance that these two have.
      tsne: (n, 2), in which neighbours stay neighbours.
    """

    layer: str
    features: np.ndarray
    pca: np.ndarray
    kept: float
    tsne: np.ndarray


def features_of(net: Net, inputs: Any, layer: str | None = None) -> tuple[str, np.ndarray]:
    """The values (n, d) of a layer, of maps their mean over all places.

    Args:
      net: that is asked.
      inputs: prepared, a tree of arrays (n, ...).
      layer: by default the last before the one that tells the classes.

    Raises:
      UserError: there is no such layer.
    """
    known = net.layers(inputs)
    chosen = _last(known) if layer is None else layer_named(layer, known)

    @jax.jit
    def computed(variables: Any, part: Any) -> jax.Array:
        found = values(net.module, variables, part, [chosen.name])[chosen.name]
        found = found.astype(jnp.float32)
        return jnp.mean(found, tuple(range(1, found.ndim - 1))) if found.ndim > 2 else found

    count = len(jax.tree.leaves(inputs)[0])
    parts = []
    for start in range(0, count, _BATCH):
        part = jax.tree.map(lambda leaf, at=start: leaf[at : at + _BATCH], inputs)
        parts.append(np.asarray(computed(net.variables, part)))
    return chosen.name, np.concatenate(parts)


def _last(known: list[Layer]) -> Layer:
    """The last layer before the one whose values are the outputs."""
    inner = [each for each in known if each.name != LOGITS and not each.is_dropout]
    rows = [each for each in inner if len(each.shape) == 1]
    if rows and rows[-1] is inner[-1] and rows[-1].shape == known[-1].shape:
        inner = inner[:-1]
    if not inner:
        raise UserError("the net has no layer before its outputs")
    return inner[-1]


def embedded(layer: str, features: np.ndarray, seed: int = 0) -> Embedding:
    """Points for features (n, d), by principal components and by t-SNE.

    van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html, by
    scikit-learn, from the principal components.

    Raises:
      UserError: there are fewer than five examples, or all are alike.
    """
    if len(features) < 5:
        raise UserError(f"a map of {len(features)} examples shows nothing; give at least 5")
    centred = features.astype(np.float64) - features.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    if not scale[0] > 0:
        raise UserError(f"all examples have the same values at layer {layer}: no map can be drawn")
    if len(scale) < 2:
        left, scale = np.pad(left, ((0, 0), (0, 1))), np.pad(scale, (0, 1))
    pca = left[:, :2] * scale[:2]
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    init = (pca / pca[:, 0].std() * 1e-4).astype(np.float32)
    found = TSNE(perplexity=perplexity, init=init, random_state=seed)
    points = found.fit_transform(centred.astype(np.float32))
    return Embedding(layer, features, pca, float((scale[:2] ** 2).sum() / (scale**2).sum()), points)


def neighbours_alike(features: np.ndarray, labels: np.ndarray) -> float:
    """Part of the examples whose nearest other one is of the same class."""
    squares = np.sum(features.astype(np.float64) ** 2, axis=1)
    apart = squares[:, None] + squares - 2 * features.astype(np.float64) @ features.T
    np.fill_diagonal(apart, np.inf)
    return float(np.mean(labels[np.argmin(apart, axis=1)] == labels))
