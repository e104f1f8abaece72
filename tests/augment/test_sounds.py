"""Random changes of sounds, against what they promise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax import Sound
from cnn_jax.augment import sounds
from cnn_jax.data.sound_files import END

KEY = jax.random.key(3)
LENGTHS = jnp.array([100, 40, 7], jnp.int32)
# Each sample tells its place: 1, 2, ...
RAMPS = jnp.where(jnp.arange(100) < LENGTHS[:, None], jnp.arange(1.0, 101.0), 0.0)


@functools.cache
def taking(size, config):
    """The function of (key, waves, lengths), one program for all keys."""
    return jax.jit(lambda *given: sounds.taken_part(*given, size, config, rate=10))


def taken(size, key=KEY, waves=RAMPS, lengths=LENGTHS, **changes):
    return taking(size, Sound(**changes))(key, waves, lengths)


def test_samples_become_waves_up_to_their_end():
    held = np.array([[16384, -32767, 0], [1, END, END]], np.int16)
    waves, lengths = sounds.as_waves(held)
    np.testing.assert_allclose(waves, [[0.5, -32767 / 32768, 0], [1 / 32768, 0, 0]])
    assert lengths.tolist() == [3, 1]


def test_a_long_sound_is_cut_at_random_and_a_short_one_is_followed_by_silence():
    starts = set()
    for seed in range(8):
        found, there = taken(50, jax.random.key(seed))
        first = int(found[0, 0])
        starts.add(first)
        np.testing.assert_array_equal(found[0], np.arange(first, first + 50))
        np.testing.assert_array_equal(found[1:], RAMPS[1:, :50])
        np.testing.assert_array_equal(there.sum(1), [50, 40, 7])
    assert len(starts) > 4 and min(starts) >= 1 and max(starts) <= 51
    # Nothing is random where no sound is longer.
    np.testing.assert_array_equal(taken(100)[0], RAMPS)
    np.testing.assert_array_equal(taken(120)[0][:, :100], RAMPS)


def test_a_shift_keeps_what_stays_inside():
    for seed in range(5):
        found, there = taken(100, jax.random.key(seed), shift=2.0)
        for wave, here, end in zip(np.array(found), np.array(there), LENGTHS, strict=True):
            kept = wave[here]
            assert not wave[~here].any()
            if len(kept):
                np.testing.assert_array_equal(kept, np.arange(kept[0], kept[0] + len(kept)))
            assert len(kept) >= min(int(end), max(0, int(end) - 20))
    moved = [int(taken(100, jax.random.key(seed), shift=2.0)[1][1].argmax()) for seed in range(9)]
    assert 0 < max(moved) <= 20


def test_faster_is_shorter_and_reads_between_samples():
    for seed in range(4):
        found, there = taken(100, jax.random.key(seed), stretch=0.25)
        steps = np.diff(np.array(found[1])[np.array(there[1])])
        assert 0.8 - 1e-4 <= steps.mean() <= 1.25 + 1e-4
        np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
        assert abs(int(there[1].sum()) - 39 / steps.mean()) <= 1.01


def test_gain_is_one_factor_a_sound_within_its_limit():
    found, _ = taken(100, gain=6.0)
    for wave, end in zip(np.array(found), LENGTHS, strict=True):
        factors = wave[:end] / np.arange(1, end + 1)
        np.testing.assert_allclose(factors, factors[0], rtol=1e-5)
        assert 10**-0.3 <= factors[0] <= 10**0.3 and factors[0] != 1


@pytest.mark.parametrize(("end", "expected"), [(100, [0, 20, 40, 60]), (55, [0, 15]), (3, [0])])
def test_windows_cover_a_sound_from_begin_to_end(end, expected):
    starts, known = sounds.window_starts(jnp.array([end]), 40, 20, 4)
    assert starts[0][known[0]].tolist() == expected
    cut, there = sounds.windows(RAMPS[:1], jnp.array([end]), starts, 40)
    for window, here, start in zip(cut[0][known[0]], there[0][known[0]], expected, strict=True):
        here = np.array(here)
        np.testing.assert_array_equal(np.array(window)[here], RAMPS[0, start : start + here.sum()])
        assert here.sum() == min(40, end - start) and not np.array(window)[~here].any()


def test_sounds_are_mixed_with_those_of_other_classes_by_loudness():
    targets = np.eye(2, dtype=np.float32)[[0, 0, 1]]
    waves = jax.random.normal(KEY, (3, 4000)) * jnp.array([1.0, 0.1, 10.0])[:, None]
    mix = jax.jit(sounds.mixed_between_classes)
    mixed, blended = jax.device_get(mix(KEY, waves, targets))
    waves = np.asarray(waves)
    np.testing.assert_allclose(blended.sum(1), 1, rtol=1e-6)
    assert (blended.max(1) < 1).all()
    for place, partner in ((0, 2), (1, 2)):
        share = float(blended[place, 0])
        both = np.stack([waves[place], waves[partner]], 1)
        weights = np.linalg.lstsq(both, np.array(mixed[place]), rcond=None)[0]
        np.testing.assert_allclose(both @ weights, mixed[place], atol=1e-3)
        # What each adds is heard by its share.
        heard = weights * both.std(0)
        np.testing.assert_allclose(heard[0] / heard.sum(), share, atol=0.02)
    # A batch of one class still mixes to that class.
    alone = np.eye(2, dtype=np.float32)[[1, 1]]
    np.testing.assert_allclose(mix(KEY, waves[:2], alone)[1], alone)


def test_masks_never_exceed_their_limits_and_reach_them():
    pictures = jnp.ones((200, 30, 12, 2))
    seen = {}
    for axis, count, width in ((1, 1, 5), (1, 2, 40), (2, 1, 3)):
        found = np.array(sounds.masked(KEY, pictures, axis, count, width))
        lines = np.moveaxis(found, axis, 1).reshape(200, pictures.shape[axis], -1)
        assert (lines.min(2) == lines.max(2)).all()
        blank = (lines[..., 0] == 0).sum(1)
        assert blank.max() <= count * width
        seen[axis, count] = blank
    assert set(seen[1, 1]) == set(range(6)) and set(seen[2, 1]) == set(range(4))
    assert seen[1, 2].max() == 30  # the whole is the most
