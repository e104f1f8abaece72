"""A narrow airbench net on Fashion-MNIST: 94 % within twenty minutes of two CPU cores.

The recipe of `cifar10_airbench94.py` (Jordan 2024, https://arxiv.org/abs/2404.00498), with a net of
a fifth of the operations (21 million multiply-adds for an image), smaller batches, and cutout. A
validation part is held out, and chooses the checkpoint that is tested.

For comparison, the README of the data set (https://github.com/zalandoresearch/fashion-mnist) has
94.9 % for ResNet-18, and 92.2 to 92.5 % for nets of two convolutions.

Command: python experiments/fashion_mnist_airbench.py
Expected: 94.5 % (n=1, seed 0), 18.5 minutes in training steps on two CPU cores
"""

from cnn_jax import (
    Augment,
    Data,
    Lookahead,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="fashion_mnist_airbench",
    data=Data("fashion_mnist", validation=2000),
    augment=Augment(pad_crop=2, pad_mode="reflect", mirror="alternating", cutout=6),
    model=Model("airbench94", options={"widths": (32, 128, 128)}),
    loss=Loss(label_smoothing=0.1),
    optimizer=Optimizer(
        "sgd",
        # Half that of CIFAR-10 for half the batch: steps of the same length an epoch.
        learning_rate=0.75,
        options={"momentum": 0.85, "nesterov": True},
        weight_decay=0.0153 / 11.5,
        decay=".",
        factors=(r"/norm\d/bias$=64",),
        decay_factors=(r"/norm\d/bias$=0.015625",),
        until=("^whitening/bias$=3epochs",),
    ),
    schedule=Schedule("linear", warmup=percent(23), initial=0.2, final=0.07),
    lookahead=Lookahead(every=5, decay=0.95**5, power=3),
    batch_size=512,
    duration=epochs(12),
    views="six",
)

if __name__ == "__main__":
    main(recipe)
