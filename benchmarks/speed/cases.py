"""Which nets are measured, on what: known to every process, and so without any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = 4
"""Different batches that training goes through in turn."""

LEARNING_RATE = 0.001
MOMENTUM = 0.9

MEAN, STD = 0.5, 0.25
"""Of all channels, on the scale 0 to 1; every implementation normalises within its step."""


@dataclass(frozen=True)
class Case:
    """A net with its inputs and batch.

    Attributes:
      model: its name in our registry.
      side: height and width of images and frames in pixels; times of series, words of texts,
        samples of sounds.
      channels: of images, series and clips.
      classes: number of logits.
      batch: examples in a step.
      options: of our model, where they are not the default ones; the other implementations are
        written for these.
      kind: of the inputs: image, series, tokens, sound or clip.
      words: of texts, how many there are in the vocabulary.
      frames: of clips.
      faint: pattern of the weights, by our paths, that are divided by five at first: the scales
        that end residual branches, where rounding would otherwise grow from block to block until
        losses after an update are not the same in any two programs.
    """

    model: str
    side: int
    channels: int
    classes: int
    batch: int
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "image"
    words: int = 0
    frames: int = 0
    faint: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an example: (h, w, c), (t, c), (t,) or (frames, h, w, c)."""
        image = (self.side, self.side, self.channels)
        return {
            "image": image,
            "series": (self.side, self.channels),
            "tokens": (self.side,),
            "sound": (self.side,),
            "clip": (self.frames, *image),
        }[self.kind]

    @property
    def all_options(self) -> dict[str, Any]:
        """The same with what follows from the data: words for padding and unknown ones too."""
        return {**self.options, **({"vocabulary": self.words + 2} if self.words else {})}


CASES: dict[str, Case] = {
    "simple_cnn": Case("simple_cnn", 28, 1, 10, 128),
    "resnet20": Case("resnet20", 32, 3, 10, 128),
    "resnet18": Case("resnet18", 32, 3, 10, 64, {"stem": "small"}),
    "airbench94": Case("airbench94", 32, 3, 10, 512),
    # Dropout is left out, since the frameworks draw different numbers.
    "mobilenet_v2": Case("mobilenet_v2", 224, 3, 1000, 16, {"dropout": 0.0}),
    "resnet50": Case("resnet50", 224, 3, 1000, 16),
    "resnext50_32x4d": Case(
        "resnext50_32x4d", 64, 3, 1000, 16, faint=r"params/.*/conv3/norm/scale"
    ),
    "fcn1d": Case("fcn1d", 150, 1, 2, 16, kind="series"),
    "text_cnn": Case("text_cnn", 56, 0, 2, 50, {"dropout": 0.0}, kind="tokens", words=18_765),
    # A second at 8 kHz.
    "m5": Case("m5", 8000, 0, 35, 64, kind="sound"),
    "r2plus1d_18": Case(
        "r2plus1d_18", 56, 3, 400, 4, kind="clip", frames=8, faint=r"params/.*/conv2/norm/scale"
    ),
}
"""By the name that is asked for."""


@dataclass(frozen=True)
class Inputs:
    """What every implementation of a net is given.

    Attributes:
      examples: (BATCHES * b, ...): images and clips uint8, series float32, places of words int32,
        sounds int16.
      labels: (BATCHES * b,) int32.
      weights: initial values, by the paths of our model or by PyTorch's names.
    """

    examples: np.ndarray
    labels: np.ndarray
    weights: dict[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path, net: str, weights: str) -> Inputs:
        """What `benchmarks.speed.inputs.write` has written.

        Args:
          folder: where it lies.
          net: a name of `CASES`.
          weights: `paths` or `torch`.
        """
        with np.load(folder / f"{net}_examples.npz") as found:
            examples, labels = found["examples"], found["labels"]
        with np.load(folder / f"{net}_{weights}.npz") as found:
            return cls(examples, labels, dict(found))


def draw_examples(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Examples (BATCHES * b, ...) as `Inputs` has them and labels int32, always the same."""
    random = np.random.default_rng(0)
    count = BATCHES * case.batch
    if case.kind == "series":
        examples = random.normal(MEAN, STD, (count, *case.shape)).astype(np.float32)
    elif case.kind == "tokens":
        examples = random.integers(2, case.words + 2, (count, *case.shape), np.int32)
        # Sentences end where they will, and are filled up with padding.
        ends = random.integers(5, case.side + 1, (count, 1))
        examples = np.where(np.arange(case.side) < ends, examples, 0).astype(np.int32)
    elif case.kind == "sound":
        # The least number would be the end of a sound.
        examples = random.integers(1 - 2**15, 2**15, (count, *case.shape), np.int16)
    else:
        examples = random.integers(0, 256, (count, *case.shape), np.uint8)
    return examples, random.integers(0, case.classes, count, np.int32)
