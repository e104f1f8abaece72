"""Nets for images as one writes them with PyTorch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


def conv(inputs: int, outputs: int, kernel: int, strides: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded to keep the size."""
    return nn.Conv2d(
        inputs, outputs, kernel, strides, padding=kernel // 2, groups=groups, bias=False
    )


class Padded(nn.Module):
    """Every second pixel, and as many maps of zeros before as after."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, c + more, h/2, w/2)."""
        return functional.pad(
            x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2)
        )


def shortcut(inputs: int, outputs: int, strides: int, padding: bool) -> nn.Module:
    """What brings a block's input to the shape of its output."""
    if inputs == outputs and strides == 1:
        return nn.Identity()
    if padding:
        return Padded(outputs - inputs)
    return nn.Sequential(conv(inputs, outputs, 1, strides), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """ReLU of the input plus two 3x3 convolutions of it."""

    expansion = 1

    def __init__(self, inputs: int, inner: int, strides: int, padding: bool) -> None:
        super().__init__()
        self.conv1 = conv(inputs, inner, 3, strides)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, inner, strides, padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, inner, h/strides, w/strides)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return self.relu(y)


class Bottleneck(nn.Module):
    """ReLU of the input plus 1x1, 3x3 and 1x1 convolutions of it."""

    expansion = 4
    groups = 1
    group_width = 64

    def __init__(self, inputs: int, inner: int, strides: int, padding: bool) -> None:
        super().__init__()
        middle = inner * self.group_width // 64 * self.groups
        self.conv1 = conv(inputs, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = conv(middle, middle, 3, strides, self.groups)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = conv(middle, 4 * inner, 1)
        self.bn3 = nn.BatchNorm2d(4 * inner)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, 4 * inner, strides, padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, 4 inner, h/strides, w/strides)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return self.relu(y)


class Grouped(Bottleneck):
    """One whose 3x3 convolution is grouped: ResNeXt's of 32 groups, 4 maps each at first."""

    groups = 32
    group_width = 4


def resnet(
    classes: int,
    *,
    block: type[BasicBlock] | type[Bottleneck],
    depths: tuple[int, ...],
    width: int,
    head: str,
    padding: bool = False,
    imagenet: bool = False,
) -> nn.Module:
    """Stem, stages of residual blocks that double the maps, global mean, dense."""
    kernel, strides = (7, 2) if imagenet else (3, 1)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, width, kernel, strides, padding=kernel // 2, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
    )
    if imagenet:
        parts["maxpool"] = nn.MaxPool2d(3, 2, padding=1)
    maps = width
    for stage, depth in enumerate(depths):
        blocks = []
        for i in range(depth):
            inner = width * 2**stage
            blocks.append(block(maps, inner, 2 if i == 0 and stage > 0 else 1, padding))
            maps = block.expansion * inner
        parts[f"layer{stage + 1}"] = nn.Sequential(*blocks)
    parts["avgpool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts[head] = nn.Linear(maps, classes)
    return nn.Sequential(parts)


def conv_norm(
    inputs: int, outputs: int, kernel: int, strides: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, normalisation and ReLU6."""
    return nn.Sequential(
        conv(inputs, outputs, kernel, strides, groups),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """1x1 convolution to many maps, depthwise convolution, 1x1 convolution to few maps."""

    def __init__(self, inputs: int, outputs: int, strides: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.same = inputs == outputs and strides == 1
        self.conv = nn.Sequential(
            *([conv_norm(inputs, hidden, 1)] if expansion > 1 else []),
            conv_norm(hidden, hidden, 3, strides, hidden),
            conv(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, outputs, h/strides, w/strides)."""
        return x + self.conv(x) if self.same else self.conv(x)


STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
STAGES += ((6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(classes: int) -> nn.Module:
    """Sandler et al. 2018, table 2; the dropout before the last layer has rate 0."""
    features: list[nn.Module] = [conv_norm(3, 32, 3, 2)]
    maps = 32
    for expansion, outputs, depth, first in STAGES:
        for i in range(depth):
            features.append(InvertedResidual(maps, outputs, first if i == 0 else 1, expansion))
            maps = outputs
    features.append(conv_norm(maps, 1280, 1))
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*features),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(nn.Dropout(0.0), nn.Linear(1280, classes)),
        )
    )


def simple_cnn(classes: int) -> nn.Module:
    """Two convolutions with ReLU and max pooling, three dense layers."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, 3, padding=1),
            relu1=nn.ReLU(inplace=True),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 3, padding=1),
            relu2=nn.ReLU(inplace=True),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(64 * 7 * 7, 256),
            relu3=nn.ReLU(inplace=True),
            dense2=nn.Linear(256, 128),
            relu4=nn.ReLU(inplace=True),
            head=nn.Linear(128, classes),
        )
    )


def group(inputs: int, outputs: int) -> nn.Module:
    """Two 3x3 convolutions with batch normalisation and GELU, a pooling after the first."""

    def norm() -> nn.BatchNorm2d:
        made = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        made.weight.requires_grad = False
        return made

    return nn.Sequential(
        OrderedDict(
            conv1=conv(inputs, outputs, 3),
            pool=nn.MaxPool2d(2),
            norm1=norm(),
            gelu1=nn.GELU(),
            conv2=conv(outputs, outputs, 3),
            norm2=norm(),
            gelu2=nn.GELU(),
        )
    )


class Times(nn.Module):
    """A fixed factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        return x * self.factor


def airbench94(classes: int) -> nn.Module:
    """Jordan 2024; the kernel of the first convolution is not trained."""
    whitening = nn.Conv2d(3, 24, 2)
    whitening.weight.requires_grad = False
    return nn.Sequential(
        whitening,
        nn.GELU(),
        group(24, 64),
        group(64, 256),
        group(256, 256),
        nn.MaxPool2d(3),
        nn.Flatten(),
        nn.Linear(256, classes, bias=False),
        Times(1 / 9),
    )
