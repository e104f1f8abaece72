"""Many recipes tried, sharing what they can, resumable, and chosen by validation."""

import json
import math
import re
import shutil
import signal

import numpy as np
import pytest

from cnn_jax import UserError
from cnn_jax.__main__ import main
from cnn_jax.commands.swept_fields import full_name, with_fields
from cnn_jax.commands.swept_trials import read_space
from cnn_jax.json_values import to_json, write_json
from cnn_jax.run_folder import RunFolder
from cnn_jax.runs import sweep as sweeping
from cnn_jax.runs.search_space import Range, all_of, drawn, parse_lists, parse_space
from cnn_jax.runs.sweep_record import Outcome, ranked
from cnn_jax.runs.trial_folder import Request, TrialFolder
from cnn_jax.tasks import resolved
from cnn_jax.training.compiled_steps import PartitionedStep


@pytest.fixture(scope="module")
def counted():
    """How often a training step was compiled."""
    found, plain = [], PartitionedStep.__call__

    def count(self, *given):
        found.append(self)
        return plain(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartitionedStep, "__call__", count)
        yield found


@pytest.fixture(scope="module")
def swept(tiny, changed, tmp_path_factory, counted):
    """A folder with the recipe's file and the sweep `sw`, and what the command has printed."""
    top = tmp_path_factory.mktemp("swept")
    recipe = changed(tiny, {"augment.mirror": "none", "model.options": {"widths": (4,)}})
    write_json(top / "tiny.json", to_json(resolved(recipe)))
    return top


def run(top, capsys, *words):
    before = ["sweep", str(top / "tiny.json"), "--workdir", str(top / "sw"), "--json"]
    main([*before, *words])
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def grid(swept, counted, capsys):
    """What the command prints of a grid of learning rates, the last of which diverges."""
    found = run(swept, capsys, "--grid", "lr=1e-9,0.2,1e9", "--plot", str(swept / "sw.png"))
    return swept, found


def test_trials_are_ordinary_runs_that_share_one_compilation(grid, counted):
    top, found = grid
    assert len(counted) == 1
    assert found["metric"] == "accuracy"
    states = {each["values"]["optimizer.learning_rate"]: each["state"] for each in found["trials"]}
    assert states["1e-9"] == states["0.2"] == "finished"
    assert states["1e9"].startswith("failed: ") or states["1e9"] == "finished"
    chosen = found["chosen"]
    assert chosen["folder"] == "learning_rate=0.2" == found["trials"][0]["folder"]
    summary = RunFolder(top / "sw" / "learning_rate=0.2").summary()
    assert chosen["mean"] == summary["best"]["accuracy"]
    assert chosen["test"] == [summary["test"]["accuracy"]]
    assert summary["recipe"]["optimizer"]["learning_rate"] == 0.2
    # With next to no learning rate nothing is learnt: the rate is each trial's own.
    idle = RunFolder(top / "sw" / "learning_rate=1e-9").summary()
    assert idle["best"]["accuracy"] < summary["best"]["accuracy"]
    assert (top / "sw.png").read_bytes()[:4] == b"\x89PNG"


def test_a_sweep_goes_on_where_it_was_stopped(grid, counted, capsys):
    top, found = grid
    before, count = {}, len(counted)
    for folder in ("learning_rate=1e-9", "learning_rate=0.2"):
        before[folder] = (top / "sw" / folder / "metrics.jsonl").read_text()
    kept = top / "sw" / "learning_rate=1e-9" / "summary.json"
    stamp = kept.stat().st_mtime_ns
    shutil.rmtree(top / "sw" / "learning_rate=0.2")
    again = run(top, capsys, "--grid", "lr=1e-9,0.2,1e9")
    assert again["trials"] == found["trials"]
    assert kept.stat().st_mtime_ns == stamp
    # Bit for bit, though another trial came first this time.
    for folder, text in before.items():
        now = (top / "sw" / folder / "metrics.jsonl").read_text()
        assert _numbers(now) == _numbers(text)
    assert len(counted) == count + 1


def _numbers(text):
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def test_the_rate_that_a_step_is_given_does_what_one_built_in_does(grid, tiny):
    from cnn_jax import train

    top, _ = grid
    folder = RunFolder(top / "sw" / "learning_rate=0.2")
    plain = train(folder.recipe(), top / "plain")
    for name in ("accuracy", "nll"):
        assert plain["test"][name] == pytest.approx(folder.summary()["test"][name], rel=1e-3)


