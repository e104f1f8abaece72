import functools
import gc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from cnn_jax import UserError, recipe
from cnn_jax.checkpoints.checkpoints import Checkpoints, SaveError
from cnn_jax.checkpoints.seal import Sealer, checksum, compiled_facts, host_checksum
from cnn_jax.devices.mesh import make_mesh, replicated
from cnn_jax.state import init_state
from cnn_jax.tasks.classification import ACCURACY, LOSS

OPTIMIZER = optax.sgd(0.1, momentum=0.9)


class Linear(nn.Module):
    classes: int = 3

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(self.classes, name="dense")(x.reshape(len(x), -1))


@functools.cache
def first(classes):
    example = jax.ShapeDtypeStruct((2, 2, 1), jnp.float32)
    make = jax.jit(lambda: init_state(1, Linear(classes), OPTIMIZER, example, average=True))
    return make()


def state(step=0, classes=3):
    return first(classes).replace(step=jnp.int32(step))


def template(like):
    whole = replicated(make_mesh())
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), like)


def save_all(checkpoints, accuracies):
    for step, accuracy in accuracies.items():
        metrics = None if accuracy is None else {"accuracy": accuracy, "loss": 1 - accuracy}
        checkpoints.save(state(step), step, {"window": [[0.1, step]]}, metrics)
    checkpoints.wait()


@pytest.fixture
def checkpoints(tmp_path):
    found = Checkpoints(
        tmp_path / "run" / "checkpoints", recipe.Checkpoints(keep_latest=2), ACCURACY
    )
    yield found
    found.close()


def test_latest_and_best_are_kept_each_by_its_own_rule(checkpoints):
    save_all(checkpoints, {1: 0.5, 2: 0.9, 3: 0.7, 4: 0.8, 5: None, 6: 0.3})
    assert checkpoints.steps() == [2, 5, 6]
    assert checkpoints.best() == 2
    assert checkpoints.latest() == 6
    assert checkpoints.metrics(2)["accuracy"] == 0.9
    assert checkpoints.metrics(5) == {}


def test_of_equally_good_ones_that_of_least_loss_then_the_latest_is_best(checkpoints):
    losses = {1: 0.2, 2: 0.1, 3: 0.1, 4: 0.3, 5: 0.4, 6: float("nan")}
    for step, loss in losses.items():
        checkpoints.save(state(step), step, {"window": []}, {"accuracy": 0.9, "loss": loss})
    checkpoints.wait()
    assert checkpoints.best() == 3
    assert checkpoints.steps() == [3, 5, 6]
    assert checkpoints.ranked() == [3, 5, 6]


@pytest.mark.parametrize(
    "name", ["lr=[0.1]", "p [2024]", "a**b", "{x}", "a?b", "new\nline", "100%#", "é", "caf\udce9"]
)
def test_a_folder_may_have_any_name(tmp_path, name):
    path = tmp_path / name / "checkpoints"
    checkpoints = Checkpoints(path, recipe.Checkpoints(keep_latest=1, keep_best=1), ACCURACY)
    save_all(checkpoints, {1: 0.5, 2: 0.9, 3: 0.7})
    assert checkpoints.steps() == [2, 3]
    checkpoints.close()
    (tmp_path / name).rename(tmp_path / "plain")
    checkpoints = Checkpoints(
        tmp_path / "plain" / "checkpoints", recipe.Checkpoints(), ACCURACY, read_only=True
    )
    restored, _ = checkpoints.restore(2, template(state()))
    jax.tree.map(np.testing.assert_array_equal, state(2), restored)
    checkpoints.close()


# Orbax reads arrays at once and leaves the reads of the others when one fails: they end with this
# error of theirs when Python collects them, which is here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_first_checkpoint_is_read_once_it_is_written(tmp_path, monkeypatch):
    """What an array needs may be missing, as where nothing was merged."""
    from orbax.checkpoint._src.serialization import ocdbt_utils

    async def nothing(*_, **__):
        pass

    monkeypatch.setattr(ocdbt_utils, "merge_ocdbt_per_process_files", nothing)
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", recipe.Checkpoints(), ACCURACY)
    with pytest.raises(SaveError, match=r"step 1 was written to .* but it cannot be read"):
        checkpoints.save(state(1), 1, {}, None)
    checkpoints.close()
    gc.collect()


