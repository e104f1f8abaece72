"""The program of `worker_torch`, its net compiled by `torch.compile`: inductor, channels last."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from benchmarks.speed.cases import Case, Inputs
from benchmarks.speed.worker import serve
from benchmarks.speed.worker_torch import Eager


class Compiled(Eager):
    """See `Eager`; the first step of training and of evaluation compile."""

    def compile(self) -> None:
        """Takes the weights, and marks the net; it is compiled when it is called.

        Not by its own method `compile`, which leaves out what a `nn.Sequential` does itself: of a
        net that is one nothing is compiled but the blocks in it that have a class of their own.
        """
        super().compile()
        self._called = torch.compile(self._model)


def make(net: str, case: Case, dtype: str, folder: Path) -> Compiled:
    """See `benchmarks.speed.worker.Make`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return Compiled(net, case, dtype, Inputs.read(folder, net, "torch"))


if __name__ == "__main__":
    serve(make)
