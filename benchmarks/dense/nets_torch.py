"""The same nets in PyTorch: torchvision's, and a U-Net as one writes it."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import detection, segmentation

from benchmarks.dense.cases import Case


def pair(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for maps in (inputs, outputs):
        layers += [nn.Conv2d(maps, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Five levels, of `width` maps and twice as many at each further one."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(map(pair, [3, *widths[:-1]], widths))
        self.larger = nn.ModuleList(
            nn.ConvTranspose2d(2 * maps, maps, 2, 2) for maps in widths[:-1]
        )
        self.up = nn.ModuleList(pair(2 * maps, maps) for maps in widths[:-1])
        self.head = nn.Conv2d(width, classes, 1)

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


def make_net(net: str, case: Case) -> nn.Module:
    """A net of `cases.CASES`, with random weights."""
    if net == "unet32":
        return UNet(32, case.classes)
    if net == "fcn_resnet50":
        found = segmentation.fcn_resnet50(
            weights=None, weights_backbone=None, num_classes=case.classes, aux_loss=False
        )
        found.classifier[3] = nn.Identity()  # dropout
        return found
    # Images are given as they are to be seen: of this size, and normalised.
    return getattr(detection, case.model)(
        weights=None,
        weights_backbone=None,
        num_classes=case.classes + first_class(net),
        min_size=min(case.sides),
        max_size=max(case.sides),
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        **case.theirs,
    )


def first_class(net: str) -> int:
    """What torchvision calls the first class; Faster R-CNN keeps 0 for what is none."""
    return int(net == "faster_rcnn")
