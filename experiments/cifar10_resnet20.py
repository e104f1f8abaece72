"""ResNet-20 on CIFAR-10: the recipe of He et al. 2015, section 4.2, in a twelfth of its steps.

The net, the 45,000/5,000 split, the crops and mirror images and the batch of 128 are the paper's.
The paper trains for 64,000 steps (182 epochs) at learning rate 0.1, which is reduced twice. Here
there are 15 epochs. For these the rate rises to 0.2 and falls again as cosines (one-cycle), the
momentum is Nesterov's, and the weight decay is 5e-4 instead of 1e-4. The paper reaches 91.25 %.

Command: python experiments/cifar10_resnet20.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 80 minutes beside other jobs
Expected: test accuracy 88.3 % (n=1) on all 10,000 test images
"""

from cnn_jax import Augment, Data, Model, Optimizer, Recipe, Schedule, epochs, main, percent

recipe = Recipe(
    name="cifar10_resnet20",
    data=Data("cifar10", validation=5000),
    augment=Augment(pad_crop=4, mirror="random"),
    model=Model("resnet20"),
    optimizer=Optimizer(
        "sgd",
        learning_rate=0.2,
        options={"momentum": 0.9, "nesterov": True},
        weight_decay=5e-4,
    ),
    schedule=Schedule("one_cycle", warmup=percent(20)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
