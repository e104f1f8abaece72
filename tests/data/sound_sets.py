"""Tiny sets of sounds: whistles of two pitches."""

import numpy as np
import soundfile

RATE = 4000
PITCHES = {"high": 1400, "low": 300}


def whistle(label, seconds, rate=RATE, seed=0):
    """A tone of the class in some noise, (t,) float."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = PITCHES[label] * random.uniform(0.9, 1.1)
    return 0.4 * np.sin(2 * np.pi * pitch * time) + random.normal(0, 0.02, len(time))


def write(file, samples, rate=RATE, **how):
    """Writes samples (t,) or (t, channels) as a file of the form that its name says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, rate, **how)
    return file


def folder_of_classes(top, count=12, lengths=(0.2, 0.5)):
    """A folder a class, with sounds of different lengths."""
    for label in PITCHES:
        for place in range(count):
            seconds = lengths[0] + (lengths[1] - lengths[0]) * place / max(1, count - 1)
            write(top / label / f"{place:02}.wav", whistle(label, seconds, seed=place))
    return top
