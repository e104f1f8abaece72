"""Makes the reference of `test_log_mel.py`: what librosa makes of two sounds.

    python tests/augment/references/make.py

writes log_mel.npz beside this file. Needs librosa, which the tests do not; the one here was made
with librosa 0.11. The sounds are drawn from numpy's PCG64, and are not stored:
`test_log_mel.sounds` draws the same.
"""

import json
from pathlib import Path

import librosa
import numpy as np

CASES = {
    "8k": {"rate": 8000, "fft": 256, "hop": 128, "bands": 32, "low": 50.0, "high": None},
    "odd": {"rate": 22_050, "fft": 1024, "hop": 500, "bands": 60, "low": 0.0, "high": 9000.0},
}


def sounds(rate):
    """Two sounds (2, 4,000) float32: rising whistles in noise, and a click in silence."""
    random = np.random.Generator(np.random.PCG64(0))
    time = np.arange(4000) / rate
    whistle = np.sin(2 * np.pi * (300 + 900 * time / time[-1]) * time)
    noisy = 0.3 * whistle + 0.01 * random.standard_normal(4000)
    click = np.zeros(4000)
    click[1500:1540] = random.uniform(-1, 1, 40)
    return np.stack([noisy, click]).astype(np.float32)


def made(rate, fft, hop, bands, low, high):
    """Power spectrum, filters, log-mel and its slopes by librosa."""
    waves = sounds(rate)
    given = {"sr": rate, "n_fft": fft, "hop_length": hop}
    power = np.abs(librosa.stft(waves, n_fft=fft, hop_length=hop)) ** 2
    filters = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=bands, fmin=low, fmax=high)
    mel = librosa.feature.melspectrogram(y=waves, **given, n_mels=bands, fmin=low, fmax=high)
    logs = np.stack([librosa.power_to_db(each, ref=1.0, top_db=80.0) for each in mel])
    slopes = np.stack([librosa.feature.delta(each, width=9) for each in logs])
    every = 4  # of the frames, so that the file stays small
    turned = {"power": power[..., ::8], "log_mel": logs, "deltas": slopes}
    turned = {name: np.swapaxes(values, 1, 2) for name, values in turned.items()}
    turned["log_mel"], turned["deltas"] = (
        turned["log_mel"][:, ::every],
        turned["deltas"][:, ::every],
    )
    return {**turned, "filters": filters[::3]}


if __name__ == "__main__":
    arrays = {"about": np.array(json.dumps({"librosa": librosa.__version__, "cases": CASES}))}
    for name, case in CASES.items():
        arrays |= {f"{name}_{key}": value.astype(np.float32) for key, value in made(**case).items()}
    np.savez_compressed(Path(__file__).parent / "log_mel.npz", **arrays)
