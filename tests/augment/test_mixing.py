import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnn_jax.augment import mixing

KEY = jax.random.key(5)


@pytest.mark.parametrize("side", [3, 4, 11])
def test_cutout_blanks_a_clipped_square_at_any_pixel(side):
    count, height, width = 4000, 6, 5
    images = np.random.default_rng(0).random((count, height, width, 2), np.float32) + 1
    found = np.asarray(jax.jit(mixing.cutout, static_argnums=2)(KEY, images, side))
    blank = (found == 0).all(axis=-1)
    np.testing.assert_array_equal(found, np.where(blank[..., None], 0, images))

    squares = []
    for y, x in itertools.product(range(height), range(width)):
        square = np.zeros((height, width), bool)
        top, left = y - side // 2, x - side // 2
        square[max(top, 0) : top + side, max(left, 0) : left + side] = True
        squares.append(square.tobytes())
    times = dict.fromkeys(squares, 0)
    for mask in blank:
        times[mask.tobytes()] += 1
    expected = [count * squares.count(square) / len(squares) for square in times]
    if len(times) > 1:
        assert stats.chisquare(list(times.values()), expected).pvalue > 0.01
    assert sum(times.values()) == count


def test_cutout_inside_has_the_area_of_the_square():
    cutout = jax.jit(mixing.cutout, static_argnums=2)
    found = np.asarray(cutout(KEY, np.ones((300, 16, 16, 3), np.float32), 6))
    areas = (found == 0).sum(axis=(1, 2, 3)) // 3
    assert areas.max() == 36 and areas.min() >= 9
    assert (areas == 36).mean() > 0.3


def test_mixup_blends_images_and_targets_alike():
    count = 16
    images = np.random.default_rng(0).random((count, 4, 4, 3), np.float32)
    targets = np.eye(count, dtype=np.float32)
    mixed, shares = jax.device_get(jax.jit(mixing.mixup)(KEY, images, targets, 0.8))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed, np.einsum("ij,jhwc->ihwc", shares, images), atol=1e-6)
    # Each example is partner once, and the weight is the same for all.
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-6)
    own = np.diag(shares)
    assert np.unique(own[own < 0.999]).size == 1


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 30.0])
def test_symmetric_beta_is_distributed_as_scipy_says(alpha):
    draw = jax.jit(jax.vmap(mixing.symmetric_beta, in_axes=(0, None)))
    values = np.asarray(draw(jax.random.split(KEY, 5000), alpha)).astype(np.float64)
    assert values.min() >= 0 and values.max() <= 1
    # float32 cannot tell the ends from what is close to them, where a small alpha puts much.
    edges = np.concatenate([[0], np.linspace(1e-6, 1 - 1e-6, 21), [1]])
    expected = np.diff(stats.beta(alpha, alpha).cdf(edges)) * 5000
    seen = np.histogram(values, edges)[0]
    many = expected >= 5
    assert many.sum() >= 4 and seen[~many].sum() <= 5 * expected[~many].sum() + 5
    total = expected[many] * seen[many].sum() / expected[many].sum()
    assert stats.chisquare(seen[many], total).pvalue > 0.01


