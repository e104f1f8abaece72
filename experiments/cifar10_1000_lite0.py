"""What pretraining is worth: EfficientNet-Lite0 on 1,000 images of CIFAR-10, enlarged to 80 pixels.

All layers are fine-tuned from ImageNet weights, the new last layer at ten times the learning rate.
The same net from scratch, with the same number of steps, is

    python experiments/cifar10_1000_lite0.py --seeds 3 --init-from None \
        --optimizer.learning-rate 0.05 --optimizer.factors --name cifar10_1000_scratch

Command: python experiments/cifar10_1000_lite0.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 4 minutes
Expected: test accuracy 66.8 % (n=1) on all 10,000 test images; from scratch 32.8 ± 2.3 % (n=3).
  With a last layer that started from random values instead of zero, it was 61.3 ± 2.3 % (n=3)
"""

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Init,
    Model,
    Optimizer,
    Preprocess,
    Recipe,
    Schedule,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="cifar10_1000_lite0",
    data=Data("cifar10", validation=500, examples=1000),
    # As the published weights were trained: (x - 127) / 128 for x from 0 to 255.
    preprocess=Preprocess(size=80, mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
    augment=Augment(pad_crop=4, mirror="random"),
    # 200 steps are few for running statistics that keep 0.99 a step.
    model=Model("efficientnet_lite0", options={"norm_momentum": 0.9}),
    init=Init("imagenet", new_head=True),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.01,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=1e-4,
        factors=("^head/=10",),
    ),
    schedule=Schedule("one_cycle", warmup=percent(20)),
    batch_size=50,
    duration=epochs(10),
    validate_every=epochs(5),
    checkpoints=Checkpoints(every=epochs(5)),
)

if __name__ == "__main__":
    main(recipe)
