"""Damaged files: the newest checkpoint that is whole is used, and the damaged one named."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import short_runs as runs
from rich.console import Console

from cnn_jax import UserError, steps, train
from cnn_jax.checkpoints.checkpoints import Unreadable
from cnn_jax.runs.experiment import Experiment


@pytest.fixture(scope="module")
def experiment(recipe):
    return Experiment.of(recipe)


@pytest.fixture(scope="module")
def half(recipe, tmp_path_factory):
    """The folder of a run that was stopped on its way; its newest step was validated."""
    path = tmp_path_factory.mktemp("half") / "run"
    done = runs.run(recipe, path, moment=f"step:30:{int(signal.SIGTERM)}:0")
    assert done.returncode == 75, done.stderr
    return path


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def deleted(file: Path) -> None:
    file.unlink()


def newest(path: Path) -> Path:
    return path / "checkpoints" / str(max(runs.saved(path)))


def data_files(checkpoint: Path) -> list[Path]:
    return sorted(p for p in checkpoint.rglob("*") if p.is_file() and p.stat().st_size)


# What reads of a damaged file leave behind in an event loop.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("damage", "every"),
    [
        (flipped, False),
        *(
            pytest.param(damage, every, marks=pytest.mark.slow)
            for damage in (truncated, flipped, deleted)
            for every in (False, True)
            if (damage, every) != (flipped, False)
        ),
    ],
    ids=lambda value: value if isinstance(value, bool) else value.__name__,
)
def test_the_checkpoint_before_is_used_and_named(
    damage, every, recipe, half, undisturbed, experiment, note, tmp_path, capsys
):
    """Harm that does no harm is fine as well: some files are not read."""
    names = [file.relative_to(newest(half)) for file in data_files(newest(half))]
    if not every:  # the arrays alone
        names = [max(names, key=lambda name: (newest(half) / name).stat().st_size)]
    went_back = 0
    for index, name in enumerate(names):
        path = tmp_path / str(index)
        shutil.copytree(half, path)
        step = int(newest(path).name)
        damage(newest(path) / name)
        console = Console(width=300)
        train(recipe, path, experiment=experiment, console=console)
        said = capsys.readouterr().out
        if f"going on from the checkpoint of step {step}" not in said:
            went_back += 1
            assert f"left out: checkpoint {step} in {path} cannot be used" in said, said
            assert (path / "checkpoints" / f"{step}.broken").is_dir()
        runs.assert_same(path, undisturbed)
    assert went_back or every
    if every:
        note(
            f"a file of the newest checkpoint {damage.__name__}",
            len(names),
            f"same end; {went_back} times from the checkpoint before, which is said",
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_metrics_and_a_damaged_best_are_left_out(
    recipe, undisturbed, experiment, note, tmp_path, capsys
):
    """The best is needed at the end only; where it is lost, the next best is tested."""
    summary = json.loads((undisturbed / "summary.json").read_text())
    best = summary["best"]["step"]
    for part, damage in (
        ("metrics/metrics", flipped),
        ("metrics/metrics", truncated),
        ("state", 0),
    ):
        path = tmp_path / f"{part.replace('/', '-')}-{damage and damage.__name__}"
        shutil.copytree(undisturbed, path)
        (path / "summary.json").unlink()
        broken = path / "checkpoints" / str(best)
        if damage:
            damage(broken / part)
        else:
            flipped(max(data_files(broken / part), key=lambda file: file.stat().st_size))
        again = train(recipe, path, experiment=experiment, console=Console(width=300))
        said = capsys.readouterr().out
        assert again["best"]["step"] != best
        if damage:
            assert f"left out: of checkpoint {best} in {path} the metrics" in said
            assert (path / "checkpoints" / f"{best}.metrics.broken").is_dir()
        else:
            assert f"left out: checkpoint {best} in {path} cannot be used" in said
            assert (path / "checkpoints" / f"{best}.broken").is_dir()
    note("the best checkpoint damaged", 3, "the next best is tested, which is said")


def test_damaged_metrics_of_all_take_no_step_back(
    recipe, undisturbed, experiment, tmp_path, capsys
):
    """The last state is validated once more, and its log is as it was."""
    path = tmp_path / "run"
    shutil.copytree(undisturbed, path)
    (path / "summary.json").unlink()
    log = (path / "metrics.jsonl").read_bytes()
    for metrics in (path / "checkpoints").glob("*/metrics/metrics"):
        metrics.write_bytes(b"{")
    again = train(recipe, path, experiment=experiment, console=Console(width=300))
    last = max(runs.saved(path))
    assert f"going on from the checkpoint of step {last}" in capsys.readouterr().out
    assert again["tested"] == again["best"]["step"] == last == again["steps"]
    assert (path / "metrics.jsonl").read_bytes() == log
    stored = [json.loads(line) for line in log.splitlines()]
    [validated] = [e for e in stored if e["kind"] == "validation" and e["step"] == last]
    assert again["best"]["loss"] == validated["loss"]


def test_nothing_is_begun_anew_beside_damaged_checkpoints(recipe, half, experiment, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(half, path)
    for step in runs.saved(path):
        (path / "checkpoints" / str(step)).rename(path / "checkpoints" / f"{step}.broken")
    log = (path / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match="not begun anew beside them"):
        train(recipe, path, experiment=experiment, console=Console(quiet=True))
    assert (path / "metrics.jsonl").read_bytes() == log


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_damaged_is_an_error_that_names_them(recipe, half, experiment, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(half, path)
    for step in runs.saved(path):
        for file in data_files(path / "checkpoints" / str(step) / "state"):
            file.write_bytes(b"broken")
    with pytest.raises(Unreadable, match=r"checkpoint 30 in .*run cannot be used"):
        train(recipe, path, experiment=experiment, console=Console(quiet=True))
    assert not list((path / "checkpoints").glob("*.broken"))


def test_a_state_that_is_not_finite_is_not_gone_on_with(recipe, half, experiment, tmp_path):
    """Saved as it should not have been: the seal is right, the numbers are not."""
    import jax
    import jax.numpy as jnp

    from cnn_jax.checkpoints.checkpoints import Checkpoints
    from cnn_jax.tasks.classification import ACCURACY

    checkpoints = Checkpoints(tmp_path / "checkpoints", recipe.checkpoints, ACCURACY)
    state = experiment.program.init(0)
    wild = state.replace(
        step=jnp.int32(1), params=jax.tree.map(lambda x: x * jnp.nan, state.params)
    )
    wild = jax.device_put(wild, jax.tree.map(lambda leaf: leaf.sharding, state))
    checkpoints.save(wild, 1, {"window": []}, None)
    checkpoints.wait()
    with pytest.raises(Unreadable, match=r"params/.* is not finite"):
        checkpoints.restore(1, experiment.program.abstract_state)
    moved = tmp_path / "checkpoints" / "2"
    (tmp_path / "checkpoints" / "1").rename(moved)
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path / "checkpoints", recipe.checkpoints, ACCURACY)
    with pytest.raises(Unreadable, match="it holds the state after 1 steps"):
        checkpoints.restore(2, experiment.program.abstract_state)
    checkpoints.close()


def test_a_moved_run_is_restored_from_a_relative_path(
    recipe, half, undisturbed, experiment, note, tmp_path, monkeypatch
):
    from cnn_jax.evaluation.evaluate import evaluate

    (tmp_path / "deep" / "er").mkdir(parents=True)
    shutil.copytree(half, tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "deep" / "er" / "moved")
    monkeypatch.chdir(tmp_path / "deep")
    summary = train(recipe, Path("er/moved"), experiment=experiment, console=Console(quiet=True))
    runs.assert_same(tmp_path / "deep" / "er" / "moved", undisturbed)
    monkeypatch.chdir(tmp_path)
    assert evaluate(Path("deep/er/moved"))["accuracy"] == summary["test"]["accuracy"]
    note("run folder copied and moved, relative path", 1, "same end, evaluates")


@pytest.mark.slow
def test_a_clock_that_goes_backwards_changes_nothing(recipe, undisturbed, note, tmp_path):
    path = tmp_path / "run"
    done = runs.run(recipe, path, moment="clock")
    assert done.returncode == 0, done.stderr
    runs.assert_same(path, undisturbed)
    summary = json.loads((path / "summary.json").read_text())
    assert all(value >= 0 for value in (summary["seconds"]["train"], summary["seconds"]["total"]))
    note("wall clock going backwards, an hour a second", 1, "same end")


@pytest.mark.slow
def test_a_second_run_in_the_folder_is_refused(recipe, note, tmp_path):
    path = tmp_path / "run"
    long = dataclasses.replace(recipe, duration=steps(100_000))
    first = runs.start(long, path)
    runs.wait_for(lambda: runs.saved(path), first)
    second = runs.run(long, path)
    assert second.returncode == 2
    assert f"is in use by another run (process {first.pid})" in second.stderr
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 75
    note("run folder opened by a second run", 1, "the second is refused, the first unharmed")


FULL = """
mount -t tmpfs -o size=$1k tmpfs "$2" || exit 99
shift 2
"$@"; echo "first: $?"
mount -o remount,size=100m "$OLDPWD_RUN" || exit 98
"$@"; echo "second: $?"
cp -r "$OLDPWD_RUN" "$KEPT"
"""


@pytest.mark.slow
def test_a_full_disk_loses_nothing(recipe, undisturbed, note, tmp_path):
    """On a file system of a quarter of a megabyte, which then is given more."""
    path, kept = tmp_path / "small", tmp_path / "kept"
    path.mkdir()
    words = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(
        [*words, "sh", "-c", FULL, "sh", "256", str(path), *runs.command(recipe, path / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "OLDPWD_RUN": str(path), "KEPT": str(kept)},
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "first: 74" in done.stdout, done.stdout + done.stderr
    assert os.strerror(28) in done.stderr  # No space left on device
    assert "Traceback" not in done.stderr
    assert "second: 0" in done.stdout, done.stdout + done.stderr
    runs.assert_same(kept / "run", undisturbed)
    note("disk full during a save (tmpfs)", 1, "status 74, same end once there is room")


def test_bad_input_leaves_the_folder_alone(recipe, half, experiment, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(half, path)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with pytest.raises(UserError, match="seed"):
        train(dataclasses.replace(recipe, seed=9), path, console=Console(quiet=True))
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