def test_mixup_weights_are_beta():
    images, targets = jnp.zeros((16, 1, 1, 1)), jnp.eye(16)

    def weight(key):
        shares = mixing.mixup(key, images, targets, 0.4)[1]
        return shares.diagonal().min()  # an example that is its own partner keeps a share of 1

    weights = np.asarray(jax.jit(jax.vmap(weight))(jax.random.split(KEY, 2000)))
    assert stats.kstest(weights, stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_mixup_partners_are_random_permutations():
    targets = jnp.eye(4)

    def partners(key):
        # With so large a parameter both shares are near a half, unless an example meets itself.
        _, shares = mixing.mixup(key, targets[:, None, None, :], targets, 1e4)
        return (shares - 0.9 * jnp.eye(4)).argmax(axis=1)

    drawn = np.asarray(jax.jit(jax.vmap(partners))(jax.random.split(KEY, 2400)))
    counts = [(drawn == order).all(axis=1).sum() for order in itertools.permutations(range(4))]
    assert sum(counts) == 2400
    assert stats.chisquare(counts).pvalue > 0.01


HEIGHT, WIDTH, ALPHA, DRAWS = 16, 12, 0.7, 4000


@functools.cache
def cutmix_draws():
    """Images that hold their own index, and for each of many keys the mixed images and targets."""
    images = np.broadcast_to(
        np.arange(4, dtype=np.float32)[:, None, None, None], (4, HEIGHT, WIDTH, 1)
    )
    draw = jax.jit(jax.vmap(mixing.cutmix, in_axes=(0, None, None, None)))
    keys = jax.random.split(KEY, DRAWS)
    return images, *jax.device_get(draw(keys, images, np.eye(4, dtype=np.float32), ALPHA))


def test_cutmix_targets_are_the_shares_of_the_pixels():
    _, mixed, shares = cutmix_draws()
    pixels = np.stack([(mixed[..., 0] == k).mean(axis=(2, 3)) for k in range(4)], axis=-1)
    np.testing.assert_allclose(shares, pixels, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 4, rtol=1e-6)
    assert ((pixels > 0) & (pixels < 1)).any()


def test_cutmix_pastes_one_rectangle_for_the_whole_batch():
    images, mixed, _ = cutmix_draws()
    pasted = (mixed[:200] != images)[..., 0]
    area = pasted.any(axis=1)
    # Of nothing pasted all of the rest would hold.
    assert area.any(axis=(1, 2)).mean() > 0.5
    for draw, rectangle in zip(pasted, area, strict=True):
        rows, columns = rectangle.any(axis=1), rectangle.any(axis=0)
        np.testing.assert_array_equal(rectangle, rows[:, None] & columns[None, :])
        assert (np.diff(np.flatnonzero(rows)) == 1).all()
        assert (np.diff(np.flatnonzero(columns)) == 1).all()
        for mask in draw:
            assert not mask.any() or (mask == rectangle).all()


def test_cutmix_areas_are_those_of_the_paper():
    images, mixed, _ = cutmix_draws()
    pasted = (mixed != images)[..., 0].any(axis=1)
    moved = pasted.any(axis=(1, 2))  # unless nothing was pasted, or each example met itself
    found = pasted.sum(axis=(1, 2))[moved]

    rng = np.random.default_rng(0)
    side = np.sqrt(1 - rng.beta(ALPHA, ALPHA, DRAWS))
    area = np.ones(DRAWS)
    for length in (HEIGHT, WIDTH):
        cut = (length * side).astype(int)
        start = rng.integers(0, length, DRAWS) - cut // 2
        area *= np.clip(start + cut, 0, length) - np.clip(start, 0, length)
    assert stats.ks_2samp(found, area[area > 0]).pvalue > 0.01
    # A permutation of four leaves all in place once in 24 times.
    assert stats.binomtest(int(moved.sum()), DRAWS, (area > 0).mean() * 23 / 24).pvalue > 0.001


def erased(images, probability=1.0, area=(0.02, 0.33), aspect=(0.3, 3.3), value="zero"):
    make = functools.partial(
        mixing.erase, probability=probability, area=area, aspect=aspect, value=value
    )
    return np.asarray(jax.jit(make)(KEY, images))


def test_erasing_leaves_rectangles_of_the_wanted_area_and_aspect():
    found = erased(np.ones((2000, 64, 64, 1), np.float32))[..., 0] == 0
    rows, columns = found.any(2).sum(1), found.any(1).sum(1)
    np.testing.assert_array_equal(found.sum(axis=(1, 2)), rows * columns)
    assert rows.max() <= 63 and columns.max() <= 63
    part, ratio = rows * columns / 64**2, rows / columns
    # Sides are rounded to whole pixels.
    assert 0.017 <= part.min() < 0.03 and 0.31 < part.max() <= 0.345
    assert 0.26 <= ratio.min() < 0.32 and 3.1 < ratio.max() <= 3.7
    assert stats.kstest(part, stats.uniform(0.02, 0.31).cdf).pvalue > 0.01
    bounds = np.log([0.3, 3.3])
    assert stats.kstest(np.log(ratio), stats.uniform(bounds[0], np.ptp(bounds)).cdf).pvalue > 0.001


def test_erased_rectangles_lie_anywhere_inside():
    images = np.ones((3000, 6, 5, 1), np.float32)
    found = erased(images, area=(0.2, 0.2), aspect=(1.5, 1.5))[..., 0] == 0
    # Three rows of two columns: 4 x 4 places.
    assert (found.sum(axis=(1, 2)) == 6).all()
    corners = found.reshape(3000, -1).argmax(1)
    times = np.unique(corners, return_counts=True)[1]
    assert len(times) == 16 and stats.chisquare(times).pvalue > 0.01


def test_erasing_occurs_with_its_probability():
    found = erased(np.ones((2000, 8, 8, 1), np.float32), probability=0.25)
    times = int((found == 0).any(axis=(1, 2, 3)).sum())
    assert stats.binomtest(times, 2000, 0.25).pvalue > 0.01


def test_noise_is_normal_and_the_rest_stays():
    images = np.full((400, 16, 16, 3), 9.0, np.float32)
    found = erased(images, value="noise")
    blank = erased(images) == 0
    np.testing.assert_array_equal(found != 9, blank)
    assert stats.kstest(found[blank][::7], stats.norm.cdf).pvalue > 0.01


def test_what_does_not_fit_is_not_erased():
    images = np.ones((20, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(erased(images, area=(1.0, 1.0)), images)
