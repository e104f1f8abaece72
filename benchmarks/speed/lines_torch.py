"""Nets for series, texts and sounds as one writes them with PyTorch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


class FCN1d(nn.Module):
    """Wang et al. 2016; normalisations have Keras's momentum and epsilon."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        maps = 1
        for i, (width, kernel) in enumerate(((128, 8), (256, 5), (128, 3)), start=1):
            self.add_module(f"conv{i}", nn.Conv1d(maps, width, kernel, padding="same"))
            self.add_module(f"norm{i}", nn.BatchNorm1d(width, eps=1e-3, momentum=0.01))
            maps = width
        self.head = nn.Linear(maps, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, 1, t) -> (b, k)."""
        for i in (1, 2, 3):
            norm, conv = getattr(self, f"norm{i}"), getattr(self, f"conv{i}")
            x = functional.relu(norm(conv(x)), inplace=True)
        return self.head(x.mean(2))


class TextCNN(nn.Module):
    """Kim 2014 without dropout."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(18_767, 300, padding_idx=0)
        for width in (3, 4, 5):
            self.add_module(f"conv{width}", nn.Conv1d(300, 100, width))
        self.head = nn.Linear(300, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Places of words (b, t) -> (b, k)."""
        vectors = functional.pad(self.words(x), (0, 0, 4, 5)).transpose(1, 2)
        convs = [getattr(self, f"conv{width}") for width in (3, 4, 5)]
        found = [functional.relu(conv(vectors)).amax(2) for conv in convs]
        return self.head(torch.cat(found, 1))


def m5(classes: int) -> nn.Module:
    """Dai et al. 2016: samples (b, t) -> (b, k); normalisations have Keras's momentum."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(one=nn.Unflatten(1, (1, -1)))
    maps = 1
    for i, width in enumerate((128, 128, 256, 512)):
        stage = f"stage{i}_" if i else ""
        first = nn.Conv1d(maps, width, 80, 4, padding=38)
        parts[f"{stage}conv1"] = nn.Conv1d(maps, width, 3, padding=1) if i else first
        parts[f"{stage}norm1"] = nn.BatchNorm1d(width, momentum=0.01)
        parts[f"{stage}relu1"] = nn.ReLU(inplace=True)
        parts[f"{stage}pool"] = nn.MaxPool1d(4)
        maps = width
    parts["mean"] = nn.AdaptiveAvgPool1d(1)
    parts["flatten"] = nn.Flatten()
    parts["head"] = nn.Linear(maps, classes)
    return nn.Sequential(parts)
