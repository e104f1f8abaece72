"""Where models of one's own found the blocks of nets before they had a room: `cnn_jax.layers`."""

from cnn_jax.layers.blocks import *  # noqa: F403
