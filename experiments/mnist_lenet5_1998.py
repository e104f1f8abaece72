"""LeNet-5 on MNIST as LeCun et al. 1998 have it: 60,000 parameters, RBF output."""

from cnn_jax import (
    Augment,
    Data,
    Loss,
    Model,
    Optimizer,
    Preprocess,
    Recipe,
    Schedule,
    epochs,
    main,
)

recipe = Recipe(
    name="mnist_lenet5_1998",
    data=Data("mnist", validation=5000),
    # The paper's input: background -0.1, foreground 1.175.
    preprocess=Preprocess(size=32, fit="pad", mean=(0.1 / 1.275,), std=(1 / 1.275,)),
    augment=Augment(translation=0.06, rotation=8.0, scale=0.08),
    model=Model("lenet5"),
    loss=Loss("map"),
    optimizer=Optimizer("adam", learning_rate=2e-3),
    schedule=Schedule("one_cycle", warmup=epochs(2)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
