import jax
import pytest

# Most of the time of small tests is spent compiling the random numbers of `init`.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(scope="session")
def init():
    """Maps (module, images) and perhaps a seed to the initial variables."""

    def make(module, x, seed=0):
        return jax.jit(module.init, compiler_options=QUICK)(jax.random.key(seed), x)

    return make
