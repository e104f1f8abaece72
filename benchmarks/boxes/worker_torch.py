"""The same detectors of torchvision."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from torchvision.models import detection

from benchmarks.boxes.cases import (
    BATCHES,
    CASES,
    CLASSES,
    LEARNING_RATE,
    MOMENTUM,
    SIDES,
    Case,
    draw,
    read,
)
from benchmarks.speed.worker import serve


class Eager:
    """A detector on the CPU, channels last; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        self._case, self._dtype = case, getattr(torch, dtype)
        first = int(net == "faster_rcnn")
        # Images are given as they are to be seen: of this size, and normalised.
        self._model = getattr(detection, case.model)(
            weights=None,
            weights_backbone=None,
            num_classes=CLASSES + first,
            min_size=min(SIDES),
            max_size=max(SIDES),
            image_mean=[0.0] * 3,
            image_std=[1.0] * 3,
            **case.theirs,
        )
        self._weights = {
            name: torch.from_numpy(value.copy())
            for name, value in read(folder, net, "torch").items()
        }
        images, boxes, classes = draw(case)
        moved = torch.from_numpy(images).permute(0, 3, 1, 2)
        targets = [
            {
                "boxes": torch.from_numpy(boxes[n][:, [1, 0, 3, 2]].copy()),
                "labels": torch.from_numpy(classes[n]).long() + first,
            }
            for n in range(len(images))
        ]
        parts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(BATCHES)]
        self._batches = [(list(moved[part]), targets[part]) for part in parts]

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

    def _step(self, batch: int) -> torch.Tensor:
        reduced = self._dtype != torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            parts = self._model(*self._batches[batch])
        loss = sum(parts.values())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

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
            self._model(self._batches[i % BATCHES][0])
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluation_loss(self) -> float:
        """The mean score of the ten best boxes, instead of a loss."""
        self._start(False)
        found = [each["scores"][:10] for images, _ in self._batches for each in self._model(images)]
        return float(sum(each.sum() for each in found)) / (10 * len(found))


def make(net: str, case: Case, dtype: str, folder: Path) -> Eager:
    """See `benchmarks.speed.worker.Make`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return Eager(net, case, dtype, folder)


if __name__ == "__main__":
    serve(make, CASES)
