"""Trials as jobs: on this machine by submitit's own means, and on a stand-in for Slurm."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cnn_jax import epochs
from cnn_jax.json_values import read_json, to_json, write_json
from cnn_jax.runs import trial_job
from cnn_jax.runs.trial_job import TrialJob
from cnn_jax.tasks import resolved

pytest.importorskip("submitit")

GRID = ["--grid", "lr=1,2", "--cluster"]


def folder(tmp_path, rate):
    return tmp_path / "sw" / "trials" / f"learning_rate={rate}"


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """`slurm(states)`: what stands for Slurm's commands tells these states of jobs from now on;
    gives the scripts that were handed in."""
    programs, handed_in = tmp_path / "bin", tmp_path / "handed_in"
    programs.mkdir()
    handed_in.mkdir()
    states = tmp_path / "states"
    for name, text in (
        ("srun", "exit 1"),
        ("sbatch", f"cp $1 {handed_in}/$(ls {handed_in} | wc -l); echo Submitted batch job 77"),
        ("sacct", f"cat {states}"),
    ):
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def tell(*lines):
        states.write_text("\n".join(["JobID|State|NodeList", *lines]))
        return [each.read_text() for each in sorted(handed_in.iterdir())]

    return tell


OPTIONS = ["--cluster-options", "timeout_min=90", "partition=gpu", "gpus_per_node=1", "mem_gb=4"]


def test_slurm_is_given_an_array_of_jobs_once(stand_in, slurm, tmp_path):
    slurm()
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert status == 0, said.err
    assert "queued, job 77_0" in said.out and "queued, job 77_1" in said.out
    assert "0 of 2 trials are finished; the same command shows how the others go on" in said.out
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert "not told by sacct, job 77_0" in said.out
    (script,) = slurm("77_0|RUNNING|n1", "77_1|PENDING|")
    for line in (
        "--partition=gpu", "--time=90", "--gpus-per-node=1", "--mem=4GB", "--array=0-1%2",
        "--signal=USR2@90", "--job-name=sw",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in script
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert "running, job 77_0" in said.out and "queued, job 77_1" in said.out
    # One has ended with an outcome, the other without.
    (folder(tmp_path, 1) / "log.txt").write_text("--- started now\nerror: no room\nmore\n")
    outcome = {"folder": "learning_rate=2", "values": {"optimizer.learning_rate": "2"}}
    write_json(folder(tmp_path, 2) / "outcome.json", {**outcome, "state": "failed: loss"})
    slurm("77_0|TIMEOUT|n1", "77_1|COMPLETED|n1")
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert status == 0, said.err
    assert "TIMEOUT, job 77_0: no room" in said.out and "failed: loss" in said.out
    assert "1 job has ended without a result" in said.out
    assert len(slurm("77_0|TIMEOUT|n1")) == 1
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS, "--again"])
    assert "queued, job 77\n" in said.out and "failed: loss" in said.out
    assert len(slurm("77|UNHEARD OF|")) == 2
    # What the cluster has may not be changed under it.
    slurm("77|RUNNING|n1")
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS, "--set", "batch_size=32"])
    assert status == 2 and "job 77, which is running" in said.err
    assert "recipe.batch_size: 64 stored, 32 now" in said.err
    assert len(slurm()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--cluster slurm needs the minutes after which a job is stopped"),
        (["timeout_min=2h"], "timeout_min"),
        (["time=60", "partitoin=gpu"], "partitoin"),
        (["timeout_min=60", "nodes=2"], "nodes=2: a trial is one process"),
    ],
)
def test_options_that_are_none_are_refused(stand_in, slurm, tmp_path, words, message):
    options = ["--cluster-options", *words] if words else []
    status, said = stand_in({}, [*GRID, "slurm", *options])
    assert status == 2 and message in said.err
    assert not (tmp_path / "sw").exists()


def test_where_no_slurm_is_it_is_said(stand_in, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert status == 2 and "there is no srun here" in said.err


def test_without_submitit_it_is_said_what_to_install(stand_in, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    status, said = stand_in({}, [*GRID, "local"])
    assert status == 2 and "pip install 'cnn-jax[cluster]'" in said.err


def test_jobs_on_this_machine_are_seen_to_their_ends(stand_in, tmp_path):
    status, said = stand_in({"learning_rate=2": "die"}, [*GRID, "local"])
    assert status == 0 and said.out.count("queued, job ") == 2
    jobs = [read_json(folder(tmp_path, rate) / "job.json")["id"] for rate in (1, 2)]
    wait_for(
        lambda: all((tmp_path / "sw" / "jobs" / f"{job}_0_result.pkl").exists() for job in jobs)
    )
    status, said = stand_in({}, [*GRID, "local"])
    assert status == 0 and "1 of 2 trials are finished" in said.out
    assert f"ended, job {jobs[1]}: ended with SIGKILL" in said.out
    assert [read_json(folder(tmp_path, rate) / "job.json")["id"] for rate in (1, 2)] == jobs


@pytest.fixture
def job(tmp_path, monkeypatch):
    """`job(program)`: a job whose trial's process runs some lines of a shell."""

    def make(program):
        def start(folder):
            return subprocess.Popen(["bash", "-c", program], cwd=folder)

        monkeypatch.setattr(trial_job, "start_trial", start)
        monkeypatch.setattr(trial_job, "_POLL", 0.01)
        monkeypatch.setattr(trial_job, "_PATIENCE", 0.05)
        return TrialJob(tmp_path)

    return make


