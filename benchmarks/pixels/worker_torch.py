"""The same nets in PyTorch: torchvision's FCN, and a U-Net as one writes it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
import torchvision
from torch import nn

from benchmarks.pixels.cases import (
    BATCHES,
    CASES,
    CLASSES,
    LEARNING_RATE,
    MOMENTUM,
    Case,
    draw,
    read,
)
from benchmarks.speed.worker import serve


def pair(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for maps in (inputs, outputs):
        layers += [nn.Conv2d(maps, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Five levels, of `width` maps and twice as many at each further one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(map(pair, [3, *widths[:-1]], widths))
        self.larger = nn.ModuleList(
            nn.ConvTranspose2d(2 * maps, maps, 2, 2) for maps in widths[:-1]
        )
        self.up = nn.ModuleList(pair(2 * maps, maps) for maps in widths[:-1])
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, k, h, w) of images (b, c, h, w)."""
        levels = []
        for level, down in enumerate(self.down):
            x = down(nn.functional.max_pool2d(x, 2) if level else x)
            levels.append(x)
        for level in (3, 2, 1, 0):
            x, before = self.larger[level](x), levels[level]
            more = (0, before.shape[3] - x.shape[3], 0, before.shape[2] - x.shape[2])
            x = self.up[level](torch.cat([before, nn.functional.pad(x, more)], 1))
        return self.head(x)


class FCN(nn.Module):
    """torchvision's, without auxiliary head and dropout."""

    def __init__(self) -> None:
        super().__init__()
        segmentation = torchvision.models.segmentation
        self.net = segmentation.fcn_resnet50(
            weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=False
        )
        self.net.classifier[3] = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, k, h, w) of images (b, c, h, w)."""
        return self.net(x)["out"]


class Eager:
    """A net on the CPU, channels last; see `benchmarks.speed.worker.Implementation`."""

    def __init__(self, net: str, case: Case, dtype: str, folder: Path) -> None:
        self._case, self._dtype = case, getattr(torch, dtype)
        self._model = UNet(32) if net == "unet32" else FCN()
        self._weights = {
            name: torch.from_numpy(value.copy())
            for name, value in read(folder, net, "torch").items()
        }
        images, labels = draw(case)
        parts = [slice(i * case.batch, (i + 1) * case.batch) for i in range(BATCHES)]
        moved = torch.from_numpy(images).permute(0, 3, 1, 2)
        self._batches = [(moved[part], torch.from_numpy(labels[part]).long()) for part in parts]

    def compile(self) -> None:
        """Takes the weights; nothing is compiled."""
        found = self._model.load_state_dict(self._weights, strict=False)
        missing = [name for name in found.missing_keys if not name.endswith("batches_tracked")]
        if found.unexpected_keys or missing:
            raise ValueError(f"{found.unexpected_keys} and {missing} are without a match")
        self._model.to(memory_format=torch.channels_last)
        self._initial = {name: value.clone() for name, value in self._model.state_dict().items()}

    def _start(self, train: bool) -> None:
        self._model.load_state_dict(self._initial)
        self._model.train(train)
        self._optimizer = torch.optim.SGD(self._model.parameters(), LEARNING_RATE, MOMENTUM)

    def _loss(self, batch: int) -> torch.Tensor:
        images, labels = self._batches[batch]
        reduced = self._dtype != torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            logits = self._model(images)
        return nn.functional.cross_entropy(logits.float(), labels)

    def _step(self, batch: int) -> torch.Tensor:
        loss = self._loss(batch)
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
            self._loss(i % BATCHES)
        return time.perf_counter() - began

    @torch.inference_mode()
    def evaluation_loss(self) -> float:
        """See `Implementation`."""
        self._start(False)
        return sum(float(self._loss(i)) for i in range(BATCHES)) / BATCHES


def make(net: str, case: Case, dtype: str, folder: Path) -> Eager:
    """See `benchmarks.speed.worker.Make`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return Eager(net, case, dtype, folder)


if __name__ == "__main__":
    serve(make, CASES)
