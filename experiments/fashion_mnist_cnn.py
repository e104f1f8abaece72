"""A small CNN on Fashion-MNIST.

For comparison, nets of two convolutions reach 92.2 to 92.5 % in the README of the data set
(https://github.com/zalandoresearch/fashion-mnist).

Command: python experiments/fashion_mnist_cnn.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 19 minutes beside other jobs
Expected: test accuracy 92.6 % (n=1) on all 10,000 test images
"""

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, Schedule, epochs, main, percent

recipe = Recipe(
    name="fashion_mnist_cnn",
    data=Data("fashion_mnist", validation=5000),
    augment=Augment(pad_crop=1, mirror="random"),
    model=Model(
        "simple_cnn",
        options={"widths": (32, 64, 128), "hidden": (128,), "norm": "batch", "dropout": 0.3},
    ),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.05,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=5e-4,
    ),
    schedule=Schedule("one_cycle", warmup=percent(16.66)),
    batch_size=128,
    duration=epochs(12),
)

if __name__ == "__main__":
    main(recipe)
