"""LeNet-5 in its modern form on MNIST."""

from cnn_jax import (
    Augment,
    Data,
    Model,
    Optimizer,
    Preprocess,
    Recipe,
    Schedule,
    epochs,
    main,
)

recipe = Recipe(
    name="mnist_lenet5",
    data=Data("mnist", validation=5000),
    preprocess=Preprocess(size=32, fit="pad"),
    augment=Augment(translation=0.08, rotation=10.0, scale=0.1),
    model=Model("lenet5_relu"),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.05,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=5e-4,
    ),
    schedule=Schedule("one_cycle", warmup=epochs(2)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
