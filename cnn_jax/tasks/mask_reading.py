"""From logits to masks of the images' own size, and how often each class is told for each."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cnn_jax.data.fields import VOID
from cnn_jax.data.fitting import content

_ROWS_AT_ONCE = 16


def told_classes(logits: jax.Array, sizes: jax.Array | None, shape: tuple[int, int]) -> jax.Array:
    """The class of each pixel of images at their own size.

    Logits are read bilinearly, between the centres of their pixels, and beyond the outermost as
    these; then the largest counts, of equal ones the first. Rows are read some at a time: the
    logits of all pixels at once may take more memory than there is.

    Args:
      logits: (b, h, w, k), of images that were scaled to fit h and w, see `cnn_jax.data.fitting`.
      sizes: (b, 2) int32, height and width of the images as they were; None where they were h and
        w.
      shape: height and width of what is returned, not below any of the sizes.

    Returns:
      (b, height, width) int32; beyond the size of an image it has no meaning.
    """
    if sizes is None:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    height, width = logits.shape[1:3]
    held = content(sizes, height, width)
    step = held / sizes

    def places(count: int, axis: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The two logits (b, count) next to each pixel, and the part of the second."""
        exact = (jnp.arange(count) + 0.5) * step[:, axis, None] - 0.5
        exact = jnp.clip(exact, 0, held[:, axis, None] - 1)
        first = jnp.floor(exact).astype(jnp.int32)
        return first, jnp.minimum(first + 1, held[:, axis, None] - 1), exact - first

    left, right, across = places(shape[1], 1)

    def row(one: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        """The classes (b, width) of a row, given as its two rows of logits (b,) and their parts."""
        above, below, down = one
        read = jax.vmap(lambda image, place: image[place])
        lines = (1 - down)[:, None, None] * read(logits, above)
        lines += down[:, None, None] * read(logits, below)
        pixels = (1 - across)[..., None] * read(lines, left) + across[..., None] * read(
            lines, right
        )
        return jnp.argmax(pixels, axis=-1).astype(jnp.int32)

    rows = [jnp.moveaxis(each, 1, 0) for each in places(shape[0], 0)]
    found = jax.lax.map(row, tuple(rows), batch_size=min(_ROWS_AT_ONCE, shape[0]))
    return jnp.moveaxis(found, 0, 1)


def confusion(told: jax.Array, truth: jax.Array, classes: int, counted: jax.Array) -> jax.Array:
    """How many pixels of each class are told to be of each.

    Args:
      told: (b, h, w) int.
      truth: (b, h, w) int, `VOID` where nothing is known.
      classes: how many there are, k.
      counted: (b,) bool, which examples count.

    Returns:
      (k, k) int32: rows are what is true, columns what is told.
    """

    def of_one(told: jax.Array, truth: jax.Array, counts: jax.Array) -> jax.Array:
        known = (truth < classes) & (truth != VOID) & counts
        at = jnp.where(known, truth.astype(jnp.int32) * classes + told, classes * classes)
        # What is unknown lies beyond the end, and is dropped.
        found = jnp.zeros(classes * classes, jnp.int32).at[at.ravel()].add(1, mode="drop")
        return found.reshape(classes, classes)

    return jnp.sum(jax.vmap(of_one)(told, truth, counted), axis=0)
