"""ResNet-20 on CIFAR-10 with Muon: 93.5 % in 50 epochs; the paper took 182 epochs for 91.25 %.

The net is that of He et al. 2015, section 4.2. Its kernels and the last layer are trained with Muon
(Jordan 2024, https://kellerjordan.github.io/posts/muon/), biases and scales with Adam, as in
`optax.contrib.muon`. Augmentation is that of airbench94 (https://arxiv.org/abs/2404.00498): images
are reflected at the border before they are cropped, and mirrored in every other epoch. As there,
all 50,000 training images are used for training, nothing is validated, and the last state is tested
on six views of each image. Learning rate and weight decay were not searched for. Their product,
1e-3, is what the recipe of `cifar10_resnet20` takes off the kernels in a step: 0.2 times 5e-4 times
the ten steps that momentum sums up.

Command: python experiments/cifar10_resnet20_muon.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 118 minutes
Expected: test accuracy 93.53 % (n=1, seed 0) on the 10,000 test images; 92.46 % from one view
"""

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    epochs,
    main,
    percent,
    steps,
)

recipe = Recipe(
    name="cifar10_resnet20_muon",
    data=Data("cifar10", validation=0),
    augment=Augment(pad_crop=4, pad_mode="reflect", mirror="alternating"),
    model=Model("resnet20"),
    loss=Loss(label_smoothing=0.1),
    optimizer=Optimizer(
        "muon",
        learning_rate=0.02,
        options={"beta": 0.9},
        weight_decay=0.05,
        factors=("norm=0.25",),
    ),
    schedule=Schedule("linear", warmup=percent(10)),
    batch_size=128,
    duration=epochs(50),
    views="six",
    log_every=steps(100),
    checkpoints=Checkpoints(every=steps(1000)),
)

if __name__ == "__main__":
    main(recipe)
