"""What the tests of models share."""

import jax
import pytest
from quick_random import quick_key


@pytest.fixture(scope="session")
def init():
    """Maps (module, images) to initial variables, by random numbers that compile quickly."""
    return lambda module, x: jax.jit(module.init)(quick_key(0), x)
