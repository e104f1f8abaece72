"""Nets for series on sets of the UCR and UEA archives.

FCN and ResNet of Wang, Yan, Oates 2016 (https://arxiv.org/abs/1611.06455), who train for 2,000 and
1,500 epochs, and one network of InceptionTime (Ismail Fawaz et al. 2020,
https://arxiv.org/abs/1909.04939), which averages five such nets after 1,500 epochs. Here all are
600 steps of 16 series, with the learning rate falling as a cosine. All training series are learnt
from, and the last state is tested: nothing is chosen. `--model.name` is the net, fcn1d, resnet1d or
inception_time; sets are `ucr:NAME`, or the archive's own files as `series:FOLDER`.

FCN is better in the paper's own batches, a tenth of the training series and 16 at most.

Command: python experiments/ucr.py --model.name fcn1d --data.name ucr:ItalyPowerDemand --batch 6
  --duration 3000steps --seeds 3
Hardware and time: two CPU cores (AMD EPYC, AVX2), 45 s a seed, with many jobs beside it
Expected: test accuracy 96.47 ± 0.11 % (n=3); published for a re-run of the paper's recipe
  96.29 ± 0.11 % (n=5). Other nets and sets stand in docs/series.md
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
    model=Model("inception_time"),
    optimizer=Optimizer("adam", learning_rate=1e-3),
    schedule=Schedule("cosine"),
    checkpoints=Checkpoints(every=percent(25)),
    batch_size=16,
    duration=steps(600),
    log_every=percent(10),
)

if __name__ == "__main__":
    main(recipe)
