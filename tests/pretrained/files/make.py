"""Makes zip.pth and legacy.pth, as torch.save itself writes them; run with PyTorch 2.14.1."""

from pathlib import Path

import torch

FOLDER = Path(__file__).parent

state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
for index, tensor in enumerate(state.values()):
    # Counts from 100 times the tensor's place in the state dict.
    tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + 100 * index)
numbers = torch.arange(12.0).reshape(3, 4)
state["transposed"] = numbers.T
state["part"] = numbers[1:, ::2]
state["half"] = torch.tensor([1.5, -2], dtype=torch.float16)
state["brain"] = torch.tensor([1.5, -123.5], dtype=torch.bfloat16)
state["parameter"] = torch.nn.Parameter(torch.ones(2))
torch.save(state, FOLDER / "zip.pth")
torch.save(
    {"epoch": 3, "state_dict": state},
    FOLDER / "legacy.pth",
    _use_new_zipfile_serialization=False,
)
