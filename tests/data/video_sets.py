"""Tiny sets of videos: a square that moves to the left or to the right."""

import numpy as np
from PIL import Image

WAYS = {"left": -2, "right": 2}


def moving_square(label, frames=6, side=16, seed=0):
    """A square on a dim ground that moves, (frames, side, side, 3) uint8."""
    random = np.random.default_rng(seed)
    start, row = random.integers(0, side), random.integers(2, side - 6)
    clip = np.full((frames, side, side, 3), 40, np.uint8)
    for time in range(frames):
        columns = (start + WAYS[label] * time + np.arange(4)) % side
        clip[time, row : row + 4, columns] = 220
    return clip


def write_frames(folder, clip, names="{:02}.png"):
    """Writes a clip (t, h, w, 3) as a folder of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for time, frame in enumerate(clip):
        Image.fromarray(frame).save(folder / names.format(time))
    return folder


def folder_of_classes(top, count=12, frames=(4, 9), side=16):
    """A folder a class with folders of frames of different lengths."""
    for label in WAYS:
        for place in range(count):
            length = frames[0] + place % (frames[1] - frames[0] + 1)
            clip = moving_square(label, length, side, seed=place)
            write_frames(top / label / f"clip{place:02}", clip)
    return top
