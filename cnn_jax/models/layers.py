"""Where models of one's own found the layers of nets before they had a room: `cnn_jax.layers`."""

from cnn_jax.layers.basic import *  # noqa: F403
