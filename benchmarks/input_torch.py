"""Images/s of PyTorch's DataLoader with torchvision's transforms; see input_pipelines.py."""

import sys
import time

import torch
from torchvision import datasets, transforms


def main(folder: str, batch_size: int, workers: int, warm: int, seconds: float) -> None:
    """Prints images/s."""
    change = transforms.Compose(
        [transforms.RandomResizedCrop(224), transforms.PILToTensor()]  # uint8, as ours
    )
    dataset = datasets.ImageFolder(f"{folder}/train", change)
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
