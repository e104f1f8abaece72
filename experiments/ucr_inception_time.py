"""One network of InceptionTime on sets of the UCR archive.

Ismail Fawaz et al. 2020, https://arxiv.org/abs/1909.04939, whose InceptionTime averages five such
nets after 1,500 epochs. Here it is 600 steps of 16 series, with the learning rate falling as a
cosine. All training series are learnt from, and the last state is tested: nothing is chosen. The
sets are `ucr:NAME`, or the archive's own files as `series:FOLDER`.

Command: python experiments/ucr_inception_time.py --data.name ucr:ItalyPowerDemand --seeds 3
Hardware and time: two CPU cores (AMD EPYC, AVX2), a minute a seed, with other jobs beside it
Expected: test accuracy 96.60 ± 0.26 % (n=3); published for one such net 96.42 ± 0.53 % (n=5)

With `--data.name ucr:GunPoint` 99.67 % (100.00 and 99.33, n=2), where 100 % is published; with
`--data.name ucr:ArrowHead` 82.29 % (n=1), where 84.69 ± 2.54 % (n=5) is. Their times were not
taken.
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
    name="ucr_inception_time",
    data=Data("ucr:GunPoint", validation=0),
    model=Model("inception_time"),
    optimizer=Optimizer("adam", learning_rate=1e-3),
    schedule=Schedule("cosine"),
    checkpoints=Checkpoints(every=percent(20)),
    batch_size=16,
    duration=steps(600),
    validate_every=percent(10),
    log_every=percent(10),
)

if __name__ == "__main__":
    main(recipe)
