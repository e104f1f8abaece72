"""The age of a face from a picture of 64 pixels: a small CNN from scratch.

The data are a part of UTKFace: the training part has 2,919 faces of 1 to 110 years, a third of them
under ten. Results that are published for other parts cannot be compared with these. To predict the
mean age of the training part for everyone is wrong by 20.5 years on average.

Command: python experiments/utkface_age_cnn.py --data.name csv:labels.csv --seeds 3
Hardware and time: two CPU cores (AMD EPYC, AVX2), 5.5 minutes a seed, with other jobs beside it
Expected: mean absolute error 8.12 ± 0.18 years (n=3) on the 496 test faces, RMSE 11.33 ± 0.05
"""

from cnn_jax import (
    Augment,
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="utkface_age_cnn",
    data=Data("csv:data/utkface/labels.csv", image_size=64),
    task=Task("regression"),
    augment=Augment(
        mirror="random", translation=0.06, rotation=10, scale=0.1, brightness=0.2, contrast=0.2
    ),
    model=Model(
        "simple_cnn",
        options={"widths": (32, 64, 128, 128), "norm": "batch", "hidden": (128,), "dropout": 0.3},
    ),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=percent(5)),
    batch_size=64,
    duration=epochs(30),
    validate_every=epochs(2),
)

if __name__ == "__main__":
    main(recipe)
