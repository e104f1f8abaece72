"""A small CNN on Fashion-MNIST."""

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, Schedule, epochs, main

recipe = Recipe(
    name="fashion_mnist_cnn",
    data=Data("fashion_mnist", validation=5000),
    augment=Augment(pad_crop=2, mirror="random"),
    model=Model(
        "simple_cnn",
        options={"widths": (32, 64), "hidden": (128,), "norm": "batch", "dropout": 0.3},
    ),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.05,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=5e-4,
    ),
    schedule=Schedule("one_cycle", warmup=epochs(3)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