def test_a_job_succeeds_where_its_trial_leaves_an_outcome(job):
    job("touch outcome.json")()


@pytest.mark.parametrize("status", [0, 2, 75])
def test_a_job_fails_where_its_trial_has_no_outcome(job, status, tmp_path):
    with pytest.raises(RuntimeError, match=f"the trial ended with status {status}"):
        job(f"exit {status}")()
    assert (tmp_path / "log.txt").read_text() == f"error: ended with status {status}\n"


def test_before_a_job_is_queued_again_its_trial_saves(job, tmp_path, monkeypatch):
    made = job("trap 'touch saved; exit 75' TERM; touch began; while true; do sleep 0.01; done")
    again = []

    def queue_again(number, frame):
        # As submitit does it, in the middle of whatever the job does.
        again.append(made.checkpoint())
        assert (tmp_path / "saved").exists()
        raise SystemExit

    before = signal.signal(signal.SIGUSR2, queue_again)
    sleep, calls = time.sleep, []

    def slept(seconds):
        sleep(seconds)
        if (tmp_path / "began").exists() and not calls:
            calls.append(seconds)
            os.kill(os.getpid(), signal.SIGUSR2)

    monkeypatch.setattr(trial_job.time, "sleep", slept)
    try:
        with pytest.raises(SystemExit):
            made()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert again[0].function._folder == tmp_path and again[0].function is not made
    assert made.checkpoint().function._folder == tmp_path  # also where the process has ended


def test_a_trial_that_cannot_be_handed_in_is_none(stand_in, slurm, tmp_path, monkeypatch):
    slurm()
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/bash\necho invalid partition >&2; exit 1\n")
    status, said = stand_in({}, [*GRID, "slurm", *OPTIONS])
    assert status == 2 and "the jobs could not be handed in" in said.err
    assert "invalid partition" in said.err
    assert not (folder(tmp_path, 1) / "job.json").exists()


@pytest.mark.slow
def test_real_trials_run_as_jobs_and_go_on_when_they_are_queued_again(tiny, changed, tmp_path):
    recipe = changed(tiny, {"duration": epochs(30), "model.options": {"widths": (4,)}})
    write_json(tmp_path / "tiny.json", to_json(resolved(recipe)))

    def sweep(name, *words):
        words = ["--grid", "lr=0.01,0.1", "--workdir", str(tmp_path / name), *words]
        done = subprocess.run(
            [sys.executable, "-m", "cnn_jax", "sweep", str(tmp_path / "tiny.json"), *words],
            capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def task(rate):
        """The process of a job, which submitit starts in another."""
        number = read_json(folder(tmp_path, rate) / "job.json")["id"]
        with open(f"/proc/{number}/task/{number}/children") as listed:  # noqa: PTH123
            return int(listed.read().split()[0])

    def lines(name, rate):
        file = tmp_path / name / f"learning_rate={rate}" / "metrics.jsonl"
        text = file.read_text() if file.exists() else ""
        return [line.partition('"images_per_second"')[0] for line in text.splitlines()]

    assert sweep("sw", "--cluster", "local").count("queued, job ") == 2
    wait_for(lambda: lines("sw", "0.01"), 200)
    os.kill(task("0.01"), signal.SIGUSR2)
    assert "running, job " in sweep("sw", "--cluster", "local")
    summaries = [
        tmp_path / "sw" / f"learning_rate={rate}" / "summary.json" for rate in ("0.01", "0.1")
    ]
    wait_for(lambda: all(each.exists() for each in summaries), 400)
    assert "2 of 2 trials are finished\n" in sweep("sw", "--cluster", "local")
    log = (folder(tmp_path, "0.01") / "log.txt").read_text()
    assert log.count("--- started") == 2 and "going on from the checkpoint" in log
    sweep("turn")
    for rate in ("0.01", "0.1"):
        assert lines("sw", rate) == lines("turn", rate)
