import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnn_jax.augment import policies
from cnn_jax.augment.operations import Operation

KEY = jax.random.key(7)
GREY = np.full(3, 128 / 255, np.float32)


def space(ranges, magnitude, sign=1.0, height=200, width=100):
    one = np.float32([magnitude]), np.float32([sign])
    amounts = policies.rand_space(ranges, *one, height, width)
    return {operation: float(amount[0]) for operation, amount in amounts.items()}


def test_the_a3_recipe_has_the_amounts_of_timm():
    amounts = space("timm_increasing", 6.0, sign=-1.0)
    assert amounts == pytest.approx(
        {
            Operation.SHEAR_X: -0.18,
            Operation.SHEAR_Y: -0.18,
            Operation.ROTATE: -18,
            Operation.TRANSLATE_X: -27,
            Operation.TRANSLATE_Y: -54,
            Operation.BRIGHTNESS: 0.46,
            Operation.CONTRAST: 0.46,
            Operation.COLOUR: 0.46,
            Operation.SHARPNESS: 0.46,
            Operation.POSTERIZE: 2,
            Operation.SOLARIZE: 103,
            Operation.SOLARIZE_ADD: 66,
            Operation.INVERT: 0,
            Operation.AUTOCONTRAST: 0,
            Operation.EQUALIZE: 0,
        },
        abs=1e-4,
    )
    assert space("timm_increasing", 10.0, sign=-1.0)[Operation.COLOUR] == pytest.approx(0.1)


@pytest.mark.parametrize("magnitude", range(11))
def test_whole_magnitudes_of_timm(magnitude):
    plain, rising = space("timm", magnitude), space("timm_increasing", magnitude)
    bits, threshold = int(magnitude / 10 * 4), int(magnitude / 10 * 256)
    assert (plain[Operation.POSTERIZE], rising[Operation.POSTERIZE]) == (bits, 4 - bits)
    assert (plain[Operation.SOLARIZE], rising[Operation.SOLARIZE]) == (threshold, 256 - threshold)
    assert plain[Operation.SOLARIZE_ADD] == int(magnitude / 10 * 110)
    assert plain[Operation.CONTRAST] == pytest.approx(0.1 + 0.18 * magnitude, abs=1e-6)
    assert rising[Operation.CONTRAST] == pytest.approx(1 + 0.09 * magnitude, abs=1e-6)


def test_nine_of_torchvisions_thirty_is_three():
    amounts = space("torchvision", 3.0)
    assert len(amounts) == 14
    assert amounts[Operation.TRANSLATE_X] == int(150 / 331 * 100 * 9 / 30) == 13
    assert amounts[Operation.TRANSLATE_Y] == 27
    assert amounts[Operation.POSTERIZE] == 7 and amounts[Operation.SOLARIZE] == 178.5
    assert amounts[Operation.ROTATE] == pytest.approx(9, abs=1e-5)
    assert amounts[Operation.SHEAR_X] == pytest.approx(0.09, abs=1e-6)
    assert amounts[Operation.SHARPNESS] == pytest.approx(1.27, abs=1e-6)


def test_trivial_augment_has_its_wide_ranges():
    ends = policies.trivial_space(np.array([0, 30, 30, 13]), np.float32([1, 1, -1, -1]))
    found = {operation: np.asarray(amounts).tolist() for operation, amounts in ends.items()}
    assert len(found) == 14
    for shear in (Operation.SHEAR_X, Operation.SHEAR_Y):
        assert found[shear] == pytest.approx([0, 0.99, -0.99, -0.429], abs=1e-6)
    for translation in (Operation.TRANSLATE_X, Operation.TRANSLATE_Y):
        assert found[translation] == [0, 32, -32, -13]
    assert found[Operation.ROTATE] == pytest.approx([0, 135, -135, -58.5], abs=1e-4)
    assert found[Operation.COLOUR] == pytest.approx([1, 1.99, 0.01, 0.571], abs=1e-6)
    assert found[Operation.POSTERIZE] == [8, 2, 2, 5]
    assert found[Operation.SOLARIZE] == [255, 0, 0, 144.5]


DRAWS = 3000


