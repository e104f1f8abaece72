"""Code of a user's own in a recipe: trained with, stored, and found again from the run folder."""

import os
import py_compile
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from rich.console import Console
from tiny_task import spec

from cnn_jax import (
    Loss,
    Optimizer,
    Recipe,
    Schedule,
    UserError,
    train,
)
from cnn_jax.__main__ import main as command
from cnn_jax.code_record import code_notes, own_code
from cnn_jax.commands.command_line import added_options, parse
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.data.recipe_data import load_data
from cnn_jax.evaluation.evaluate import evaluate
from cnn_jax.json_values import from_json, read_json, to_json, write_json
from cnn_jax.launch import Launch
from cnn_jax.models import registry
from cnn_jax.own.files import digest
from cnn_jax.own.importing import imported
from cnn_jax.own.values import Place
from cnn_jax.restored import restore
from cnn_jax.run_folder import RunFolder
from cnn_jax.tasks import make_task
from cnn_jax.training.evaluator import make_model

QUIET = Console(quiet=True)
LAYERS = """
from flax import linen as nn
def wide(x, width): return nn.relu(nn.Dense(width)(x))
"""
NET = """
import jax, numpy as np, optax
from flax import linen as nn
from cnn_jax import Augment, Loss, Model, Optimizer, Recipe, steps
from own_layers import wide

class Net(nn.Module):
    num_classes: int
    width: int = 8
    act: object = nn.relu

    @nn.compact
    def __call__(self, x, *, train=False):
        x = self.act(wide(x.reshape(len(x), -1), self.width))
        return nn.Dense(self.num_classes)(x)

def focal(logits, targets, gamma=2.0):
    p = jax.nn.softmax(logits)
    return -((1 - p) ** gamma * targets * jax.nn.log_softmax(logits)).sum(-1)

def margin(logits, targets):
    return logits.max(-1) - logits.min(-1)

def darker(key, images):
    return images * jax.random.uniform(key, (len(images), 1, 1, 1))

images = np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype(np.uint8)
recipe = Recipe(
    "own",
    data=(images, images[:, 0, 0] // 86),
    augment=Augment(own=darker),
    model=Model(Net, options={"width": 4, "act": nn.tanh}),
    loss=Loss(focal, options={"gamma": 1.0}),
    optimizer=Optimizer(lambda rate: optax.chain(optax.clip(1.0), optax.sgd(rate))),
    metrics=(margin,),
    batch_size=16,
    duration=steps(4),
)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run, and the file whose code it was trained with."""
    top = tmp_path_factory.mktemp("own")
    (top / "code").mkdir()
    (top / "code" / "own_layers.py").write_text(LAYERS)
    file = top / "code" / "own_net.py"
    file.write_text(NET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(top / "cache"))
        train(read_recipe(file), top / "run", console=QUIET)
    return top


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """The same as another process finds it, in another working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained / "cache"))
    monkeypatch.setattr("cnn_jax.own.values.SESSION", "another")
    yield trained / "run"
    (trained / "code" / "own_layers.py").write_text(LAYERS)
    (trained / "code" / "own_net.py").write_text(NET)


def test_a_run_is_evaluated_from_its_folder_alone(run):
    found, summary = evaluate(run), read_json(run / "summary.json")
    for name, value in summary["test"].items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_an_own_metric_is_the_mean_over_all_examples(run, trained):
    restored = restore(run)
    module = imported(trained / "code" / "own_net.py", "own_net")
    made = make_task(restored.recipe, restored.spec)
    split = load_data(restored.recipe.data).test
    model = make_model(restored.recipe, made)
    logits = model.apply(restored.variables, made.prepared(split.images))
    expected = float(jnp.mean(module.margin(logits, None)))
    assert evaluate(run)["margin"] == pytest.approx(expected, rel=1e-5)


def test_runs_are_listed_without_their_code(run, trained, capsys):
    (trained / "code" / "own_net.py").unlink()
    command(["runs", str(run.parent)])
    assert "own_net:Net" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["own_net.py", "own_layers.py"])
def test_changed_code_is_told_and_used_only_when_asked_for(run, trained, name):
    file = trained / "code" / name
    file.write_text(file.read_text().replace("relu", "gelu"))
    with pytest.raises(UserError, match=r"has changed since; give --code .*own_net.py") as told:
        restore(run)
    assert str(run / "code" / "own_net.py") in str(told.value)
    mended = restore(run, code=[trained / "code" / "own_net.py"])
    assert mended.recipe.model.name.value.__name__ == "Net"
    then = restore(run, code=[run / "code" / "own_net.py"])
    assert then.recipe.optimizer.name.value(0.1).init({}) is not None


def test_code_that_is_gone_is_named(run, trained):
    (trained / "code" / "own_net.py").unlink()
    with pytest.raises(UserError, match=r"own_net:Net of .*own_net.py, which is gone"):
        restore(run)
    with pytest.raises(UserError, match=r"nowhere.py is not there"):
        restore(run, code=[Path("nowhere.py")])
    with pytest.raises(
        UserError, match=r"own_layers.py has nothing that .* model.name own_net:Net"
    ):
        restore(run, code=[trained / "code" / "own_layers.py"])


def test_nothing_is_imported_that_was_not_trained_with_here(run, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"not trained with it on this machine.*--code"):
        restore(run)


@pytest.mark.parametrize(
    ("module", "file"), [("os", None), ("subprocess", subprocess.__file__), ("os", os.__file__)]
)
def test_a_record_from_elsewhere_runs_nothing(tmp_path, monkeypatch, module, file):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sha256 = "" if file is None else digest(Path(file))
    name = f"{module}:getcwd"
    place = Place("loss", name, module, "getcwd", file and str(Path(file)), sha256, session="far")
    write_json(tmp_path / "recipe.json", to_json(Recipe("x", loss=name)))
    write_json(tmp_path / "code.json", {"loss.name": to_json(place)})
    stored = RunFolder(tmp_path).recipe()
    with pytest.raises(UserError, match="give --code"):
        make_task(stored, spec()).own_loss()


def test_a_record_reaches_nothing_that_a_module_only_imports(run):
    record = read_json(run / "code.json")
    forged = dict(record, **{"loss.name": dict(record["loss.name"], qualname="np.load")})
    try:
        write_json(run / "code.json", forged)
        stored = RunFolder(run).recipe()
        with pytest.raises(UserError, match="no longer gives"):
            make_task(stored, spec()).own_loss()
    finally:
        write_json(run / "code.json", record)


def test_functions_of_libraries_are_found_in_whatever_version_is_here():
    assert Recipe("x", optimizer=optax.adamw).optimizer == Optimizer("adamw")
    place = Loss(optax.softmax_cross_entropy).name.place
    assert (place.file, place.sha256, place.qualname) == (None, "", "softmax_cross_entropy")


@pytest.mark.parametrize("poisoned", ["honest_net", "honest_layers"])
def test_bytecode_that_lies_beside_a_file_is_not_run(tmp_path, poisoned):
    (tmp_path / "honest_net.py").write_text("from honest_layers import said\nmine = 'told'")
    (tmp_path / "honest_layers.py").write_text("said = 'told'")
    file = tmp_path / f"{poisoned}.py"
    text, times = file.read_text(), (1e9, 1e9)
    file.write_text(text.replace("told", "fake"))
    os.utime(file, times)
    py_compile.compile(str(file))
    file.write_text(text)
    os.utime(file, times)
    module = imported(tmp_path / "honest_net.py", "honest_net")
    assert (module.mine, module.said) == ("told", "told")


def test_the_same_recipe_made_again_is_the_same(run, trained):
    again = read_recipe(trained / "code" / "own_net.py")
    stored = read_json(run / "recipe.json")
    assert RunFolder(run).changes(again) == []
    assert "0x" not in str(stored)
    assert stored["model"]["name"] == "own_net:Net"
    assert stored["loss"]["name"] == "own_net:focal"
    assert set(own_code(RunFolder(run).recipe())) == {
        "data.name", "augment.own", "model.name", "model.options.act", "loss.name",
        "optimizer.name", "metrics.0",
    }  # fmt: skip


def test_a_run_does_not_go_on_with_other_code(run, trained):
    file = trained / "code" / "own_net.py"
    file.write_text(NET + "# another line\n")
    other = read_recipe(file)
    assert RunFolder(run).changes(other) == [f"code: {file} has changed since"]
    with pytest.raises(UserError, match="has changed since"):
        train(other, run, console=QUIET)


def test_a_flag_replaces_own_code_and_leaves_the_rest(run, trained):
    recipe = read_recipe(trained / "code" / "own_net.py")

    def given(*words):
        found = parse(Launch, default=Launch(recipe), arguments=words).recipe
        return added_options(recipe, found)

    same = given("--optimizer.learning-rate", "0.5", "--model.name", "own_net:Net")
    assert same.model.name.value.__name__ == "Net"
    assert given("--model.options", "width=2").model.options["act"].value is nn.tanh
    other = given("--model.name", "lenet5_relu", "--loss.name", "cross_entropy")
    assert set(own_code(other)) == {"data.name", "augment.own", "optimizer.name", "metrics.0"}
    assert other.metrics[0].value is recipe.metrics[0].value


def test_a_file_may_register_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "registers.py"
    file.write_text(
        NET.replace("from own_layers", "from own_layers_too")
        + "from cnn_jax.models import register\n"
        "register('own_tanh', Net, input_shape=(4, 4, 1), num_classes=3, paper='', act=nn.tanh)\n"
        "recipe = Recipe('x', model='own_tanh')\n"
    )
    (tmp_path / "own_layers_too.py").write_text(LAYERS)
    recipe = read_recipe(file)
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe)
    folder.adopt(recipe)
    folder.close()
    # As in a process that has imported nothing yet.
    monkeypatch.setattr("cnn_jax.own.values.SESSION", "another")
    monkeypatch.setattr("cnn_jax.own.importing._imported", {})
    del registry._entries["own_tanh"]
    entry = registry.entry(RunFolder(tmp_path / "run").recipe().model.name)
    assert (entry.module.__name__, entry.options["act"]) == ("Net", nn.tanh)
    with pytest.raises(UserError, match="unknown model 'own_tanh'"):
        del registry._entries["own_tanh"]
        registry.entry("own_tanh")


def test_a_script_that_trains_without_a_guard_is_read_up_to_there(tmp_path):
    file = tmp_path / "flat.py"
    file.write_text(
        "import cnn_jax\nbefore = 1\n"
        "cnn_jax.train(cnn_jax.Recipe('x'), __import__('pathlib').Path('never'))\nafter = 1\n"
    )
    module = imported(file, "flat")
    assert module.before == 1
    assert not hasattr(module, "after")


def test_projects_with_files_of_the_same_names_are_kept_apart(tmp_path):
    for project in ("one", "two"):
        (tmp_path / project / "lab").mkdir(parents=True)
        (tmp_path / project / "lab" / "parts.py").write_text(f"said = {project!r}")
        (tmp_path / project / "lab" / "net.py").write_text("from .parts import said")
        (tmp_path / project / "net.py").write_text("from lab.net import said")
    found = [
        imported(tmp_path / project / file, module).said
        for file, module in (("net.py", "net"), ("lab/net.py", "lab.net"))
        for project in ("one", "two")
    ]
    assert found == ["one", "two", "one", "two"]


def test_a_file_that_is_edited_after_it_was_imported_is_told(tmp_path):
    file = tmp_path / "edited.py"
    file.write_text("def loss(x, y): return x[:, 0]")
    function = imported(file, "edited").loss
    assert not code_notes(Recipe("x", loss=function))
    file.write_text("def loss(x, y): return 2 * x[:, 0]")
    (line,) = code_notes(Recipe("x", loss=function))
    assert line.startswith(f"{file} was edited after this program had imported it")


def test_functions_are_told_apart_by_what_they_hold():
    def made(momentum, weights):
        return Optimizer(lambda rate: optax.sgd(rate, momentum * weights.sum()))

    names = {made(m, np.array(w)).name for m in (0.5, 0.9) for w in ([1.0], [2.0])}
    assert len(names) == 4
    assert made(0.5, np.array([1.0])) == made(0.5, np.array([1.0]))
    with pytest.raises(UserError, match="holds a object, which cannot be written down"):
        made(object(), np.array([1.0]))
    schedule = Schedule(optax.cosine_decay_schedule(0.1, 100)).own
    assert "decay_steps=100" in schedule
    assert schedule == Schedule(optax.cosine_decay_schedule(0.1, 100)).own


def test_what_no_import_gives_is_said_once():
    inside = Recipe("x", optimizer=lambda rate: optax.sgd(rate), data=(np.zeros(3), np.zeros(3)))
    code, data = code_notes(inside)
    assert code.startswith("optimizer.name test_own_code:test_what")
    assert "--code FILE" in code
    assert "--dataset" in data
    session: dict = {"__name__": "__main__"}
    source = "def f(x, y): return x[:, 0]\nfrom cnn_jax import Loss\nloss = Loss(f)"
    exec(compile(source, "<stdin>", "exec"), session)
    assert (session["loss"].name, session["loss"].name.place.file) == ("__main__:f", None)


def test_what_was_typed_is_found_in_its_session_only(tmp_path, monkeypatch):
    session: dict = {"__name__": "__main__"}
    exec(compile("def f(x, y): return x[:, 0]", "<stdin>", "exec"), session)
    recipe = Recipe("x", loss=session["f"])
    folder = RunFolder(tmp_path / "run")
    folder.start(recipe)
    folder.close()
    assert RunFolder(tmp_path / "run").recipe().loss.name.value is session["f"]
    monkeypatch.setattr("cnn_jax.own.values.SESSION", "another")
    stored = RunFolder(tmp_path / "run").recipe()
    with pytest.raises(UserError, match="typed into a session that has ended; give --code FILE"):
        make_task(stored, spec()).own_loss()
    file = tmp_path / "later.py"
    file.write_text("def f(x, y): return 2 * x[:, 0]")
    assert RunFolder(tmp_path / "run").recipe([file]).loss.name.value(np.ones((1, 1)), None) == 2


def test_own_names_without_their_code_say_so():
    with pytest.raises(UserError, match="unknown model 'own_net:Net'"):
        registry.entry(from_json(to_json(Recipe("x", model="own_net:Net")), Recipe, "").model.name)
