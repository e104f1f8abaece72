"""A control experiment that shows whether a net sees motion: digits that move.

Each video has eight frames of 24 pixels, in which a digit of scikit-learn moves in one of four
directions at one of two speeds. What leaves at one side enters at the other, so no single frame
shows the direction. A net that looks at single frames and averages its outputs cannot predict the
direction, and is right in a quarter of the cases; nets with kernels in time can. All nets can
predict which digit it is.

Command: python experiments/moving_digits.py
Command: python experiments/moving_digits.py --model.name frame_cnn --model.options body=simple_cnn
Hardware and time: two CPU cores, a minute a run
Result (n=1): for the direction r3d_18 has 100 %, frame_cnn 26.7 % (chance is 25 %). docs/video.md
has commands and results for predicting the digit.
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
