import math

import jax
import numpy as np
import pytest

from cnn_jax.augment import check, training_batch
from cnn_jax.errors import UserError
from cnn_jax.recipe import Augment, Preprocess

COLOUR = (16, 12, 3)


@pytest.mark.parametrize(
    "config, message",
    [
        (Augment(pad_crop=12), r"--augment.pad-crop is 12; valid is from 0 to 11 .*16x12"),
        (Augment(pad_crop=-1), r"--augment.pad-crop is -1"),
        (Augment(rotation=181.0), r"--augment.rotation is 181.0; valid is from 0 to 180 \(degrees"),
        (Augment(rotation=math.nan), r"--augment.rotation is nan"),
        (Augment(translation=1.5), r"--augment.translation is 1.5; valid is from 0 to 1"),
        (Augment(scale=-0.5), r"--augment.scale is -0.5; valid is 0 or larger"),
        (Augment(scale=math.inf), r"--augment.scale is inf"),
        (Augment(brightness=1.1), r"--augment.brightness is 1.1; valid is from 0 to 1"),
        (Augment(contrast=-0.1), r"--augment.contrast is -0.1; valid is from 0 to 1"),
        (Augment(saturation=2.0), r"--augment.saturation is 2.0; valid is from 0 to 1"),
        (Augment(cutout=25), r"--augment.cutout is 25; valid is from 0 to 24 .*16x12"),
        (Augment(mixup=-1.0), r"--augment.mixup is -1.0; valid is 0 or larger"),
        (Augment(cutmix=-1.0), r"--augment.cutmix is -1.0; valid is 0 or larger"),
        (Augment(rand_augment=-1), r"--augment.rand-augment is -1; valid is 0 or larger"),
        (Augment(rand_magnitude=10.5), r"--augment.rand-magnitude is 10.5; valid is from 0 to 10"),
        (Augment(rand_magnitude_std=-1.0), r"--augment.rand-magnitude-std is -1.0; valid is 0 or"),
        (Augment(rand_magnitude_std=math.inf), r"--augment.rand-magnitude-std is inf"),
        (Augment(rand_probability=1.5), r"--augment.rand-probability is 1.5; valid is from 0 to 1"),
        (Augment(erase=-0.1), r"--augment.erase is -0.1; valid is from 0 to 1"),
        (Augment(erase_area=(0.0, 0.3)), r"--augment.erase-area is 0.0 0.3; .* at most 1"),
        (Augment(erase_area=(0.5, 1.1)), r"--augment.erase-area is 0.5 1.1; .* at most 1"),
        (Augment(erase_area=(0.5, 0.4)), r"--augment.erase-area is 0.5 0.4; .* smaller one first"),
        (Augment(erase_aspect=(0.3, math.inf)), r"--augment.erase-aspect is 0.3 inf; valid are"),
        (Augment(erase_aspect=(math.nan, 2.0)), r"--augment.erase-aspect is nan 2.0; valid are"),
        (
            Augment(rand_augment=2, trivial_augment=True),
            r"--augment.rand-augment 2 and --augment.trivial-augment are alternatives",
        ),
    ],
)
def test_values_that_cannot_be_used(config, message):
    with pytest.raises(UserError, match=message):
        check(config, Preprocess(), COLOUR)


@pytest.mark.parametrize(
    "config, message",
    [
        (Preprocess(size=15, fit="pad"), r"--preprocess.size 15 .* at least 16"),
        (Preprocess(mean=(0.5,)), r"--preprocess.mean has 1 values .* 3 channels"),
        (Preprocess(std=(0.5, 0.5)), r"--preprocess.std has 2 values .* 3 channels"),
        (Preprocess(std=(0.5, 0.5, 0.0)), r"--preprocess.std .* above zero"),
        (Preprocess(mean=(0.5, math.nan, 0.0)), r"--preprocess.mean .* finite"),
    ],
)
def test_preprocessing_that_cannot_be_done(config, message):
    with pytest.raises(UserError, match=message):
        check(Augment(), config, COLOUR)


def test_colour_changes_need_colour():
    with pytest.raises(UserError, match=r"--augment.saturation 0.5 .* 1 channel, not 3; give 0"):
        check(Augment(saturation=0.5), Preprocess(), (8, 8, 1))
    with pytest.raises(UserError, match=r"--augment.contrast 0.5 needs .* have 4 channels"):
        check(Augment(contrast=0.5), Preprocess(), (8, 8, 4))
    check(Augment(contrast=0.5, brightness=0.5), Preprocess(), (8, 8, 1))
    check(Augment(rand_augment=2), Preprocess(), (8, 8, 1))
    for policy in ({"rand_augment": 2}, {"trivial_augment": True}):
        with pytest.raises(UserError, match=r"-augment needs images of 1 or 3 .* have 4 channels"):
            check(Augment(**policy), Preprocess(), (8, 8, 4))


def test_sides_are_those_after_preprocessing():
    check(Augment(pad_crop=19), Preprocess(size=20), COLOUR)
    with pytest.raises(UserError, match=r"from 0 to 7 .*8x8"):
        check(Augment(pad_crop=8), Preprocess(size=8), COLOUR)


def test_the_largest_valid_values_work():
    config = Augment(
        pad_crop=11,
        pad_mode="reflect",
        rotation=180.0,
        translation=1.0,
        scale=20.0,
        brightness=1.0,
        contrast=1.0,
        saturation=1.0,
        cutout=24,
        mixup=100.0,
    )
    preprocess = Preprocess(mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
    check(config, preprocess, COLOUR)
    batch = jax.jit(
        lambda images, integers: training_batch(
            jax.random.key(0),
            images,
            jax.nn.one_hot(integers, 2),
            integers,
            integers,
            run_key=jax.random.key(0),
            preprocess=preprocess,
            augment=config,
            mean=np.full(3, 0.5, np.float32),
            std=np.ones(3, np.float32),
        )
    )(np.full((4, *COLOUR), 200, np.uint8), np.zeros(4, np.int32))
    assert batch.inputs.shape == (4, *COLOUR)
    assert np.abs(batch.inputs).max() <= 0.5
