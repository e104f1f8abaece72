"""Convolutional networks: one family a file, created by name."""

# Importing a family fills the table of `registry`.
from cnn_jax.models import (
    alexnet,
    densenet,
    googlenet,
    inception_v3,
    lenet5,
    lenet5_relu,
    nin,
    preact_resnet,
    resnet,
    resnet_cifar,
    simple_cnn,
    squeezenet,
    vgg,
    wide_resnet,
)
from cnn_jax.models.activations import activation_names, activations
from cnn_jax.models.cost import count, describe, multiply_adds, parameter_count
from cnn_jax.models.registry import Entry, create, entry, names, register

__all__ = [
    "Entry",
    "activation_names",
    "activations",
    "alexnet",
    "count",
    "create",
    "densenet",
    "describe",
    "entry",
    "googlenet",
    "inception_v3",
    "lenet5",
    "lenet5_relu",
    "multiply_adds",
    "names",
    "nin",
    "parameter_count",
    "preact_resnet",
    "register",
    "resnet",
    "resnet_cifar",
    "simple_cnn",
    "squeezenet",
    "vgg",
    "wide_resnet",
]
