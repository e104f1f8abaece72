import functools

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnn_jax.augment import operations
from cnn_jax.augment.operations import Operation

FILL = (128, 10, 200)
operate = jax.jit(operations.operate)


@functools.cache
def pictures():
    """Noise, dull noise, a shape in few values, and a single colour: (4, 24, 30, 3) uint8."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (24, 30, 3), np.uint8)
    dull = rng.integers(60, 111, (24, 30, 3), np.uint8)
    shape = np.where((np.indices((24, 30)).sum(0) % 7 < 3)[..., None], noise // 100 * 90, 20)
    plain = np.full((24, 30, 3), (7, 90, 255))
    return np.stack([noise, dull, shape.astype(np.uint8), plain.astype(np.uint8)])


def found(operation, amount, images=None, fill=FILL):
    images = pictures() if images is None else images
    count = len(images)
    changed = operate(
        images.astype(np.float32),
        np.full(count, operation, np.int32),
        np.full(count, amount, np.float32),
        np.asarray(fill, np.float32),
    )
    assert changed.dtype == np.float32 and changed.shape == images.shape
    changed = np.asarray(changed)
    np.testing.assert_array_equal(changed, changed.astype(np.uint8))
    return changed.astype(int)


def expected(change, images=None):
    images = pictures() if images is None else images
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images]).astype(int)


def moved(*matrix):
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=FILL
    )


def solarized_add(add):
    table = [min(255, value + add) if value < 128 else value for value in range(256)]
    return lambda image: image.point(table * 3)


EXACT = [
    (Operation.IDENTITY, 0.0, lambda image: image),
    (Operation.TRANSLATE_X, 4.0, moved(1, 0, 4, 0, 1, 0)),
    (Operation.TRANSLATE_X, -30.0, moved(1, 0, -30, 0, 1, 0)),
    (Operation.TRANSLATE_Y, -7.0, moved(1, 0, 0, 0, 1, -7)),
    (Operation.ROTATE, 0.0, lambda image: image),
    *[
        (Operation.POSTERIZE, float(bits), lambda image, bits=bits: ImageOps.posterize(image, bits))
        for bits in (1, 2, 5, 8)
    ],
    (Operation.POSTERIZE, 0.0, lambda image: image.point([0] * 768)),
    *[
        (Operation.SOLARIZE, threshold, lambda image, t=threshold: ImageOps.solarize(image, t))
        for threshold in (0.0, 100.0, 178.5, 255.0, 256.0)
    ],
    (Operation.SOLARIZE_ADD, 66.0, solarized_add(66)),
    (Operation.INVERT, 0.0, ImageOps.invert),
    (Operation.EQUALIZE, 0.0, ImageOps.equalize),
    (Operation.SHARPNESS, 0.0, lambda image: ImageEnhance.Sharpness(image).enhance(0.0)),
    (Operation.SHARPNESS, 2.0, lambda image: ImageEnhance.Sharpness(image).enhance(2.0)),
    (Operation.COLOUR, 0.0, lambda image: ImageEnhance.Color(image).enhance(0.0)),
    (Operation.CONTRAST, 0.0, lambda image: ImageEnhance.Contrast(image).enhance(0.0)),
    (Operation.CONTRAST, 1.5, lambda image: ImageEnhance.Contrast(image).enhance(1.5)),
    (Operation.BRIGHTNESS, 0.5, lambda image: ImageEnhance.Brightness(image).enhance(0.5)),
    (Operation.BRIGHTNESS, 1.0, lambda image: image),
]


@pytest.mark.parametrize("operation, amount, change", EXACT)
def test_operations_equal_pillow_exactly(operation, amount, change):
    np.testing.assert_array_equal(found(operation, amount), expected(change))


CLOSE = [
    *[
        (operation, factor, lambda image, e=enhancer, f=factor: e(image).enhance(f))
        for operation, enhancer in (
            (Operation.BRIGHTNESS, ImageEnhance.Brightness),
            (Operation.CONTRAST, ImageEnhance.Contrast),
            (Operation.COLOUR, ImageEnhance.Color),
            (Operation.SHARPNESS, ImageEnhance.Sharpness),
        )
        for factor in (0.1, 0.46, 1.54, 1.9)
    ],
    (Operation.AUTOCONTRAST, 0.0, ImageOps.autocontrast),
]


@pytest.mark.parametrize("operation, amount, change", CLOSE)
def test_operations_that_round_equal_pillow_within_one(operation, amount, change):
    apart = np.abs(found(operation, amount) - expected(change))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.02


RESAMPLED = [
    (Operation.SHEAR_X, 0.3, moved(1, 0.3, 0, 0, 1, 0)),
    (Operation.SHEAR_X, -0.99, moved(1, -0.99, 0, 0, 1, 0)),
    (Operation.SHEAR_Y, 0.18, moved(1, 0, 0, 0.18, 1, 0)),
    (Operation.TRANSLATE_X, 8.1, moved(1, 0, 8.1, 0, 1, 0)),
    (Operation.TRANSLATE_Y, -3.24, moved(1, 0, 0, 0, 1, -3.24)),
    *[
        (
            Operation.ROTATE,
            degrees,
            lambda image, d=degrees: image.rotate(d, Image.Resampling.BILINEAR, fillcolor=FILL),
        )
        for degrees in (18.0, -30.0, 135.0)
    ],
]


@pytest.mark.parametrize("operation, amount, change", RESAMPLED)
def test_resampling_equals_pillow_but_for_rounding(operation, amount, change):
    mine, pillow = found(operation, amount), expected(change)
    # Pillow cuts off what we round.
    assert np.abs(mine - pillow).max() <= 1
    outside = (pillow == FILL).all(-1)
    np.testing.assert_array_equal((mine == FILL).all(-1), outside)
    assert outside[0].sum() >= 24


def test_each_image_gets_its_own_operation():
    every = np.arange(16, dtype=np.int32)
    amounts = np.array([0, 0.2, -0.2, 3, -3, 20, 1.5, 0.5, 0.3, 1.8, 3, 90, 40, 0, 0, 0])
    image = pictures()[1]
    together = operate(
        np.stack([image] * 16).astype(np.float32),
        every,
        amounts.astype(np.float32),
        np.asarray(FILL, np.float32),
    )
    for operation, amount, changed in zip(every, amounts, np.asarray(together), strict=True):
        np.testing.assert_array_equal(changed, found(operation, amount, image[None])[0])
        assert (changed != image).any() == (operation != Operation.IDENTITY)


@pytest.mark.parametrize(
    "operation, amount, change",
    [
        (Operation.EQUALIZE, 0.0, ImageOps.equalize),
        (Operation.CONTRAST, 0.0, lambda image: ImageEnhance.Contrast(image).enhance(0.0)),
        (Operation.SHARPNESS, 0.0, lambda image: ImageEnhance.Sharpness(image).enhance(0.0)),
        (Operation.COLOUR, 0.3, lambda image: image),
        (Operation.TRANSLATE_X, 0.5, None),
    ],
)
def test_images_of_one_channel(operation, amount, change):
    grey = pictures()[:, :, :, :1]
    mine = found(operation, amount, grey, fill=(77,))[..., 0]
    if change is None:
        # Half-way between each pixel and the next; the last would be read at the very edge.
        left, right = grey[:, :, :-1, 0].astype(int), grey[:, :, 1:, 0]
        np.testing.assert_array_equal(mine[:, :, :-1], np.round((left + right) / 2))
        assert (mine[:, :, -1] == 77).all()
    else:
        np.testing.assert_array_equal(mine, expected(change, grey[..., 0]))


def test_images_too_small_to_be_smoothed_stay():
    small = pictures()[:, :2, :5]
    np.testing.assert_array_equal(found(Operation.SHARPNESS, 0.0, small), small)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        found(Operation.IDENTITY, 0.0, np.zeros((1, 4, 4, 4), np.uint8), fill=(0, 0, 0, 0))
