"""What a process does that holds one net of one implementation: it answers commands.

It prints one line of JSON after it has compiled, one after its first step, and one for every line
that it reads: a command and a count, such as `train 20`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks.speed.cases import CASES


class Implementation(Protocol):
    """A net that can be measured; one may have further commands."""

    def compile(self) -> None:
        """All that has to be done before the first step."""

    def losses(self, steps: int) -> list[float]:
        """The losses before each of so many updates with the first batch, from the beginning."""

    def train(self, steps: int) -> float:
        """Seconds of so many steps from the initial weights, each with the next batch."""

    def evaluate(self, batches: int) -> float:
        """Seconds of evaluating so many batches with the initial weights."""

    def evaluation_loss(self) -> float:
        """The mean loss over all examples, of the initial weights."""


Make = Callable[[str, Any, str, Path], Implementation]
"""Given the net's name, its case, the dtype, and the folder of the files."""


def serve(make: Make, cases: Mapping[str, Any] = CASES) -> None:
    """Runs until the input ends; the process is given the folder, the net and the dtype.

    Args:
      make: makes the implementation.
      cases: what there is to measure, by the names of nets.
    """
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        # Linux gives kilobytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({**values, "peak_bytes": peak}), file=answers, flush=True)

    folder, net, dtype = sys.argv[1:]
    implementation = make(net, cases[net], dtype, Path(folder))
    implementation.compile()
    answer(done="compile")
    implementation.losses(1)
    answer(done="first step")
    for line in sys.stdin:
        command, count = line.split()
        arguments = [int(count)] if int(count) else []
        answer(done=command, value=getattr(implementation, command)(*arguments))
