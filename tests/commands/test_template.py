"""Files for clusters: their syntax, and that the batch script does what it says."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cnn_jax.__main__ import main

yaml = pytest.importorskip("yaml")

EXPERIMENT = """
from cnn_jax import Recipe

recipe = Recipe(name="My_net 2")
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "my net.py"
    path.write_text(EXPERIMENT)
    return path


def printed(capsys, *words):
    main(["template", *(str(word) for word in words)])
    return capsys.readouterr().out


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        printed(capsys, *words)
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert "Traceback" not in captured.out + captured.err
    return captured.out + captured.err


def test_slurm_directives(experiment, capsys):
    words = ("--nodes", 2, "--gpus", 4, "--time", "2-00:00:00")
    text = printed(capsys, "slurm", experiment, *words)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH ")]
    assert directives == [
        "#SBATCH --job-name=My_net-2",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --time=2-00:00:00",
        "#SBATCH --signal=USR1@120",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "#SBATCH --output=%x-%j.out",
    ]
    # sbatch reads directives up to the first command only.
    assert text.index("#SBATCH --output") < text.index("\nexport")


# Runs each task in turn, as many as there are, and ends with the highest status.
SRUN = """#!/bin/bash
[ "$1" = --kill-on-bad-exit=1 ] || exit 99
shift
highest=0
for task in 0 1; do
    "$@" || { found=$?; [ $found -gt $highest ] && highest=$found; }
done
exit $highest
"""


@pytest.fixture
def start(experiment, tmp_path, capsys):
    """Starts the script with a stand-in for Slurm and an experiment of some Python lines."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (
        ("srun", SRUN),
        ("scontrol", '#!/bin/sh\necho "$@" >> scontrol.log\n'),
        ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def begin(lines, *words):
        script = printed(capsys, "slurm", experiment, *words)
        experiment.write_text(lines)
        environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "17",
        }
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return begin


@pytest.mark.parametrize(
    ("status", "ends", "requeued"), [(0, 0, False), (75, 0, True), (2, 2, False)]
)
def test_the_script_queues_itself_again_where_the_run_is_to_go_on(
    start, tmp_path, status, ends, requeued
):
    process = start(f"raise SystemExit({status})")
    process.communicate()
    assert process.returncode == ends
    log = tmp_path / "scontrol.log"
    assert (log.read_text() if log.exists() else "") == ("requeue 17\n" if requeued else "")
    assert not (tmp_path / ".again-17").exists()


def test_the_signal_reaches_the_experiment_and_not_the_shell_around_it(start, tmp_path):
    process = start(
        """
import os, pathlib, signal, sys, time
def stop(*_):
    time.sleep(0.2)  # saves
    sys.exit(75)
signal.signal(signal.SIGUSR1, stop)
if not pathlib.Path("begun").exists():
    pathlib.Path("ids").write_text(f"{os.getpid()} {os.getppid()}")
    pathlib.Path("ids").rename("begun")
    time.sleep(20)
"""
    )
    begun = tmp_path / "begun"
    while not begun.exists():
        time.sleep(0.01)
    # Slurm signals all processes of the step: the shell around the experiment as well.
    for task in begun.read_text().split():
        os.kill(int(task), signal.SIGUSR1)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (tmp_path / "scontrol.log").read_text() == "requeue 17\n"


def test_words_of_the_experiment_are_given_as_they_are(start, experiment):
    words = "--model.options 'name=a b' --epochs 3"
    process = start("import sys; print(sys.argv[1:])", f"--experiment-arguments={words}")
    given = ["--workdir", "runs/My_net 2", "--model.options", "name=a b", "--epochs", "3"]
    assert process.communicate()[0].splitlines()[0] == str(given)


def test_jobset(experiment, capsys):
    words = ("--image", "place/cnn:1", "--nodes", 2, "--gpus", 4)
    found = yaml.safe_load(printed(capsys, "jobset", experiment, *words))
    assert found["metadata"]["name"] == "my-net-2"
    [workers] = found["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    assert job["parallelism"] == job["completions"] == 2
    pod = job["template"]["spec"]
    # A pod failure policy needs this.
    assert pod["restartPolicy"] == "Never"
    [saved, taken] = job["podFailurePolicy"]["rules"]
    assert saved["onExitCodes"]["values"] == [75]
    assert taken["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    [container] = pod["containers"]
    assert container["name"] == saved["onExitCodes"]["containerName"]
    assert container["image"] == "place/cnn:1"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert container["volumeMounts"][0] == {"name": "shared", "mountPath": "/shared"}


def test_a_pod_tells_the_experiment_which_of_how_many_it_is(experiment, tmp_path, capsys):
    words = ("--image", "x", "--nodes", 3, "--workdir", "/data/runs/a")
    found = yaml.safe_load(printed(capsys, "jobset", experiment, *words))
    pod = found["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/data/runs"
    experiment.write_text("import sys; print(sys.argv[1:])")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        pod["containers"][0]["command"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(
        [
            *("--workdir", "/data/runs/a"),
            *("--processes.coordinator", "my-net-2-workers-0-0.my-net-2:1234"),
            *("--processes.count", "3", "--processes.index", "2"),
        ]
    )


def test_what_cannot_be_is_refused(experiment, tmp_path, capsys):
    assert "--nodes 0 must be" in refused(capsys, "slurm", experiment, "--nodes", 0)
    assert "--time soon" in refused(capsys, "slurm", experiment, "--time", "soon")
    assert "No closing quotation" in refused(
        capsys, "slurm", experiment, "--experiment-arguments=a 'b"
    )
    assert "more than one line" in refused(
        capsys, "slurm", experiment, "--experiment-arguments='a\nb'"
    )
    assert "must be the .py file" in refused(capsys, "slurm", tmp_path)
    assert "image" in refused(capsys, "jobset", experiment)
    assert "--workdir runs/x" in refused(
        capsys, "jobset", experiment, "--image", "x", "--workdir", "runs/x"
    )
