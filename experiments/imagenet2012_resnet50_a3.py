"""ResNet-50 on ImageNet in 100 epochs at 160 pixels: A3 of "ResNet strikes back".

Wightman et al. 2021, https://arxiv.org/abs/2110.00476, table 2: LAMB with learning rate 8e-3 for
batches of 2048, 5 epochs of warm-up and a cosine; weight decay 0.02, not on norms and biases;
binary cross-entropy; mixup 0.1 and cutmix 1.0, one of the two for each batch; RandAugment with two
operations of magnitude 6; crops of 8 to 100 % of the area at 160 pixels; tested at 224 pixels on
the middle 95 %. Different from the paper: targets of mixed images are mixed too, where the paper
counts both classes as present; the loss is summed over classes instead of averaged, which makes no
difference to LAMB except for its epsilon; resizing is always bicubic. 10,000 images, about ten of
each class, are cut from train to choose the checkpoint; the 50,000 of the catalog's validation part
are the test.

The paper reaches 78.1 %.

Command: python experiments/imagenet2012_resnet50_a3.py --data-dir WHERE/TFDS/LIES
Expected: not run on ImageNet yet; on a small generated set of its name it runs from end to end
(tests/runs/test_imagenet_recipes.py)
"""

from cnn_jax import (
    Augment,
    Data,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    epochs,
    main,
)

recipe = Recipe(
    name="imagenet2012_resnet50_a3",
    data=Data(
        "imagenet2012",
        validation=10_000,
        image_size=160,
        streaming=True,
        random_crop=(0.08, 1.0),
        central_crop=0.95,
        evaluation_size=224,
        interpolation="bicubic",
    ),
    augment=Augment(
        mirror="random",
        # rand-m6-mstd0.5-inc1
        rand_augment=2,
        rand_magnitude=6.0,
        rand_magnitude_std=0.5,
        rand_probability=0.5,
        rand_ranges="timm_increasing",
        mixup=0.1,
        cutmix=1.0,
    ),
    model=Model("resnet50", dtype="bfloat16"),
    loss=Loss("binary_cross_entropy"),
    optimizer=Optimizer("lamb", learning_rate=8e-3, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=epochs(5), initial=0.0125, final=0.000125),
    batch_size=2048,
    duration=epochs(100),
)

if __name__ == "__main__":
    main(recipe)
