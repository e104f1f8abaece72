"""The age of a face: EfficientNet-Lite0 from ImageNet weights, at 80 pixels.

All layers are fine-tuned, the new last one at four times the rate. The data are those of
`utkface_age_cnn.py`.

Command: python experiments/utkface_age_lite0.py --data.name csv:labels.csv --seeds 3
"""

from cnn_jax import (
    Augment,
    Data,
    Init,
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
    name="utkface_age_lite0",
    data=Data("csv:data/utkface/labels.csv", image_size=80),
    task=Task("regression"),
    augment=Augment(mirror="random", translation=0.05, rotation=8, brightness=0.2, contrast=0.2),
    model=Model("efficientnet_lite0", options={"norm_momentum": 0.9}),
    init=Init("imagenet", new_head=True),
    optimizer=Optimizer("adamw", learning_rate=5e-4, weight_decay=0.01, factors=("^head/=4",)),
    schedule=Schedule("one_cycle", warmup=percent(20)),
    batch_size=50,
    duration=epochs(3),
    validate_every=epochs(1),
)

if __name__ == "__main__":
    main(recipe)
