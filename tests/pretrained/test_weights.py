import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy
from torch_writer import Storages, write_zip

from cnn_jax import Data, Model, Preprocess, Recipe, steps
from cnn_jax.errors import UserError
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.names import import_weights
from cnn_jax.pretrained.naming import best_naming, namings
from cnn_jax.pretrained.safetensors_file import read_safetensors, write_safetensors
from cnn_jax.pretrained.weights import export, load
from cnn_jax.restored import restore
from cnn_jax.runs.run import train
from cnn_jax.state import init_state, with_variables


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert jax.tree.all(jax.tree.map(np.array_equal, a, b))


@pytest.fixture(scope="module")
def variables():
    """The toy's variables with the weights of the state dict."""
    return import_weights(toy.state_dict(), toy.initial(), toy.TORCH_NAMES, toy.TORCH_FLATTENED)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of the toy, trained for four steps on digits of 6 pixels."""
    folder = tmp_path_factory.mktemp("run") / "toy"
    recipe = Recipe(
        name="toy",
        data=Data("digits", validation=200),
        preprocess=Preprocess(size=6),
        model=Model("toy"),
        batch_size=64,
        duration=steps(4),
        validate_every=steps(2),
        ema=0.5,
    )
    train(recipe, folder)
    return folder


def saved(path, tensors):
    if path.suffix == ".safetensors":
        write_safetensors(path, tensors)
        return path
    storages = Storages()
    value = {name: storages.tensor(array) for name, array in tensors.items()}
    return write_zip(path, value, storages)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin", ".safetensors"])
def test_loads_a_file_of_torchvision_names(tmp_path, variables, suffix):
    path = saved(tmp_path / f"net{suffix}", toy.state_dict())
    loaded = load(path, "toy", toy.initial())
    assert_same(loaded.variables, variables)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def timm():
    renamed = {
        "stem.0": "conv_stem", "stem.1": "bn1", "blocks.0.grouped": "blocks.0.0.grouped",
        "blocks.0.layer_norm": "blocks.0.0.layer_norm", "classifier.1": "fc1",
        "classifier.3": "head.fc",
    }  # fmt: skip
    found = {}
    for name, array in toy.state_dict().items():
        module, _, leaf = name.rpartition(".")
        found["gamma" if leaf == "layer_scale" else f"{renamed[module]}.{leaf}"] = array
    return found


def test_recognises_the_naming(tmp_path, variables):
    path = saved(tmp_path / "net.pth", timm())
    assert_same(load(path, "toy", toy.initial()).variables, variables)
    wanted = paths(toy.initial())
    assert best_naming("toy", timm(), wanted, "x").names == toy.TIMM_NAMES
    assert best_naming("toy", toy.state_dict(), wanted, "x").names == toy.TORCH_NAMES


def test_loads_our_own_names(tmp_path, variables):
    path = saved(tmp_path / "net.safetensors", paths(variables))
    assert_same(load(path, "toy", toy.initial()).variables, variables)
    some = paths(variables)
    del some["params/gamma"]
    with pytest.raises(UserError, match=r"missing in it \(1\):\n    params/gamma"):
        load(saved(tmp_path / "some.pth", some), "toy", toy.initial())


def test_loads_a_naming_of_the_users(tmp_path, variables):
    theirs = {f"x.{name}": array for name, array in toy.state_dict().items()}
    path = saved(tmp_path / "net.pth", theirs)
    with pytest.raises(UserError, match=r"names its arrays unlike any toy .*: x\.stem\.0\.weight,"):
        load(path, "toy", toy.initial())
    table = tmp_path / "names.json"
    rows = [[rf"x\.{pattern}", path] for pattern, path in toy.TORCH_NAMES]
    table.write_text(json.dumps({"names": rows, "flattened": {"hidden": [6, 3, 3]}}))
    assert_same(load(path, "toy", toy.initial(), names=table).variables, variables)
    table.write_text(json.dumps({"rows": rows}))
    with pytest.raises(UserError, match=r"names\.json is no table of names"):
        load(path, "toy", toy.initial(), names=table)


def test_a_model_without_known_names(tmp_path):
    path = saved(tmp_path / "net.pth", toy.state_dict())
    with pytest.raises(UserError, match="no other naming of lenet5 is known"):
        load(path, "lenet5", toy.initial())


def test_refuses_what_is_neither_run_nor_file(tmp_path):
    with pytest.raises(UserError, match=r"net\.h5 is neither a run folder nor one of"):
        load(tmp_path / "net.h5", "toy", toy.initial())
    with pytest.raises(UserError, match=r"net\.pth cannot be read: No such file"):
        load(tmp_path / "net.pth", "toy", toy.initial())
    with pytest.raises(UserError, match="is no run folder"):
        load(tmp_path, "toy", toy.initial())


def grey(num_classes=10):
    return toy.initial(num_classes, channels=1)


def test_loads_a_run(run):
    loaded = load(run, "toy", grey())
    best = restore(run, "best")
    assert_same(loaded.variables, jax.tree.map(np.asarray, best.variables))
    assert loaded.sha256 is None
    first = load(run, "toy", grey(), checkpoint="2").variables["params"]["head"]["bias"]
    last = load(run, "toy", grey(), checkpoint="4").variables["params"]["head"]["bias"]
    assert not np.array_equal(first, last)
    with pytest.raises(UserError, match="no checkpoint '3'"):
        load(run, "toy", grey(), checkpoint="3")


def test_loads_a_run_with_a_new_head(run):
    with pytest.raises(UserError, match="Only the head differs"):
        load(run, "toy", grey(3))
    template = grey(3)
    found = load(run, "toy", template, new_head=True).variables["params"]
    np.testing.assert_array_equal(found["head"]["kernel"], template["params"]["head"]["kernel"])
    np.testing.assert_array_equal(
        found["conv"]["kernel"], restore(run).variables["params"]["conv"]["kernel"]
    )


def test_exported_run_is_loaded_exactly(run, tmp_path):
    path = tmp_path / "toy.safetensors"
    written = export(run, path)
    assert (written.file, written.arrays, written.names) == (path, 14, "PyTorch")
    tensors = read_safetensors(path)
    assert tensors.keys() == toy.SHAPES.keys() - {"stem.1.num_batches_tracked"}
    assert tensors["classifier.3.weight"].shape == (10, 5)
    assert_same(load(path, "toy", grey()).variables, load(run, "toy", grey()).variables)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert metadata["format"] == "pt"
    assert json.loads(metadata["model"])["name"] == "toy"
    assert json.loads(metadata["class_names"]) == [str(digit) for digit in range(10)]


def test_export_of_a_family_without_other_names_keeps_ours(run, tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_jax.pretrained.weights.namings", lambda model: [])
    path = tmp_path / "toy.safetensors"
    assert export(run, path).names == "cnn_jax"
    assert read_safetensors(path).keys() == paths(grey()).keys()
    assert_same(load(path, "toy", grey()).variables, load(run, "toy", grey()).variables)


@pytest.mark.parametrize("average", [False, True])
def test_a_state_with_weights_is_as_if_it_had_been_initialised_with_them(variables, average):
    # Its slow copy of the parameters makes lookahead-like optimizers begin at the weights.
    optimizer = optax.chain(optax.trace(0.9), keeps_parameters())
    state = init_state(
        np.uint32(5),
        toy.Toy(4),
        optimizer,
        jax.ShapeDtypeStruct((6, 6, 3), jnp.float32),
        average=average,
    )
    found = with_variables(state, variables, optimizer)
    assert_same(found.variables, variables)
    assert_same(found.evaluated, variables)
    assert_same(found.opt_state[1], variables["params"])
    assert jax.tree.structure(found) == jax.tree.structure(state)
    assert (int(found.step), int(found.seed)) == (0, 5)
    assert (found.averages is None) == (not average)
    shardings = jax.tree.map(lambda a, b: a.sharding == b.sharding, found, state)
    assert jax.tree.all(shardings)


def keeps_parameters():
    return optax.GradientTransformation(lambda params: params, lambda u, s, p=None: (u, s))


def test_giving_up_a_state_leaves_the_weights_as_they_are(variables):
    optimizer = optax.sgd(0.1)
    state = init_state(
        np.uint32(5), toy.Toy(4), optimizer, jax.ShapeDtypeStruct((6, 6, 3), jnp.float32)
    )
    before = jax.tree.map(np.copy, variables)
    step = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
    step(step(with_variables(state, variables, optimizer)))
    assert_same(variables, before)


def test_namings_of_a_family_of_several_tables(monkeypatch):
    found = namings("toy")
    assert [naming.names for naming in found] == [toy.TORCH_NAMES, toy.TIMM_NAMES]
    assert found[1].flattened == {"hidden": (6, 3, 3)}
    assert found[1].optional == (r"aux\..*",)
    monkeypatch.setattr(toy, "TORCH_NAMES", {"toy": (("a", "b"),), "other": ()})
    assert namings("toy")[0].names == (("a", "b"),)
    monkeypatch.setattr(toy, "TORCH_NAMES", {"other": ()})
    assert [naming.names for naming in namings("toy")] == [toy.TIMM_NAMES]
    with pytest.raises(UserError, match="unknown model 'tox'"):
        namings("tox")


def partial():
    """Weights of which some are missing, some unknown and one is of another shape."""
    weights = toy.state_dict()
    del weights["stem.1.running_var"], weights["classifier.3.bias"]
    weights["layer9.weight"] = np.zeros(4)
    weights["blocks.0.grouped.weight"] = np.zeros((6, 2, 1, 3))
    return weights


@pytest.mark.parametrize("ours", [False, True])
def test_only_what_matches_is_taken_if_that_is_asked(tmp_path, variables, ours):
    tensors = partial()
    if ours:
        tensors = paths(variables) | {"layer9.weight": np.zeros(4)}
        del tensors["batch_stats/norm/var"], tensors["params/head/bias"]
        tensors["params/grouped/kernel"] = np.zeros((1, 3, 2, 6), np.float32)
    path = saved(tmp_path / "net.safetensors", tensors)
    with pytest.raises(UserError, match="does not fit the model"):
        load(path, "toy", toy.initial())
    template = toy.initial()
    loaded = load(path, "toy", template, matching=True)
    found, wanted, initial = paths(loaded.variables), paths(variables), paths(template)
    kept = {"params/head/bias", "batch_stats/norm/var", "params/grouped/kernel"}
    assert jax.tree.structure(loaded.variables) == jax.tree.structure(template)
    for name, value in found.items():
        np.testing.assert_array_equal(value, (initial if name in kept else wanted)[name])
    name = "params/grouped/kernel" if ours else "blocks.0.grouped.weight"
    shapes = f"(1, 3, 2, 6) in {path} ({name}), (3, 1, 2, 6) in the model"
    numbers = sum(wanted[name].size for name in wanted.keys() - kept)
    origin = loaded.origin()
    assert (origin["loaded"], origin["numbers"]) == (11, numbers)
    assert origin["missing"] == ["params/head/bias", "batch_stats/norm/var"]
    assert origin["unexpected"] == ["layer9.weight"]
    assert origin["misshapen"] == [f"params/grouped/kernel: {shapes}"]
    assert str(loaded.report) == (
        f"11 arrays of {numbers} numbers loaded\n"
        "  missing in it (2):\n"
        "    params/head/bias\n"
        "    batch_stats/norm/var\n"
        "  unknown to the model (1):\n"
        "    layer9.weight\n"
        "  of another shape (1):\n"
        f"    params/grouped/kernel: {shapes}"
    )


def test_a_file_of_which_nothing_matches_is_an_error(tmp_path):
    path = saved(tmp_path / "net.safetensors", {"params/gamma": np.zeros(7), "x": np.zeros(1)})
    with pytest.raises(UserError) as error:
        load(path, "toy", toy.initial(), matching=True)
    assert str(error.value).startswith(
        f"nothing in {path} matches the model:\n  missing in it (13)"
    )
    assert "  unknown to the model (1):\n    x\n" in str(error.value)
    assert "    params/gamma: (7,) in " in str(error.value)
    path = saved(tmp_path / "other.safetensors", {"x": np.zeros(1)})
    with pytest.raises(UserError, match=r"unlike any toy .*: x\. The model has params/"):
        load(path, "toy", toy.initial(), matching=True)