def test_a_place_that_a_later_trial_cannot_have_is_said_before_the_first(grid, capsys):
    top, _ = grid
    with pytest.raises(SystemExit):
        run(top, capsys, "--grid", "lr=0.3,0.2", "--set", "batch_size=4")
    assert "batch_size" in capsys.readouterr().err
    (top / "sw" / "learning_rate=0.4").write_text("")
    with pytest.raises(SystemExit):
        run(top, capsys, "--grid", "lr=0.3,0.4")
    assert "learning_rate=0.4 is a file" in capsys.readouterr().err
    (top / "sw" / "learning_rate=0.4").unlink()
    assert not (top / "sw" / "learning_rate=0.3").exists()


def test_only_the_runs_of_the_mean_are_shown_of_the_best(grid, capsys):
    top, _ = grid
    shutil.copytree(top / "sw" / "learning_rate=0.2", top / "sw" / "learning_rate=0.2" / "seed-0")
    again = run(top, capsys, "--grid", "lr=1e-9,0.2,1e9")
    assert len(again["chosen"]["test"]) == 1
    shutil.rmtree(top / "sw" / "learning_rate=0.2" / "seed-0")


def test_a_picture_that_cannot_be_written_does_not_hide_the_table(grid, capsys):
    top, found = grid
    words = ["sweep", str(top / "tiny.json"), "--workdir", str(top / "sw"), "--json"]
    with pytest.raises(SystemExit):
        main([*words, "--grid", "lr=1e-9,0.2,1e9", "--plot", str(top / "tiny.json" / "a.png")])
    said = capsys.readouterr()
    assert json.loads(said.out)["chosen"] == found["chosen"]
    assert "cannot be written" in said.err


def test_a_trial_in_a_process_of_its_own_does_what_one_in_turn_does(grid, capsys):
    top, found = grid
    name, now = "learning_rate=0.2", signal.getsignal(signal.SIGUSR2)
    recipe = RunFolder(top / "sw" / name).recipe()
    folder = TrialFolder(top / "alone" / "trials" / name)
    values = {"optimizer.learning_rate": "0.2"}
    folder.write(Request(recipe, values, devices=1))
    try:
        main(["sweep-trial", str(folder.path)])
    finally:
        signal.signal(signal.SIGUSR2, now)
    assert folder.outcome()._asdict() == found["trials"][0]
    told = [_numbers((top / each / name / "metrics.jsonl").read_text()) for each in ("sw", "alone")]
    assert told[0] == told[1]
    assert not folder.changes(Request(recipe, values, devices=1))
    assert folder.changes(Request(recipe, values)) == ["devices: 1 stored, null now"]
    folder.write(Request(recipe, values, devices=2))
    assert folder.outcome() is None
    with pytest.raises(SystemExit):
        main(["sweep-trial", str(folder.path)])
    said = capsys.readouterr().err
    assert "--devices-per-trial 2: the process of a trial sees 1 (cpu)" in said
    assert "not of this command" not in said


