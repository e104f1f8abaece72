"""A control that shows whether a net sees motion: digits that move.

The digits of scikit-learn on eight frames of 24 pixels, each moving to one of four sides at one of
two speeds; what leaves at one side enters at the other, so that no frame tells the direction. A
net for single frames whose outputs are averaged cannot tell it either, whatever it learns, and is
right in a quarter of the cases; nets with kernels in time can. All can tell which digit it is.

Command: python experiments/moving_digits.py
Command: python experiments/moving_digits.py --model.name frame_cnn --model.options body=simple_cnn
Hardware and time: two CPU cores, a minute a run
Result (n=1): by direction r3d_18 100 %, frame_cnn 26.7 % (chance 25 %). docs/video.md has
commands and results for telling the digit.
"""

from cnn_jax import (
    Checkpoints,
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Video,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="moving_digits",
    data=Data("moving_digits", validation=0),
    video=Video(frames=8),
    model=Model("r3d_18", options={"width": 8}),
    optimizer=Optimizer("adamw", learning_rate=4e-3, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=percent(10)),
    checkpoints=Checkpoints(every=percent(50)),
    batch_size=32,
    duration=epochs(12),
    validate_every=percent(25),
    log_every=percent(10),
)

if __name__ == "__main__":
    main(recipe)
