"""Pictures of sounds are those of librosa, which made `references/log_mel.npz`."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn_jax.augment.log_mel import decibels, deltas, log_mel, mel_filters, power_spectrum
from cnn_jax.errors import UserError

STORED = np.load(Path(__file__).parent / "references" / "log_mel.npz")
CASES = json.loads(str(STORED["about"]))["cases"]


def sounds(rate):
    """The sounds that `references/make.py` drew."""
    random = np.random.Generator(np.random.PCG64(0))
    time = np.arange(4000) / rate
    whistle = np.sin(2 * np.pi * (300 + 900 * time / time[-1]) * time)
    noisy = 0.3 * whistle + 0.01 * random.standard_normal(4000)
    click = np.zeros(4000)
    click[1500:1540] = random.uniform(-1, 1, 40)
    return np.stack([noisy, click]).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_they_equal_librosas_within_a_ten_thousandth(name):
    case = CASES[name]
    rate, fft, hop, bands = (case[each] for each in ("rate", "fft", "hop", "bands"))
    filters = mel_filters(rate, fft, bands, case["low"], case["high"])
    np.testing.assert_allclose(filters[::3], STORED[f"{name}_filters"], rtol=1e-4, atol=1e-9)

    @jax.jit
    def found(waves):
        power = power_spectrum(waves, fft, hop)
        picture = log_mel(waves, fft, hop, filters, floor=80.0)
        return power, picture, deltas(picture)

    power, picture, slopes = found(sounds(rate))
    expected = STORED[f"{name}_power"]
    np.testing.assert_allclose(power[:, ::8], expected, rtol=1e-4, atol=1e-6 * expected.max())
    assert picture.shape == (2, 1 + 4000 // hop, bands)
    # In decibels: a ten-thousandth of a power is 4.3e-4 dB.
    np.testing.assert_allclose(picture[:, ::4], STORED[f"{name}_log_mel"], rtol=0, atol=5e-4)
    np.testing.assert_allclose(slopes[:, ::4], STORED[f"{name}_deltas"], rtol=1e-4, atol=1e-3)


def test_silence_and_short_sounds_have_pictures():
    filters = mel_filters(8000, 256, 20)
    silent = log_mel(jnp.zeros((1, 300)), 256, 128, filters, floor=80.0)
    np.testing.assert_allclose(silent, -100, atol=1e-4)
    # Shorter than a frame, and than a hop.
    assert log_mel(jnp.ones((1, 5)), 256, 128, filters).shape == (1, 1, 20)
    # Hops larger than a frame leave samples out.
    assert power_spectrum(jnp.ones((2, 1000)), 64, 100).shape == (2, 11, 33)


def test_the_floor_lies_below_the_loudest_of_each():
    power = jnp.array([[1.0, 1e-9], [1e-4, 1e-5]])
    found = decibels(power, floor=60)
    np.testing.assert_allclose(found, [[0, -60], [-40, -50]], atol=1e-4)


def test_bands_that_hold_nothing_are_refused():
    with pytest.raises(UserError, match=r"--sound.bands 128: \d+ of the bands from 0 to 4000 Hz"):
        mel_filters(8000, 128, 128)
