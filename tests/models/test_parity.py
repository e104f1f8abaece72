"""Logits and activations against the originals of torchvision and timm.

The references were made by `references/make.py`, which tells how; no PyTorch is needed here.
"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references.originals import CLASSES, ORIGINALS, TRAINED
from references.synthetic import clips, images, some, summary, weight

from cnn_jax import models
from cnn_jax.models.activations import LOGITS
from cnn_jax.models.cost import shapes
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.names import export_weights, import_weights
from cnn_jax.pretrained.naming import best_naming

FOLDER = Path(__file__).parent / "references"
NAMES = sorted(file.stem for file in FOLDER.glob("*.npz"))
# Second variants of a family, families whose blocks another one has, and the deepest nets, which
# take the longest to compile.
SECOND = {
    "convnext_tiny",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "densenet121",
    "efficientnet_lite0",
    "googlenet",
    "inception_v3",
    "lraspp_mobilenet_v3_large",
    "mc3_18",
    "mobilenet_v1",
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "r3d_18",
    "resnext50_32x4d",
    "seresnet50",
    "squeezenet1_1",
    "vgg11",
}


def state_dict(reference):
    """The weights that the original was given."""
    shapes = json.loads(str(reference["about"]))["shapes"]
    return {name: weight(name, tuple(shape)) for name, shape in shapes.items()}


def imported(name, tensors, **options):
    """Our model with these weights, and the naming that fitted."""
    size, hidden = ORIGINALS[name].size, ORIGINALS[name].hidden
    options = {**ORIGINALS[name].ours, **options}
    if hidden:
        options["hidden"] = (hidden, hidden)
    module = models.create(name, CLASSES, **options)
    frames = (ORIGINALS[name].frames,) * bool(ORIGINALS[name].frames)
    template = shapes(module, (*frames, size, size, 3))
    naming = best_naming(name, tensors, paths(template), name)
    variables, report = import_weights(
        tensors, template, naming.names, naming.flattened, optional=naming.optional, source=name
    )
    assert report.left_out == ()
    return module, variables, naming


def error(found, wanted):
    """The largest deviation, in terms of the largest value."""
    return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())


def errors(name, module, variables, reference):
    """The error of each activation of the model and of its logits."""
    original = ORIGINALS[name]
    apply = functools.partial(models.activations, module, names=(*original.stages, LOGITS))
    given = images(2, original.size)
    if original.frames:
        given = clips(2, original.frames, original.size)
    found = jax.jit(apply)(variables, given)
    stages = zip(original.stages, reference["activations"], strict=True)
    return {
        **{stage: error(summary(found[stage]), wanted) for stage, wanted in stages},
        LOGITS: error(some(found[LOGITS]), reference["logits"]),
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SECOND)) for name in NAMES],
)
def test_import_forward_and_export_are_those_of_the_original(name):
    reference = np.load(FOLDER / f"{name}.npz")
    tensors = state_dict(reference)
    module, variables, naming = imported(name, tensors)

    found = errors(name, module, variables, reference)
    assert len(found) >= 4
    assert max(found.values()) < 1e-4, found

    exported = export_weights(variables, naming.names, naming.flattened, ones=naming.ones)
    assert exported.keys() == {key for key in tensors if not key.endswith("num_batches_tracked")}
    for key, array in exported.items():
        np.testing.assert_array_equal(array, tensors[key], err_msg=key, strict=True)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in TRAINED],
)
def test_a_training_step_is_that_of_the_original(name):
    reference = np.load(FOLDER / f"{name}.npz")
    tensors = state_dict(reference)
    module, variables, naming = imported(name, tensors, dropout=0.0)

    def loss_of(params, x):
        state = {**variables, "params": params}
        logits, new = module.apply(state, x, train=True, mutable=["batch_stats"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(8))
        return losses.mean(), new

    # In double precision, since a sum that a ReLU cuts off or not changes gradients at once.
    with jax.enable_x64(True):
        module = module.clone(dtype="float64")
        variables = jax.tree.map(lambda x: x.astype(np.float64), variables)
        step = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
        (loss, new), gradient = step(variables["params"], images(8, ORIGINALS[name].size))
    assert error(loss, reference["loss"]) < 1e-6

    found = export_weights({"params": gradient, **new}, naming.names, naming.flattened)
    names = [key for key in tensors if not key.endswith("num_batches_tracked")]
    assert sorted(found) == sorted(names)
    rows = zip(names, reference["trained"], reference["elements"], strict=True)
    for key, wanted, n in rows:
        value = found[key]
        if key.endswith("running_var"):
            # PyTorch divides by n - 1 for the running variance, flax by n.
            value = 0.9 * tensors[key] + (value - 0.9 * tensors[key]) * n / (n - 1)
        # Biases before a batch normalisation have a gradient of 0, but for rounding.
        np.testing.assert_allclose(
            summary(value.reshape(1, -1)),
            wanted,
            rtol=0,
            atol=1e-5 * np.abs(wanted).max() + 1e-9,
            err_msg=key,
        )


def test_every_original_has_its_reference():
    assert sorted(ORIGINALS) == NAMES
