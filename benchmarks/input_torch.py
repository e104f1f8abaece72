"""Images/s of PyTorch's DataLoader; see input_pipelines.py.

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
from PIL import Image

SIDE = 224
AREA, LOG_ASPECT = (0.08, 1.0), (math.log(3 / 4), math.log(4 / 3))


def random_part(image: Image.Image) -> Image.Image:
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
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


class Photos(torch.utils.data.Dataset):
    """JPEG files in a folder for every class: (image (h, w, c) uint8, label)."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*/*.jpg"))
        names = sorted({file.parent.name for file in self.files})
        self.labels = [names.index(file.parent.name) for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.files[index]) as file:
            image = random_part(file.convert("RGB"))
        return torch.from_numpy(np.array(image)), self.labels[index]


def main(folder: str, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints images/s."""
    dataset = Photos(Path(folder, "train"))
    sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=10**9)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=workers, drop_last=True
    )
    batches = iter(loader)
    for _ in range(warm):
        next(batches)
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        next(batches)
        count += batch_size
    print(count / (now - began))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]))
