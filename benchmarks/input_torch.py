"""PyTorch's DataLoader; see input_pipelines.py.

An example is decoded, cut out and resized by Pillow, as torchvision does it (`RandomResizedCrop`
of an image that Pillow has read); torchvision itself is not needed.
"""

import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from input_measured import measured
from PIL import Image

AREA, LOG_ASPECT = (0.08, 1.0), (math.log(3 / 4), math.log(4 / 3))


def random_part(image: Image.Image, side: int) -> Image.Image:
    """A random part, resized; the whole image where none of ten fits."""
    width, height = image.size
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        aspect = math.exp(random.uniform(*LOG_ASPECT))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            image = image.crop((left, top, left + w, top + h))
            break
    return image.resize((side, side), Image.Resampling.BILINEAR)


class Photos(torch.utils.data.Dataset):
    """Files in a folder for every class: (image (h, w, c) uint8, label)."""

    def __init__(self, folder: Path, side: int) -> None:
        self.files, self.side = sorted(folder.glob("*/*.*")), side
        names = sorted({file.parent.name for file in self.files})
        self.labels = [names.index(file.parent.name) for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.files[index]) as file:
            image = random_part(file.convert("RGB"), self.side)
        return torch.from_numpy(np.array(image)), self.labels[index]


def main(folder: str, side: int, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints what is measured."""
    began = time.perf_counter()
    dataset = Photos(Path(folder, "train"), side)
    sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=10**9)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=workers, drop_last=True
    )
    measured(iter(loader), began, batch_size, warm, seconds)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]))
