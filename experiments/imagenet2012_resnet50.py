"""ResNet-50 on ImageNet in 90 epochs: the recipe of Goyal et al. 2017, https://arxiv.org/abs/1706.02677.

As in the paper: learning rate 0.1 for each 256 examples of a batch, reached in 5 epochs; Nesterov
momentum 0.9; weight decay 1e-4, not on norms and biases; crops of 8 to 100 % of the area and mirror
images; the last norm of every block starts at 0. Different from the paper: the rate falls as a
cosine, and label smoothing is 0.1, as in the ImageNet example of flax; batch statistics are those
of the whole batch of 1024; colours are not changed. 10,000 images, about ten of each class, are cut
from train to choose the checkpoint; the 50,000 of the catalog's validation part are the test.

Goyal et al. reach 76.3 % (top-1 error 23.74 ± 0.09).

Command: python experiments/imagenet2012_resnet50.py --data-dir WHERE/TFDS/LIES
Expected: not run on ImageNet yet; on a small generated set of its name it runs from end to end
(tests/runs/test_imagenet_recipes.py)
"""

from cnn_jax import (
    Augment,
    Data,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    epochs,
    main,
)

BATCH_SIZE = 1024

recipe = Recipe(
    name="imagenet2012_resnet50",
    data=Data(
        "imagenet2012",
        validation=10_000,
        image_size=224,
        streaming=True,
        random_crop=(0.08, 1.0),
        central_crop=0.875,
    ),
    augment=Augment(mirror="random"),
    model=Model("resnet50", dtype="bfloat16", options={"zero_scale": True}),
    loss=Loss("cross_entropy", label_smoothing=0.1),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.1 * BATCH_SIZE / 256,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=1e-4,
    ),
    schedule=Schedule("cosine", warmup=epochs(5)),
    batch_size=BATCH_SIZE,
    duration=epochs(90),
)

if __name__ == "__main__":
    main(recipe)