def test_damaged_metrics_do_no_harm_to_the_state(tmp_path):
    path = tmp_path / "run" / "checkpoints"
    checkpoints = Checkpoints(path, recipe.Checkpoints(), ACCURACY)
    save_all(checkpoints, {1: 0.9, 2: 0.5})
    checkpoints.close()
    (path / "1" / "metrics" / "metrics").write_bytes(b"{")
    checkpoints = Checkpoints(path, recipe.Checkpoints(), ACCURACY)
    [said] = checkpoints.broken
    assert "of checkpoint 1 in" in said and "used as one that was not validated" in said
    assert checkpoints.steps() == [1, 2]
    assert checkpoints.ranked() == [2]
    jax.tree.map(
        np.testing.assert_array_equal, state(1), checkpoints.restore(1, template(state()))[0]
    )
    checkpoints.check_begins()
    checkpoints.close()
    for step in (1, 2):
        (path / str(step)).rename(path / f"{step}.broken")
    checkpoints = Checkpoints(path, recipe.Checkpoints(), ACCURACY)
    with pytest.raises(UserError, match=r"damaged ones \(1\.broken, 2\.broken\).*not begun anew"):
        checkpoints.check_begins()
    checkpoints.close()


def test_a_metric_that_is_better_when_lower(tmp_path):
    config = recipe.Checkpoints(keep_latest=1, keep_best=2)
    checkpoints = Checkpoints(tmp_path / "checkpoints", config, LOSS)
    save_all(checkpoints, {1: 0.2, 2: 0.9, 3: float("nan"), 4: 0.7})
    assert checkpoints.best() == 2
    assert checkpoints.steps() == [2, 4]
    checkpoints.close()


def test_state_and_progress_come_back_to_the_bit(checkpoints):
    saved = state(7)
    progress = {"window": [[0.1, 1 / 3]], "best": None, "seconds": 0.1 + 0.2}
    checkpoints.save(saved, 7, progress, {"accuracy": 0.5})
    restored, also = checkpoints.restore(7, template(saved))
    jax.tree.map(np.testing.assert_array_equal, saved, restored)
    assert also == progress
    assert jax.tree.structure(saved) == jax.tree.structure(restored)


def test_a_step_saved_again_with_metrics_replaces_the_first(checkpoints):
    checkpoints.save(state(3), 3, {"n": 1}, None)
    checkpoints.save(state(3), 3, {"n": 2}, {"accuracy": 0.5})
    assert checkpoints.restore(3, template(state()))[1] == {"n": 2}
    assert checkpoints.best() == 3


def test_a_kill_while_a_step_is_saved_again_loses_nothing(tmp_path):
    path = tmp_path / "checkpoints"
    checkpoints = Checkpoints(path, recipe.Checkpoints(), ACCURACY)
    checkpoints.save(state(3), 3, {"n": 1}, None)
    checkpoints.close()
    (path / "3").rename(path / "3.replaced")  # as it is between the two
    checkpoints = Checkpoints(path, recipe.Checkpoints(), ACCURACY)
    assert checkpoints.restore(3, template(state()))[1] == {"n": 1}
    checkpoints.save(state(3), 3, {"n": 2}, {"accuracy": 0.5})
    checkpoints.close()
    assert [entry.name for entry in path.iterdir()] == ["3"]


def test_a_damaged_checkpoint_is_named(checkpoints):
    save_all(checkpoints, {1: 0.5, 2: 0.6})
    for file in checkpoints.directory.glob("2/state/**/*"):
        if file.is_file():
            file.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"checkpoint 2 in .* cannot be used.*Others there: 1"):
        checkpoints.restore(2, template(state()))


def test_another_model_is_refused_with_the_differences(checkpoints):
    save_all(checkpoints, {1: 0.5})
    with pytest.raises(
        UserError, match=r"(?s)of another model.*params/dense/kernel: float32 \(4, 3\)"
    ):
        checkpoints.restore(1, template(state(classes=5)))


def test_what_is_not_there_is_named(checkpoints, tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        checkpoints.find("best")
    save_all(checkpoints, {1: None})
    with pytest.raises(UserError, match="was validated, so none is best"):
        checkpoints.find("best")
    with pytest.raises(UserError, match=r"no checkpoint '3' .* there are: best, latest, 1"):
        checkpoints.find("3")
    assert checkpoints.find("latest") == checkpoints.find("1") == 1
    with pytest.raises(UserError, match="holds no folder checkpoints"):
        Checkpoints(
            tmp_path / "empty" / "checkpoints", recipe.Checkpoints(), ACCURACY, read_only=True
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool"])
def test_a_checksum_by_the_host_is_that_of_a_device(dtype):
    """Of arrays of no, one and many parts."""
    for shape in ((), (0,), (3, 5, 7), (3, 2**15)):
        values = np.random.default_rng(0).integers(0, 200, shape).astype(jnp.dtype(dtype))
        assert host_checksum(values) == int(jax.jit(checksum)(values))


def test_the_seal_of_a_host_is_that_of_a_program():
    values = {"a": jnp.arange(9.0).reshape(3, 3), "b": jnp.array([1, np.inf]), "c": jnp.int8(3)}
    sealer = Sealer(values)
    by_host = sealer(values)
    sealer._facts = compiled_facts(values)
    assert sealer(values) == by_host
    assert by_host.wild == ["b"]
