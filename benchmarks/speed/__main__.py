"""The speed of training and evaluation beside PyTorch's, eager and compiled, and plain flax's.

    make bench
    make bench ARGS="--nets resnet20 --dtypes float32 --rounds 5"

A net's implementations are given the same examples, labels and initial weights, and the losses of
the first three steps are compared, so that the same work is measured. Then they are timed in
turn, a few seconds each, round after round; ratios are taken within a round. Each process first
starts with no compiled programs stored.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.speed.cases import CASES
from benchmarks.speed.measure import Limits, measure
from benchmarks.speed.plot import draw
from benchmarks.speed.processes import ROOT
from benchmarks.speed.summary import disagreements, measured, tables
from cnn_jax.errors import UserError, shown_to_user, unknown

IMPLEMENTATIONS = ("ours", "torch", "compiled", "flax")
TORCH = ("torch", "compiled")
"""Those that are PyTorch's: eager, and by torch.compile."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    nets: tuple[str, ...] = tuple(CASES)
    """Which of `benchmarks/speed/cases.py`; by default all there are."""
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    """What they compute in; PyTorch in bfloat16 by autocast."""
    implementations: tuple[str, ...] = IMPLEMENTATIONS
    """Of ours, torch (eager), compiled (torch.compile) and flax; PyTorch only on a CPU."""
    device: str = "cpu"
    """Or cuda, tpu: what JAX calls the platform."""
    cores: int = 2
    """Of the CPU, that all processes are bound to."""
    rounds: int = 5
    """How often each is measured, where `budget` lets it."""
    seconds: float = 2.0
    """Of training in a round, and twice those of evaluating; at least one step."""
    budget: float = 75.0
    """Seconds of all rounds of a net in a dtype: slow ones have fewer rounds."""
    step_limit: float = 20.0
    """Seconds that a step may take; slower ones are left out and said to be so."""
    compile_limit: float = 240.0
    """Seconds to the first step's beginning, after which a process is given up."""
    restarted: tuple[str, ...] = ("simple_cnn", "resnet20", "resnet50")
    """Nets whose processes are started, in float32, a second time, with the compiled programs
    that the first has stored."""
    torch_python: Path = Path(".venv-torch/bin/python")
    """The Python that has PyTorch."""
    json: Path = Path("benchmarks/results/speed.json")
    """Where the numbers go."""
    plot: Path = Path("benchmarks/results/speed.png")
    """Where the ratios are drawn."""
    table: bool = False
    """Measure nothing; print the tables of `json`, and draw it."""

    def check(self) -> None:
        """Checks the names.

        Raises:
          UserError: one is unknown, or there is no PyTorch.
        """
        for flag, given, known in (
            ("--nets", self.nets, CASES),
            ("--restarted", self.restarted, CASES),
            ("--dtypes", self.dtypes, ("float32", "bfloat16")),
            ("--implementations", self.implementations, IMPLEMENTATIONS),
        ):
            for name in given:
                if name not in known:
                    raise unknown(flag, name, known)
        if set(TORCH) & set(self.implementations):
            if self.device != "cpu":
                raise UserError(
                    f"--device {self.device} is measured with --implementations ours flax"
                )
            if not (ROOT / self.torch_python).exists():
                raise UserError(
                    f"--torch-python {self.torch_python} is not there; `make bench` makes it, or "
                    "give --implementations ours flax"
                )


def machine(options: Options) -> dict:
    """What was measured on."""
    from cnn_jax.run_folder import commit, versions

    found = dict(versions())
    if set(TORCH) & set(options.implementations):
        asked = "import platform, torch; print(torch.__version__, platform.python_version())"
        command = [options.torch_python, "-c", asked]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        found["torch"], found["python of torch"] = told.stdout.split()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} cores of {model or 'a CPU'}",
        "device": options.device,
        "malloc": os.environ.get("GLIBC_TUNABLES", ""),
        "versions": found,
        "commit": commit(),
    }


def run(options: Options) -> dict:
    """All measured numbers."""
    began = time.perf_counter()
    if options.device == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    # This process only draws the weights, and must not hold a device.
    os.environ["JAX_PLATFORMS"] = "cpu"
    from benchmarks.speed.inputs import write

    pythons = dict.fromkeys(TORCH, str(options.torch_python))
    commands = {
        name: [pythons.get(name, sys.executable), "-m", f"benchmarks.speed.worker_{name}"]
        for name in options.implementations
    }
    limits = Limits(
        rounds=options.rounds,
        seconds=options.seconds,
        budget=options.budget,
        step=options.step_limit,
        compile=options.compile_limit,
    )
    rows, products = [], {}
    for net in options.nets:
        folder = Path(tempfile.mkdtemp(prefix="speed-"))
        try:
            macs = write(folder, net, CASES[net])
            for dtype in options.dtypes:
                case = CASES[net]
                found, product = measure(
                    commands,
                    net,
                    dtype,
                    folder,
                    limits,
                    device=options.device,
                    again=dtype == "float32" and net in options.restarted,
                    matmul=dtype not in products,
                )
                products.setdefault(dtype, product)
                facts = {
                    **{name: getattr(case, name) for name in ("batch", "kind", "frames", "side")},
                    "multiply_adds": macs,
                }
                rows.append({"net": net, "dtype": dtype, **facts, "implementations": found})
        finally:
            shutil.rmtree(folder)
    return {
        "machine": machine(options),
        "options": json.loads(json.dumps(dataclasses.asdict(options), default=str)),
        "seconds": time.perf_counter() - began,
        "matmul": products,
        "rows": rows,
    }


def main() -> None:
    """Measures, prints the tables, writes the numbers and the plot."""
    options = tyro.cli(Options, description=__doc__)
    with shown_to_user():
        if options.table:
            results = json.loads(options.json.read_text())
        else:
            options.check()
            results = run(options)
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(results, indent=1) + "\n")
        print(tables(results))
        written = str(options.json)
        if measured(results["rows"]):
            draw(results, options.plot)
            written += f", {options.plot}"
        if not options.table:
            print(f"\n{results['seconds'] / 60:.1f} minutes; {written}")
        if wrong := disagreements(results["rows"]):
            raise UserError(
                "these do not do the same work, so that their speeds say nothing:\n"
                + "\n".join(wrong)
            )


if __name__ == "__main__":
    main()
