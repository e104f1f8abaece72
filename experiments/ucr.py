"""Nets for series on sets of the UCR and UEA archives.

FCN and ResNet are those of Wang, Yan, Oates 2016 (https://arxiv.org/abs/1611.06455), who train for
2,000 and 1,500 epochs. InceptionTime (Ismail Fawaz et al. 2020, https://arxiv.org/abs/1909.04939)
averages five nets after 1,500 epochs; here it is one such net. All are trained for 3,000 steps
here, and the learning rate falls as a cosine. All training series are used for training, and the
last state is tested: nothing is chosen by validation. `--model.name` is fcn1d, resnet1d or
inception_time; data are `ucr:NAME`, or the files of the archive as `series:FOLDER`. For FCN, give
the batch of the paper: `--batch` is a tenth of the training series, at most 16.

Command: python experiments/ucr.py --seeds 5
Hardware and time: two CPU cores (AMD EPYC, AVX-512), 22 s a seed, with other jobs beside it
Expected: test accuracy 100.0 ± 0 % on GunPoint (n=5); published for a re-run of the paper's recipe
  100.0 ± 0 (n=5). Other nets and sets are in docs/series.md
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
    name="ucr",
    data=Data("ucr:GunPoint", validation=0),
    model=Model("fcn1d"),
    optimizer=Optimizer("adam", learning_rate=1e-3),
    schedule=Schedule("cosine"),
    checkpoints=Checkpoints(every=percent(25)),
    batch_size=5,
    duration=steps(3000),
    log_every=percent(10),
)

if __name__ == "__main__":
    main(recipe)
