"""draft"""

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
        bands=32,
        stretch=0.2,
        shift=0.1,
        time_masks=1,
        time_width=6,
        band_masks=1,
        band_width=5,
    ),
    augment=Augment(mixup=0.2),
    model=Model("logmel_cnn", options={"widths": (16, 32, 64, 128)}),
    optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=0.01),
    schedule=Schedule("cosine", warmup=percent(10)),
    checkpoints=Checkpoints(every=percent(50)),
    batch_size=64,
    duration=epochs(15),
    validate_every=percent(25),
    log_every=percent(5),
)

if __name__ == "__main__":
    main(recipe)
