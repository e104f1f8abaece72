"""A training program as PyTorch's examples have it: eager, channels of pixels last in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.speed.cases import BATCHES, LEARNING_RATE, MEAN, MOMENTUM, STD, Case, Inputs
from benchmarks.speed.nets_torch import NETS
from benchmarks.speed.worker import serve


def normalised(examples: torch.Tensor) -> torch.Tensor:
    """See `benchmarks.speed.worker_flax.normalised`."""
    if examples.dtype == torch.int32:
        return examples
    values = examples.float()
    if examples.dtype == torch.int16:
        values = values / 2**15
        std, mean = torch.std_mean(values, 1, correction=0, keepdim=True)
        return (values - mean) / std
    scale = 255 if examples.dtype == torch.uint8 else 1
    return (values / scale - MEAN) / STD


class Eager:
    """A net of `benchmarks.speed.nets_torch` on the CPU.

    Args:
      net: its name.
      case: its inputs and batch.
      dtype: float32, or bfloat16 for autocast.
      inputs: examples, labels, and weights by PyTorch's names.
    """

    def __init__(self, net: str, case: Case, dtype: str, inputs: Inputs) -> None:
        self._case, self._dtype = case, getattr(torch, dtype)
        self._model = NETS[net](case.classes)
        self._called: Callable[[torch.Tensor], torch.Tensor] = self._model
        self._inputs = inputs

    def compile(self) -> None:
        """Takes the weights; nothing is compiled."""
        case, inputs = self._case, self._inputs
        weights = {name: torch.from_numpy(value.copy()) for name, value in inputs.weights.items()}
        found = self._model.load_state_dict(weights, strict=False)
        # The normalisations of airbench have a scale in PyTorch, fixed at 1, and not with us.
        fixed = {name for name, value in self._model.named_parameters() if not value.requires_grad}
        missing = {name for name in found.missing_keys if not name.endswith("num_batches_tracked")}
        if found.unexpected_keys or not missing <= fixed:
            raise ValueError(f"{found.unexpected_keys} and {missing - fixed} are without a match")
        last = torch.channels_last_3d if case.kind == "clip" else torch.channels_last
        self._model.to(memory_format=last)
        self._initial = {name: value.clone() for name, value in self._model.state_dict().items()}
        size = case.batch
        examples = torch.from_numpy(inputs.examples)
        if examples.ndim > 2:  # channels come before places; words and samples have none
            examples = examples.movedim(-1, 1)
        labels = torch.from_numpy(inputs.labels).long()
        self._batches = [
            (examples[i * size : (i + 1) * size], labels[i * size : (i + 1) * size])
            for i in range(BATCHES)
        ]
        self._start()

    def _start(self) -> None:
        self._model.load_state_dict(self._initial)
        parameters = [value for value in self._model.parameters() if value.requires_grad]
        self._optimizer = torch.optim.SGD(parameters, LEARNING_RATE, MOMENTUM)

    def _loss_and_accuracy(
        self, examples: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        prepared = normalised(examples)
        reduced = self._dtype != torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            logits = self._called(prepared)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        return loss, (logits.argmax(1) == labels).float().mean()

    def _step(self, batch: int) -> torch.Tensor:
        loss, _ = self._loss_and_accuracy(*self._batches[batch])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def losses(self, steps: int) -> list[float]:
        """See `benchmarks.speed.worker.Implementation`."""
        self._start()
        self._model.train()
        return [float(self._step(0)) for _ in range(steps)]

    def train(self, steps: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        self._start()
        self._model.train()
        began = time.perf_counter()
        for step in range(steps):
            self._step(step % BATCHES)
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluate(self, batches: int) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        self._start()
        self._model.eval()
        began = time.perf_counter()
        for i in range(batches):
            self._loss_and_accuracy(*self._batches[i % BATCHES])
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluation_loss(self) -> float:
        """See `benchmarks.speed.worker.Implementation`."""
        self._start()
        self._model.eval()
        found = [self._loss_and_accuracy(*batch)[0] for batch in self._batches]
        return float(torch.stack(found).mean())

    def matmul(self, side: int) -> float:
        """Seconds of one product of two square matrices in the net's dtype."""
        a = torch.randn(side, side).to(self._dtype)
        a @ a
        began = time.perf_counter()
        a @ a
        return time.perf_counter() - began


def make(net: str, case: Case, dtype: str, folder: Path) -> Eager:
    """See `benchmarks.speed.worker.Make`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return Eager(net, case, dtype, Inputs.read(folder, net, "torch"))


if __name__ == "__main__":
    serve(make)
