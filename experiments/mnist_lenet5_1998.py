"""LeNet-5 on MNIST as it was in 1998: 60,000 parameters, trainable subsampling, RBF output.

Reproduces: LeCun et al. 1998, "Gradient-based learning applied to document recognition", who
report 99.05 % on the test images, and 99.2 % with distorted training images. The net, its initial
values and its loss are those of the paper. Adam with a one-cycle schedule takes the place of the
stochastic Levenberg-Marquardt method, and the distortions are small rotations, shifts and changes
of size.

Command: python experiments/mnist_lenet5_1998.py
Hardware and time: two CPU cores (AMD EPYC, AVX2), 5 minutes for a run beside other jobs
Expected: test accuracy 99.05 ± 0.01 % (n=2) on all 10,000 test images (--seeds 2)
"""

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
    percent,
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
    schedule=Schedule("one_cycle", warmup=percent(13.33)),
    batch_size=128,
    duration=epochs(15),
)

if __name__ == "__main__":
    main(recipe)
