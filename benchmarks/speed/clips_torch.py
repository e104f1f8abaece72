"""A net for videos as torchvision writes it with PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def factored(
    inputs: int, middle: int, outputs: int, *, side: int = 3, times: int = 1, pixels: int = 1
) -> list[nn.Module]:
    """A (2+1)-D convolution: over pixels, normalised, ReLU, and over frames.

    Args:
      inputs: number of input maps.
      middle: of maps between the two.
      outputs: of output maps.
      side: of the kernel in pixels; it has three frames.
      times: stride in frames.
      pixels: stride in pixels.
    """
    flat = nn.Conv3d(
        inputs, middle, (1, side, side), (1, pixels, pixels), (0, side // 2, side // 2), bias=False
    )
    along = nn.Conv3d(middle, outputs, (3, 1, 1), (times, 1, 1), (1, 0, 0), bias=False)
    return [flat, nn.BatchNorm3d(middle), nn.ReLU(inplace=True), along]


class ClipBlock(nn.Module):
    """ReLU of the input plus two (2+1)-D convolutions of it."""

    def __init__(self, inputs: int, outputs: int, strides: int) -> None:
        super().__init__()
        # As many maps between the parts as give a 3-D convolution's number of weights.
        middle = 27 * inputs * outputs // (9 * inputs + 3 * outputs)
        first = factored(inputs, middle, outputs, times=strides, pixels=strides)
        self.conv1 = nn.Sequential(
            nn.Sequential(*first), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
        )
        second = factored(outputs, middle, outputs)
        self.conv2 = nn.Sequential(nn.Sequential(*second), nn.BatchNorm3d(outputs))
        self.downsample: nn.Module = nn.Identity()
        if strides != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, strides, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, t, h, w) -> (b, outputs, t/strides, h/strides, w/strides)."""
        y = self.conv2(self.conv1(x))
        y += self.downsample(x)
        return functional.relu(y, inplace=True)


class R2Plus1D(nn.Module):
    """Tran et al. 2018, of 18 layers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *factored(3, 45, 64, side=7, pixels=2), nn.BatchNorm3d(64), nn.ReLU(inplace=True)
        )
        maps, stages = 64, []
        for stage in range(4):
            width = 64 * 2**stage
            stages.append(
                nn.Sequential(ClipBlock(maps, width, 2 if stage else 1), ClipBlock(width, width, 1))
            )
            maps = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(maps, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, 3, t, h, w) -> (b, k)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(x.mean((2, 3, 4)))
