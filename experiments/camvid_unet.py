"""CamVid at 180x240 pixels: a U-Net from scratch on the 367 training frames of the SegNet split.

Frames and masks are scaled to half their size, and scored at it. There are 11 classes; void pixels
do not count. At 360x480 the best net without pretraining in table 1 of the SegNet paper,
https://arxiv.org/abs/1511.00561, has 50.1 % mean IoU, and 84.1 % of all pixels right.

Command: python experiments/camvid_unet.py --data.name masks:FOLDER
Hardware and time: one CPU core (Xeon, AVX-512), 89 minutes with other jobs beside it
Expected: mean IoU 50.3 %, 84.7 % of all pixels on the 233 test frames (n=1); 61.7 % in validation
"""

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
    epochs,
    main,
    percent,
)

recipe = Recipe(
    name="camvid_unet",
    data=Data("masks:data/camvid_240x180"),
    task=Task("segmentation"),
    augment=Augment(
        crop_size=(160, 192),
        crop_scale=(0.6, 1.8),
        mirror="random",
        brightness=0.5,
        contrast=0.5,
        saturation=0.5,
    ),
    # Every pixel by itself, since poles and signs are a few pixels wide; and groups, since the
    # statistics of four images are noisy.
    model=Model("unet", options={"width": 16, "patch": 1, "norm": "group"}),
    loss=Loss("cross_entropy_dice", options={"weights": "root_median_frequency"}),
    optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=percent(5)),
    checkpoints=Checkpoints(every=epochs(4)),
    batch_size=4,
    duration=epochs(60),
    validate_every=epochs(4),
    ema=0.998,
)

if __name__ == "__main__":
    main(recipe)
