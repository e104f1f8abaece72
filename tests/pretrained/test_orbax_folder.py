"""Checkpoints that other programs write with Orbax."""

import json

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
import toy
from flax.training.train_state import TrainState

from cnn_jax.errors import UserError
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.orbax_folder import is_orbax, read_orbax
from cnn_jax.pretrained.weights import load


class Theirs(TrainState):
    batch_stats: dict


@pytest.fixture(scope="module")
def variables():
    """The toy's, all at numbers of their own."""
    draw = np.random.default_rng(0).random
    return jax.tree.map(lambda leaf: draw(leaf.shape, np.float32), toy.initial())


@pytest.fixture(scope="module")
def state(variables):
    return Theirs.create(apply_fn=None, tx=optax.adam(1e-3), **variables)


def written(path, tree, **options):
    with ocp.PyTreeCheckpointer(**options) as checkpointer:
        checkpointer.save(path, tree)
    return path


def managed(path, **items):
    with ocp.CheckpointManager(path) as manager:
        manager.save(7, args=ocp.args.Composite(**items))
    return path / "7"


def assert_loads(path, variables, **options):
    loaded = load(path, "toy", toy.initial(), **options)
    assert jax.tree.structure(loaded.variables) == jax.tree.structure(toy.initial())
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded.variables, variables))
    assert (loaded.sha256, loaded.step) == (None, None)
    return loaded


def test_a_train_state_gives_its_params_and_statistics(tmp_path, state, variables):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
    loaded = assert_loads(tmp_path / "state", variables)
    assert sorted(loaded.report.left_out) == ["opt_state (25 arrays)", "step"]
    assert "14 arrays loaded, 2 not needed: " in str(loaded.report)


@pytest.mark.parametrize(
    ("place", "left"),
    [
        (lambda v: v, set()),
        (lambda v: {"model": v, "config": {"name": "x", "rate": 0.1}}, {"config (2 arrays)"}),
        (lambda v: {"params": v, "step": 3}, {"step"}),
        (lambda v: {"params": {"params": v["params"]}, "batch_stats": v["batch_stats"]}, set()),
        (
            lambda v: {
                "target": {"params": v["params"]},
                "model_state": {"batch_stats": v["batch_stats"], "cache": np.ones(2)},
            },
            {"model_state/cache"},
        ),
    ],
)
def test_finds_them_in_trees_of_many_kinds(tmp_path, variables, place, left):
    path = written(tmp_path / "tree", place(variables), use_ocdbt=bool(left))
    assert set(assert_loads(path, variables).report.left_out) == left


def test_the_whole_tree_may_be_the_params(tmp_path, variables):
    path = written(tmp_path / "tree", variables["params"])
    loaded = load(path, "toy", toy.initial(), matching=True)
    assert loaded.report.loaded == len(jax.tree.leaves(variables["params"]))
    assert loaded.report.missing == ("batch_stats/norm/mean", "batch_stats/norm/var")
    np.testing.assert_array_equal(loaded.variables["params"]["gamma"], variables["params"]["gamma"])


def test_a_step_of_a_manager(tmp_path, state, variables):
    step = managed(
        tmp_path / "a", state=ocp.args.StandardSave(state), config=ocp.args.JsonSave({"a": 1})
    )
    left = assert_loads(step, variables).report.left_out
    assert set(left) == {"state/opt_state (25 arrays)", "state/step"}
    with pytest.raises(UserError, match=r"a holds several checkpoints of Orbax; .* them: 7$"):
        load(tmp_path / "a", "toy", toy.initial())
    apart = {name: ocp.args.StandardSave(value) for name, value in variables.items()}
    assert_loads(managed(tmp_path / "b", **apart), variables)
    whole = managed(tmp_path / "c", default=ocp.args.StandardSave(variables["params"]))
    assert read_orbax(whole).tensors.keys() == {
        name for name in paths(variables) if name.startswith("params/")
    }