def test_a_sweep_without_validation_is_refused(swept, tmp_path, capsys):
    words = ["sweep", str(swept / "tiny.json"), "--grid", "lr=0.1", "--set", "data.validation=0"]
    with pytest.raises(SystemExit):
        main([*words, "--workdir", str(tmp_path / "none")])
    assert "a sweep chooses by validation, and digits has no validation" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "give what is tried: --grid field=value,value, or --space"),
        ("--grid lr=0.1 --random 3", "give what is tried"),
        ("--random 3", "--space says what --random and --optuna draw from"),
        ("--grid learning_rat=0.1", "did you mean 'optimizer.learning_rate'"),
        ("--grid seed=1,2", "seed is not swept: give --seeds"),
        ("--grid batch_size", "--grid batch_size is written field=value,value"),
        ("--grid batch_size=16,abc", "abc"),
        ("--grid augment.pad_crop=1.5", "1.5"),
        ("--grid model.options=3", "name one of the options, as model.options.NAME=VALUE"),
        ("--space lr=0.1..0.01 --random 3", "the first end must be less than the second"),
        ("--space lr=log:0..1 --random 3", "and more than zero"),
        ("--space batch_size=0.1..0.4 --random 3", "0.1"),
        ("--grid lr=0.1 --seeds 0", "--seeds 0 must be at least 1"),
        ("--grid optimizer.name=sdg", "did you mean 'sgd'"),
        ("--set lr=1,2 --grid batch_size=16", "--set lr has several values"),
        ("--set learning_rate=1 --grid lr=2,3", "optimizer.learning_rate is in --set and in"),
        ("--set lr=1 --space learning_rate=2,3 --random 1", "is in --set and in --space"),
        ("--grid lr=1,2 learning_rate=3", "--grid lr and learning_rate are one field"),
        ("--set lr=1 learning_rate=3 --grid batch_size=16", "--set lr and learning_rate are one"),
        ("--grid lr=0.1,0.10", "=0.1 and optimizer.learning_rate=0.10 are one recipe"),
        ("--grid lrr=0.1,0.2", "unknown field of a recipe: --grid 'lrr'; did you mean"),
        ("--grid lr=0.1 --plot curves.jpg", "give it a name that ends in .png"),
        ("--grid lr=0.1 --devices-per-trial 0", "--devices-per-trial 0 must be at least 1"),
        ("--grid lr=0.1 --again", "--again is for jobs of a cluster: give --cluster as well"),
        ("--grid lr=0.1 --cluster-options a=1", "--cluster-options is for jobs of a cluster"),
        ("--grid lr=0.1 --cluster local --devices-per-trial 1", "for the devices of this machine"),
        ("--space lr=0.1..1 --optuna 2 --cluster local", "give --random with --cluster"),
    ],
)
def test_what_cannot_be_tried_is_said_before_anything_is_trained(swept, capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", str(swept / "tiny.json"), "--workdir", str(swept / "no"), *words.split()])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert message in re.sub(r"[\s│]+", " ", said.err + said.out)
    assert not (swept / "no").exists()


def test_fields_are_found_by_path_last_word_or_flag(tiny):
    for given in ("optimizer.learning_rate", "learning-rate", "lr"):
        assert full_name("--grid", given, tiny) == "optimizer.learning_rate"
    assert full_name("--grid", "epochs", tiny) == "duration"
    assert full_name("--grid", "model.options.dropout", tiny) == "model.options.dropout"
    with pytest.raises(UserError, match=r"may be task\.options or model\.options or "):
        full_name("--grid", "options", tiny)


def test_values_are_those_of_the_fields_types(tiny):
    found = with_fields(
        tiny,
        {
            "optimizer.learning_rate": "1e-3",
            "duration": "3",
            "ema": "None",
            "log_norms": "True",
            "augment.erase_area": "(0.1 0.2)",
            "model.options.widths": "(8,16)",
            "model.options.dropout": "0.3",
            "optimizer.options.momentum": "0.8",
        },
    )
    assert found.optimizer.learning_rate == 1e-3 and str(found.duration) == "3 epochs"
    assert found.ema is None and found.log_norms is True and found.augment.erase_area == (0.1, 0.2)
    assert found.model.options == {**tiny.model.options, "widths": (8, 16), "dropout": 0.3}
    assert found.optimizer.options == {"momentum": 0.8}
    assert with_fields(found, {"log_norms": "False"}).log_norms is False


def test_all_combinations_are_tried():
    lists = parse_lists("--grid", ["a=1,2", "b=(3,4),x"])
    assert all_of(lists) == [
        {"a": "1", "b": "(3,4)"}, {"a": "1", "b": "x"},
        {"a": "2", "b": "(3,4)"}, {"a": "2", "b": "x"},
    ]  # fmt: skip


def test_draws_are_in_their_ranges_and_the_same_again():
    space = parse_space("--space", ["rate=log:0.001..0.1", "size=2..5", "kind=a,b", "x=-1..1.5"])
    assert space["rate"] == Range(0.001, 0.1, log=True)
    assert space["size"] == Range(2, 5, whole=True) and space["x"] == Range(-1, 1.5)
    found = drawn(space, 200, seed=0)
    assert found[:20] == drawn(space, 20, seed=0) and found != drawn(space, 200, seed=1)
    rates = np.array([float(each["rate"]) for each in found])
    assert rates.min() >= 0.001 and rates.max() <= 0.1
    assert np.log10(rates).mean() == pytest.approx(-2, abs=0.1)
    assert {each["size"] for each in found} == {"2", "3", "4", "5"}
    assert {each["kind"] for each in found} == {"a", "b"}
    assert len(drawn({"kind": ("a", "b")}, 5, seed=0)) == 2


def test_trials_with_one_program_stand_together(tiny, changed, tmp_path):
    trials = [
        sweeping.Trial(
            {}, changed(tiny, {"batch_size": size, "optimizer.learning_rate": rate}), tmp_path
        )
        for rate in (0.1, 0.2)
        for size in (16, 32)
    ]
    order = [
        (t.recipe.batch_size, t.recipe.optimizer.learning_rate) for t in sweeping.by_program(trials)
    ]
    assert order == [(16, 0.1), (16, 0.2), (32, 0.1), (32, 0.2)]


def test_several_seeds_are_chosen_by_their_mean(tiny, tmp_path):
    from cnn_jax.tasks import metric_that_counts

    trial = sweeping.Trial({"lr": "1"}, tiny, tmp_path / "lr=1")
    runs = [(each.seed, path.name) for each, path in trial.runs(2)]
    assert runs == [(0, "seed-0"), (1, "seed-1")]
    found = sweeping.outcome(trial, [{"best": {"accuracy": 0.5}}, {"best": {"accuracy": 0.7}}])
    assert (found.n, found.mean, found.deviation) == (2, 0.6, pytest.approx(math.sqrt(0.02)))
    metric = metric_that_counts(tiny)
    bad = Outcome("b", {}, "failed: loss")
    good = found._replace(folder="g", mean=0.9)
    assert [each.folder for each in ranked([bad, found, good], metric)] == [
        "g",
        "lr=1",
        "b",
    ]


def test_without_optuna_it_is_said_what_to_install(swept, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(SystemExit):
        run(swept, capsys, "--space", "lr=0.1..0.2", "--optuna", "2")
    assert "pip install 'cnn-jax[optuna]'" in capsys.readouterr().err


def test_optuna_suggests_and_gives_up(tiny, tmp_path):
    pytest.importorskip("optuna")
    from cnn_jax.runs.optuna_search import Suggestions, told_of
    from cnn_jax.tasks import metric_that_counts

    space, values = parse_space("--space", ["x=0..1.5", "kind=a,b", "n=1..4"]), []

    def result(trial):
        x = float(trial.values["x"])
        try:
            for step in (1, 2, 3):
                told_of(trial)[0].validation(step, {"accuracy": -((x - 0.5) ** 2) * step})
        except sweeping.Pruned:
            return Outcome(f"{x}", trial.values, "pruned")
        return Outcome(f"{x}", trial.values, "finished", 1, -((x - 0.5) ** 2))

    def go(count):
        suggestions, found = Suggestions(space, count, 0, metric_that_counts(tiny), tmp_path), []
        for number, given in suggestions:
            values.append(given)
            trial = sweeping.Trial(given, tiny, tmp_path / str(number), number)
            found.append(result(trial))
            suggestions.tell(trial, found[-1])
        return found

    first = go(12)
    assert len(first) == 12 and {each.state for each in first} == {"finished", "pruned"}
    assert all(0 <= float(v["x"]) <= 1.5 and v["n"] in "1234" for v in values)
    more = go(15)  # the twelve are known
    assert len(more) == 3
    assert len({v["x"] for v in values}) == 15


def test_optuna_is_given_the_same_space_again(tiny, tmp_path):
    pytest.importorskip("optuna")
    from cnn_jax.runs.optuna_search import Suggestions
    from cnn_jax.tasks import metric_that_counts

    def suggest(*words):
        space = parse_space("--space", words)
        return next(iter(Suggestions(space, 9, 0, metric_that_counts(tiny), tmp_path)))

    suggest("x=0.1..1.5", "kind=a,b")
    suggest("x=0.1..1.9", "n=1..4")  # another range is learnt from as well
    with pytest.raises(
        UserError, match=r"--space x: earlier trials .* a range of numbers 0.1..1.5"
    ):
        suggest("x=0.1,0.2")
    with pytest.raises(UserError, match=r"from the list a,b, and .* for the list a,c"):
        suggest("kind=a,c")
    (tmp_path / "optuna.log").write_text("nothing that Optuna has written\n\n")
    with pytest.raises(UserError, match=r"optuna.log is damaged"):
        suggest("kind=a,b")


def test_a_range_of_fractions_may_have_whole_ends(tiny):
    space = read_space(tiny, ["lr=0..1", "batch_size=8..16"])
    assert not space["optimizer.learning_rate"].whole and space["batch_size"].whole


def test_trials_of_another_recipe_are_not_chosen_among(tiny, tmp_path):
    from cnn_jax.runs.sweep_record import Record
    from cnn_jax.tasks import metric_that_counts

    metric, done = metric_that_counts(tiny), Outcome("a", {"lr": "1"}, "failed: loss")
    Record(tmp_path, metric, {"batch_size": 8}).add(done)
    assert Record(tmp_path, metric, {"batch_size": 8}).outcomes == {"a": done}
    assert Record(tmp_path, metric, {"batch_size": 16}).outcomes == {}
    Record(tmp_path, metric, {"batch_size": 16}).add(done._replace(state="finished", mean=0.5))
    with pytest.raises(UserError, match="batch_size: 16 stored, 8 now\nChoose another --workdir"):
        Record(tmp_path, metric, {"batch_size": 8})
    for damaged in ({}, [], {"metric": "accuracy", "trials": [{"folder": "a"}]}):
        write_json(tmp_path / "sweep.json", damaged)
        with pytest.raises(UserError, match=r"sweep.json is damaged; delete it"):
            Record(tmp_path, metric)
