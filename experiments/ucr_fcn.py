"""Nets for series on the sets of the UCR archive: FCN, as Wang et al. trained it.

Wang, Yan, Oates 2016, https://arxiv.org/abs/1611.06455.
"""

from cnn_jax import (
    Checkpoints,
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    main,
    percent,
    steps,
)

recipe = Recipe(
    name="ucr_fcn",
    data=Data("ucr:GunPoint", validation=0),
    model=Model("fcn1d"),
    optimizer=Optimizer("adam", learning_rate=1e-3),
    schedule=Schedule("cosine"),
    checkpoints=Checkpoints(every=percent(25)),
    batch_size=16,
    duration=steps(600),
    log_every=percent(10),
)

if __name__ == "__main__":
    main(recipe)