def test_only_what_is_needed_is_read(tmp_path, state, variables):
    path = written(tmp_path / "tree", state, use_ocdbt=False)
    for number in path.glob("opt_state.*/0*"):
        number.write_bytes(b"no numbers")
    assert_loads(path, variables)


def test_a_table_of_names(tmp_path, variables):
    params, statistics = dict(variables["params"]), variables["batch_stats"]
    params = {f"net_{name}": value for name, value in params.items()}
    theirs = {"params": params, "batch_stats": {"net_norm": statistics["norm"]}}
    path = written(tmp_path / "tree", theirs)
    with pytest.raises(UserError, match="unknown to the model"):
        load(path, "toy", toy.initial())
    (tmp_path / "names.json").write_text('{"names": [["net_(.*)", "\\\\1"]]}')
    assert_loads(path, variables, names=tmp_path / "names.json")
    (tmp_path / "names.json").write_text('{"names": [["net_.*", "conv"]]}')
    with pytest.raises(UserError, match="are both params/conv/kernel"):
        load(path, "toy", toy.initial(), names=tmp_path / "names.json")


def test_bfloat16_becomes_float32(tmp_path, variables):
    half = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, "bfloat16"), variables)
    tensors = read_orbax(written(tmp_path / "tree", half)).tensors
    assert {array.dtype for array in tensors.values()} == {np.dtype("float32")}
    assert_loads(tmp_path / "tree", jax.tree.map(lambda leaf: leaf.astype("float32"), half))


def test_says_what_is_wrong_with_a_folder(tmp_path, variables):
    two = {"a": {"params": variables["params"]}, "b": {"params": variables["params"]}}
    with pytest.raises(UserError, match=r"two holds params more than once: a/params, b/params"):
        read_orbax(written(tmp_path / "two", two))
    with pytest.raises(UserError, match=r"texts holds no arrays for a model: it has name, step"):
        read_orbax(written(tmp_path / "texts", {"name": "x", "step": 1}))
    step = managed(tmp_path / "json", config=ocp.args.JsonSave({"a": 1}))
    with pytest.raises(UserError, match=r"without a tree of arrays: it holds .*config"):
        read_orbax(step)
    step = managed(
        tmp_path / "both", a=ocp.args.StandardSave(variables), b=ocp.args.StandardSave(variables)
    )
    with pytest.raises(UserError, match="params more than once: a/params, b/params"):
        read_orbax(step)
    (tmp_path / "other" / "inside").mkdir(parents=True)
    assert not is_orbax(tmp_path / "other")
    with pytest.raises(UserError, match=r"other is no run folder: .* Orbax: .* It holds inside$"):
        load(tmp_path / "other", "toy", toy.initial())


@pytest.mark.parametrize("damage", ["text", "tree", "arrays"])
def test_a_damaged_folder_is_an_error_that_names_it(tmp_path, variables, damage):
    path = written(tmp_path / "tree", variables, use_ocdbt=damage != "arrays")
    if damage == "text":
        (path / "_METADATA").write_text('{"tree')
    elif damage == "tree":
        for file in (path / "d").iterdir():
            file.write_bytes(b"")
    else:
        (path / "params.gamma" / "0").write_bytes(b"no numbers")
    with pytest.raises(UserError, match="tree is damaged, or no checkpoint of Orbax"):
        read_orbax(path)


def test_shapes_that_no_memory_holds_are_refused_before_they_are_read(tmp_path, variables):
    # TensorStore would end the process.
    path = written(tmp_path / "tree", variables, use_ocdbt=False)
    file = path / "params.gamma" / ".zarray"
    text = json.loads(file.read_text())
    file.write_text(json.dumps(text | {"shape": [2**41], "chunks": [2**41]}))
    with pytest.raises(UserError, match=r"tree says that its arrays take 8,796\.1 GB, more than"):
        read_orbax(path)
