"""FCOS over EfficientNet-Lite0 on raccoons: 160 photographs to learn from, 40 to test.

The set is github.com/datitran/raccoon_dataset with the split of its own lists, in VOC's layout:
`voc:FOLDER`. FCOS is that of Tian et al. 2019, https://arxiv.org/abs/1904.01355, with a pyramid of
96 maps and two convolutions a head; its body begins with ImageNet's weights. Of the 160 photographs
24 choose the checkpoint. Four pairs in the training part are the same picture twice.

Command: python experiments/raccoon_fcos.py --data.name voc:raccoon
Hardware and time: two CPU cores (AMD EPYC, AVX2), 20 minutes, with other jobs beside it
Expected: AP 52.5 %, AP50 98.6 % on the 40 test photographs (n=1)
"""

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Init,
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
    name="raccoon_fcos",
    data=Data("voc:raccoon", image_size=320, validation=24),
    task=Task("detection"),
    augment=Augment(
        mosaic=0.5,
        crop_scale=(0.6, 1.6),
        mirror="random",
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
    ),
    model=Model(
        "fcos",
        options={
            "body": "efficientnet_lite0",
            "body_options": {"norm_momentum": 0.9},
            "channels": 96,
            "extra_levels": 0,
            "head_depth": 2,
            "range_scale": 4.0,
        },
    ),
    init=Init("imagenet", body=True),
    optimizer=Optimizer(
        "adamw", learning_rate=1e-3, weight_decay=0.02, factors=("^body/=0.3",), clip_norm=10.0
    ),
    schedule=Schedule("one_cycle", warmup=percent(10)),
    checkpoints=Checkpoints(every=epochs(3)),
    batch_size=8,
    duration=epochs(30),
    validate_every=epochs(3),
    ema=0.995,
)

if __name__ == "__main__":
    main(recipe)
