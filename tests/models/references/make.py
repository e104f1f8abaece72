"""Makes the references of `test_parity.py`: what the originals make of synthetic weights.

    python tests/models/references/make.py [NAME ...]

writes NAME.npz beside this file for each model of `originals.ORIGINALS`, or for those named.
Needs PyTorch, torchvision and timm, which the tests do not; each file holds the versions that it
was made with. Those here were made on a CPU with PyTorch 2.14.1, torchvision 0.29.1, timm 1.0.

A file holds

    about         JSON: versions, the original, names and shapes of its state dict
    logits        (2, 10), of two images; of nets that tell every pixel, the `some` of them
    activations   (n, 18), of each of `Original.stages` the `synthetic.summary`

and for the models of `originals.TRAINED`, of a training step on 8 images with labels 0 to 7

    loss          the mean cross-entropy
    trained       (t, 18), of each tensor of the state dict, the counts excepted, the summary of
                  its gradient or, of running statistics, of its new value
    elements      (t,) over how many elements running statistics were taken, 0 of gradients
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from originals import CLASSES, ORIGINALS, TRAINED
from synthetic import clips, images, some, summary, weight

FOLDER = Path(__file__).parent


def build(original):
    """The original with synthetic weights, to be evaluated."""
    module, _, name = original.constructor.rpartition(".")
    constructor = getattr(importlib.import_module(module), name)
    model = constructor(num_classes=CLASSES, **original.options)
    if original.hidden:
        narrow(model.classifier, original.hidden)
    state = {
        name: torch.from_numpy(np.array(weight(name, tuple(tensor.shape))))
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()


def narrow(layers, hidden):
    """Gives all dense layers but the last so many units."""
    places = [place for place, layer in enumerate(layers) if isinstance(layer, torch.nn.Linear)]
    for place in places:
        layer = layers[place]
        inputs = layer.in_features if place == places[0] else hidden
        outputs = layer.out_features if place == places[-1] else hidden
        layers[place] = torch.nn.Linear(inputs, outputs)


def channels_last(tensor):
    """(b, c, h, w) as (b, h, w, c), the same with frames; (b, c) as it is."""
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim >= 4 else array


def batch(count, size, frames=0):
    """Images (b, c, h, w), or clips (b, c, t, h, w)."""
    if frames:
        array = clips(count, frames, size).transpose(0, 4, 1, 2, 3)
        return torch.from_numpy(np.ascontiguousarray(array))
    return torch.from_numpy(np.ascontiguousarray(images(count, size).transpose(0, 3, 1, 2)))


def forward(model, original):
    """Logits, and a summary of each activation."""
    found = {}

    def keep(at):
        def hook(module, inputs, output):
            # At once, since what follows may work in place.
            found[at] = summary(channels_last(inputs[0] if at.endswith("<") else output))

        return hook

    handles = [
        model.get_submodule(at.removesuffix("<")).register_forward_hook(keep(at))
        for at in original.stages.values()
    ]
    with torch.no_grad():
        logits = model(batch(2, original.size, original.frames))
    logits = logits["out"] if isinstance(logits, dict) else logits
    for handle in handles:
        handle.remove()
    return {
        "logits": some(channels_last(logits)),
        "activations": np.stack([found[at] for at in original.stages.values()]),
    }


def training_step(model, original):
    """Loss, gradients and new running statistics of a training step without dropout.

    In double precision, since a sum that a ReLU cuts off or not changes gradients at once.
    """
    model.double().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    elements = {}

    def count(name):
        def hook(module, inputs):
            elements[name] = inputs[0].numel() // inputs[0].shape[1]

        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(count(name))
    loss = torch.nn.functional.cross_entropy(
        model(batch(8, original.size).double()), torch.arange(8)
    )
    loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    found |= dict(model.named_buffers())
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    return {
        "loss": np.float32(loss.item()),
        "trained": np.stack([summary(found[name].numpy().reshape(1, -1)) for name in names]),
        "elements": np.int32(
            [elements[name.rpartition(".")[0]] if "running" in name else 0 for name in names]
        ),
    }


def make(name):
    """Writes the reference of a model; returns a line about it."""
    original = ORIGINALS[name]
    model = build(original)
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    about = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "original": f"{original.constructor}({original.options or ''})",
        "shapes": shapes,
    }
    found = forward(model, original)
    if name in TRAINED:
        found |= training_step(model, original)
    for key, value in found.items():
        assert np.isfinite(value).all(), key
    logits = found["logits"]
    spread, apart = logits.std(axis=-1).min(), np.abs(logits[0] - logits[1]).max()
    # Were most units saturated or dead, agreement would mean little.
    assert apart > 1e-2 * np.abs(logits).max() > 0, (name, logits)
    np.savez_compressed(FOLDER / f"{name}.npz", about=json.dumps(about), **found)
    size = (FOLDER / f"{name}.npz").stat().st_size
    return f"{name}: {len(shapes)} tensors, logits' deviation {spread:.3g}, {size:,} bytes"


if __name__ == "__main__":
    torch.manual_seed(0)
    for chosen in sys.argv[1:] or ORIGINALS:
        print(make(chosen), flush=True)
