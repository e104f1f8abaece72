"""simple_cnn on CIFAR-10: three convolutions with batch normalisation, crops and mirror images.

A small net to start from, which trains in minutes on a CPU. It reproduces no paper.

Command: python experiments/cifar10_cnn.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 19 minutes beside other jobs
Expected: test accuracy 83.1 % (n=1) on all 10,000 test images
"""

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, Schedule, epochs, main, percent

recipe = Recipe(
    name="cifar10_cnn",
    data=Data("cifar10", validation=5000),
    augment=Augment(pad_crop=4, mirror="random"),
    model=Model(
        "simple_cnn",
        options={"widths": (32, 64, 128), "hidden": (256, 128), "norm": "batch"},
    ),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.05,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=5e-4,
    ),
    schedule=Schedule("one_cycle", warmup=percent(26.67)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
