"""The same nets in PyTorch, eager and channels last."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.dense.cases import (
    BATCHES,
    CASES,
    LEARNING_RATE,
    MOMENTUM,
    Case,
    boxes_of,
    images_of,
    pixels_of,
    read,
)
from benchmarks.dense.nets_torch import first_class, make_net
from benchmarks.speed.worker import serve


class Pixels:
    """What is learnt of pixels, and what an evaluation does."""

    def __init__(self, net: str, case: Case) -> None:
        images = torch.from_numpy(images_of(case)).permute(0, 3, 1, 2)
        labels, size = torch.from_numpy(pixels_of(case)).long(), case.batch
        parts = [slice(i * size, (i + 1) * size) for i in range(BATCHES)]
        self.batches: list[Any] = [(images[part], labels[part]) for part in parts]

    def learnt(self, model: nn.Module, batch: Any) -> torch.Tensor:
        """The loss of a batch."""
        logits = model(batch[0])
        logits = logits["out"] if isinstance(logits, dict) else logits
        return nn.functional.cross_entropy(logits.float(), batch[1])

    def evaluated(self, model: nn.Module, batch: Any) -> Any:
        """The same."""
        return self.learnt(model, batch)

    def told(self, evaluated: Any) -> float:
        """The same."""
        return float(evaluated)


class Boxes:
    """What is learnt of boxes, and what an evaluation does."""

    def __init__(self, net: str, case: Case) -> None:
        images = torch.from_numpy(images_of(case)).permute(0, 3, 1, 2)
        boxes, classes = boxes_of(case)
        targets = [
            {
                "boxes": torch.from_numpy(boxes[n][:, [1, 0, 3, 2]].copy()),
                "labels": torch.from_numpy(classes[n]).long() + first_class(net),
            }
            for n in range(len(images))
        ]
        parts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(BATCHES)]
        self.batches: list[Any] = [(list(images[part]), targets[part]) for part in parts]

    def learnt(self, model: nn.Module, batch: Any) -> torch.Tensor:
        """See `Pixels`."""
        parts = model(*batch)
        return torch.stack(list(parts.values())).sum()

    def evaluated(self, model: nn.Module, batch: Any) -> Any:
        """The boxes that are found."""
        return model(batch[0])

    def told(self, evaluated: Any) -> float:
        """The mean score of the ten best boxes of each image."""
        return float(torch.stack([each["scores"][:10].sum() for each in evaluated]).mean()) / 10


class Eager:
    """A net on the CPU; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._reduced = dtype != "float32"
        self._model = make_net(net, case)
        self._task: Pixels | Boxes = (Pixels if case.kind == "pixels" else Boxes)(net, case)
        self._weights = {
            name: torch.from_numpy(value.copy())
            for name, value in read(folder, net, "torch").items()
        }

    def compile(self) -> None:
        """Takes the weights; nothing is compiled."""
        found = self._model.load_state_dict(self._weights, strict=False)
        missing = [name for name in found.missing_keys if not name.endswith("batches_tracked")]
        if found.unexpected_keys or missing:
            raise ValueError(f"{found.unexpected_keys} and {missing} are without a match")
        self._model.to(memory_format=torch.channels_last)
        self._initial = {name: value.clone() for name, value in self._model.state_dict().items()}

    def _start(self, train: bool) -> None:
        torch.manual_seed(0)
        self._model.load_state_dict(self._initial)
        self._model.train(train)
        self._optimizer = torch.optim.SGD(self._model.parameters(), LEARNING_RATE, MOMENTUM)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._reduced)

    def _step(self, place: int) -> torch.Tensor:
        with self._autocast():
            loss = self._task.learnt(self._model, self._task.batches[place])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _evaluated(self, place: int) -> Any:
        with self._autocast():
            return self._task.evaluated(self._model, self._task.batches[place])

    def losses(self, steps: int) -> list[float]:
        """See `Implementation`."""
        self._start(True)
        return [float(self._step(0)) for _ in range(steps)]

    def train(self, steps: int) -> float:
        """See `Implementation`."""
        self._start(True)
        began = time.perf_counter()
        for step in range(steps):
            self._step(step % BATCHES)
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluate(self, batches: int) -> float:
        """See `Implementation`."""
        self._start(False)
        began = time.perf_counter()
        for i in range(batches):
            self._evaluated(i % BATCHES)
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluation_loss(self) -> float:
        """The mean loss, or of detectors the mean score of the ten best boxes of an image."""
        self._start(False)
        return sum(self._task.told(self._evaluated(place)) for place in range(BATCHES)) / BATCHES


if __name__ == "__main__":
    serve(Eager, CASES)