@functools.cache
def drawn(ranges, probability=1.0, magnitude_std=0.0):
    """Which operations and amounts the images of one layer get."""
    if ranges == "trivial":
        return jax.device_get(jax.jit(policies.draw_trivial, static_argnums=1)(KEY, DRAWS))
    draw = jax.jit(policies.draw_rand, static_argnums=(1, 2, 3, 4, 5, 6, 7))
    return jax.device_get(draw(KEY, DRAWS, 40, 50, 6.0, magnitude_std, probability, ranges))


@pytest.mark.parametrize("ranges, count", [("torchvision", 14), ("timm", 15), ("trivial", 14)])
def test_all_operations_are_equally_frequent(ranges, count):
    which, _ = drawn(ranges)
    times = np.unique(which, return_counts=True)[1]
    assert len(times) == count
    assert stats.chisquare(times).pvalue > 0.01


def test_signs_are_drawn_for_each_image():
    which, amounts = drawn("torchvision")
    rotated = amounts[which == Operation.ROTATE]
    np.testing.assert_allclose(np.abs(rotated), 18, rtol=1e-5)
    assert stats.binomtest(int((rotated > 0).sum()), len(rotated)).pvalue > 0.01


def test_an_operation_is_applied_with_its_probability():
    which, _ = drawn("timm", probability=0.5)
    assert stats.binomtest(int((which != Operation.IDENTITY).sum()), DRAWS, 0.5).pvalue > 0.01
    assert len(np.unique(which)) == 16


def test_magnitudes_are_normal_and_end_at_the_bounds():
    which, amounts = drawn("timm_increasing", magnitude_std=3.0)
    turned = np.isin(which, [Operation.SHEAR_X, Operation.SHEAR_Y])
    magnitudes = np.abs(amounts[turned]) / 0.03
    assert magnitudes.max() == pytest.approx(10, abs=1e-4)
    above = stats.norm(6, 3).sf(10)
    at_bound = int((magnitudes > 10 - 1e-4).sum())
    assert stats.binomtest(at_bound, len(magnitudes), above).pvalue > 0.01
    below = magnitudes[magnitudes < 9.99]
    assert stats.kstest(below, stats.truncnorm(-2, 3.99 / 3, 6, 3).cdf).pvalue > 0.001


def test_trivial_augment_draws_a_magnitude_for_each_image():
    which, amounts = drawn("trivial")
    steps = np.round((255 - amounts[which == Operation.SOLARIZE]) / 8.5).astype(int)
    assert steps.min() >= 0 and steps.max() <= 30
    assert stats.chisquare(np.bincount(steps, minlength=31)).pvalue > 0.01


compiled = jax.jit(
    functools.partial(
        policies.rand_augment,
        operations=2,
        magnitude=6.0,
        magnitude_std=0.5,
        probability=0.5,
        ranges="timm_increasing",
        fill=GREY,
    )
)


def batch(count=32):
    rng = np.random.default_rng(1)
    return (rng.integers(0, 256, (count, 12, 10, 3)) / 255).astype(np.float32)


def test_results_are_of_8_bits_and_depend_on_the_key_alone():
    one, again, other = (
        np.asarray(compiled(jax.random.fold_in(KEY, step), batch())) for step in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(axis=(1, 2, 3)).mean() > 0.5
    np.testing.assert_allclose(one * 255, np.round(one * 255), atol=1e-4)
    assert one.min() >= 0 and one.max() <= 1


def test_fill_is_what_comes_in_from_outside():
    white = np.ones((60, 12, 10, 3), np.float32)
    colour = np.float32([20, 40, 60]) / 255
    changed = np.asarray(jax.jit(policies.trivial_augment)(KEY, white, colour))
    filled = np.isclose(changed, colour, atol=1e-6).all(-1).any(axis=(1, 2))
    # Five of the 14 operations move pixels, all of them out in one of 31 cases or more.
    assert 10 <= filled.sum() <= 30


def test_operations_follow_one_another(monkeypatch):
    def invert(_, batch, *rest):
        return jnp.full(batch, int(Operation.INVERT)), jnp.zeros(batch)

    monkeypatch.setattr(policies, "draw_rand", invert)
    images = batch(2)[:, :4, :4]
    for count in (2, 3):
        make = functools.partial(compiled.__wrapped__, operations=count)
        expected = 1 - images if count == 3 else images
        np.testing.assert_allclose(jax.jit(make)(KEY, images), expected, atol=1e-6)
