"""Nets for series on sets of the UCR and UEA archives.

FCN and ResNet of Wang, Yan, Oates 2016 (https://arxiv.org/abs/1611.06455), who train for 2,000 and
1,500 epochs, and one network of InceptionTime (Ismail Fawaz et al. 2020,
https://arxiv.org/abs/1909.04939), which averages five such nets after 1,500 epochs. Here all are
3,000 steps, with the learning rate falling as a cosine. All training series are learnt from, and
the last state is tested: nothing is chosen. `--model.name` is the net, fcn1d, resnet1d or
inception_time; sets are `ucr:NAME`, or the archive's own files as `series:FOLDER`. Batches of FCN
are the paper's: `--batch` is a tenth of the training series, 16 at most.

Command: python experiments/ucr.py --seeds 5
Hardware and time: two CPU cores (AMD EPYC, AVX-512), 22 s a seed, with other jobs beside it
Expected: test accuracy 100.0 ± 0 % on GunPoint (n=5); published for a re-run of the paper's recipe
  100.0 ± 0 (n=5). Other nets and sets stand in docs/series.md
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
