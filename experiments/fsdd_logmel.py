"""A small net on log-mel pictures of spoken digits.

The Free Spoken Digit Dataset has 3,000 recordings of ten digits by six speakers, at 8,000 samples a
second. Its own test part is recordings 0 to 4 of each speaker and digit. A harder test, which says
more about a new voice, is to leave out one speaker after the other (`--folds 6`). All other
recordings are used for training, and the last state is tested: nothing is chosen by validation.

Command: python experiments/fsdd_logmel.py --data.name sound:FOLDER --seeds 3
Command: python experiments/fsdd_logmel.py --data.name sound:FOLDER --folds 6
Hardware and time: two CPU cores (AMD EPYC, AVX2), 1.5 minutes a run
Expected: 100.0 ± 0.0 % on its own test part (n=3); 88.9 ± 6.4 % on speakers left out (n=6)

FOLDER is the folder of the data set, with files named DIGIT_SPEAKER_INDEX.wav.
"""

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Sound,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="fsdd_logmel",
    data=Data("sound:fsdd", validation=0),
    sound=Sound(
        window=0.64,
        fft=256,
        hop=160,
        bands=24,
        shift=0.1,
        stretch=0.08,
        time_masks=1,
        time_width=6,
        band_masks=1,
        band_width=4,
    ),
    augment=Augment(mixup=0.3),
    model=Model("logmel_cnn", options={"widths": (16, 32, 64, 128), "dropout": 0.4}),
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=percent(10)),
    checkpoints=Checkpoints(every=percent(50)),
    batch_size=64,
    duration=epochs(25),
    validate_every=percent(25),
    log_every=percent(5),
)

if __name__ == "__main__":
    main(recipe)
