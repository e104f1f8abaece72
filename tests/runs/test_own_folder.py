"""The folder of a run that was given none."""

from pathlib import Path

import pytest

from cnn_jax import UserError, epochs, launch
from cnn_jax.run_folder import RunFolder, Taken
from cnn_jax.runs import launched
from cnn_jax.runs.own_folder import own_folder
from cnn_jax.tasks import resolved


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def begin(recipe, path):
    folder = RunFolder(Path(path))
    folder.start(recipe)
    folder.close()


def own(recipe, *, seeds=False, allow_change=False):
    base = Path("runs") / ("x-seeds" if seeds else "x")
    found = own_folder(recipe, base, members="seeds" if seeds else None, allow_change=allow_change)
    return str(found.path), found.why


@pytest.fixture
def recipes(tiny, changed):
    return [changed(tiny, {"duration": epochs(n)}) for n in range(1, 5)]


def test_a_recipe_goes_on_where_it_is_and_another_gets_a_folder_of_its_own(recipes, changed):
    first, second, third, _ = recipes
    assert own(first) == ("runs/x", "")
    begin(first, "runs/x")
    assert own(first) == ("runs/x", "")
    path, why = own(second)
    assert path == "runs/x-2"
    assert 'duration: "1 epochs" stored, "2 epochs" now' in why
    assert "goes to runs/x-2" in why
    assert not Path("runs/x-2").exists()
    begin(second, "runs/x-2")
    begin(third, "runs/x-10")
    assert own(second) == ("runs/x-2", "runs/x-2 holds this recipe: going on there")
    assert own(third)[0] == "runs/x-10"
    assert own(first) == ("runs/x", "")
    assert own(changed(first, {"seed": 7}))[0] == "runs/x-3"


def test_what_is_no_run_is_left_alone(recipes):
    Path("runs/x").mkdir(parents=True)
    assert own(recipes[0]) == ("runs/x", "")
    Path("runs/x/thesis.tex").touch()
    Path("runs/x-2").touch()
    Path("runs/x-3").mkdir()
    Path("runs/x-3/recipe.json").write_text("{}")
    Path("runs/x-4").mkdir()
    path, why = own(recipes[0])
    assert path == "runs/x-4"
    assert why.startswith("runs/x holds something else")


def test_a_change_may_be_allowed(recipes):
    begin(recipes[0], "runs/x")
    assert own(recipes[1], allow_change=True) == ("runs/x", "")
    begin(recipes[1], "runs/x-2")
    assert own(recipes[1], allow_change=True)[0] == "runs/x-2"


def test_seeds_share_a_folder_by_recipe(recipes, changed):
    first, second = recipes[:2]
    assert own(first, seeds=True)[0] == "runs/x-seeds"
    for seed in (0, 1):
        begin(changed(first, {"seed": seed}), f"runs/x-seeds/seed-{seed}")
    assert own(first, seeds=True) == ("runs/x-seeds", "")
    assert own(changed(first, {"seed": 5}), seeds=True)[0] == "runs/x-seeds"
    assert own(second, seeds=True)[0] == "runs/x-seeds-2"
    begin(second, "runs/x-seeds-2/seed-0")
    assert own(second, seeds=True)[0] == "runs/x-seeds-2"


def test_a_start_that_was_slower_takes_the_next_folder(recipes, monkeypatch, capsys):
    first, second = recipes[:2]
    tried = []

    def train(recipe, path, **_):
        tried.append(str(path))
        if len(tried) == 1:
            begin(second, path)  # another start, meanwhile
        begin(recipe, path)
        raise SystemExit

    monkeypatch.setattr(launched, "train", train)
    with pytest.raises(SystemExit):
        launch.main(first, [])
    assert tried == ["runs/tiny", "runs/tiny-2"]
    assert resolved(RunFolder(Path("runs/tiny")).recipe()) == resolved(second)
    assert resolved(RunFolder(Path("runs/tiny-2")).recipe()) == resolved(first)
    assert "this run goes to runs/tiny-2" in capsys.readouterr().out.replace("\n", " ")


def test_a_folder_that_is_given_or_in_use_is_refused(recipes, monkeypatch, capsys):
    begin(recipes[1], "runs/tiny")
    for arguments in (["--workdir", "runs/tiny", "--epochs", "1"], ["--epochs", "2"]):
        held = RunFolder(Path("runs/tiny"))
        held.start(recipes[1])
        with pytest.raises(SystemExit) as stopped:
            launch.main(recipes[0], arguments)
        held.close()
        assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert "Choose another --workdir" in told
    assert "in use by another run" in told
    with pytest.raises(Taken):
        RunFolder(Path("runs/tiny")).check(recipes[0])
    assert issubclass(Taken, UserError)
