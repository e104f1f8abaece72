"""Our streaming input beside tf.data and PyTorch's DataLoader, on the same files.

    make bench-input

All read the same files, cut out a random part (area 8 to 100 %, aspect 3/4 to 4/3), resize it with
antialiasing and hand over batches of uint8:

- photos: JPEG of five sizes about 500 x 375 pixels, of which come 224 x 224;
- small: JPEG with a shorter side of about 160 pixels, of which come 160 x 160;
- png: the same small pictures as PNG.

Each has as many workers (processes; with tf.data threads), in a process of its own, in turn,
several times. The other two are installed in environments of their own. tf.data decodes only the
part of a JPEG that is taken, ours none of the rows below it, the DataLoader all of it. Pillow's
decoding of the whole image, by one core and with nothing else, is their common measure.
"""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from PIL import Image

SIZES = ((375, 500), (500, 375), (333, 500), (400, 600), (500, 500))

OURS = ("cnn_jax", "cnn_jax, simd")
"""Ours with either resizer."""

Set = Literal["photos", "small", "png"]
Found = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Options:
    """What is measured."""

    torch: Path | None = None
    """Python of an environment with PyTorch and Pillow."""
    tensorflow: Path | None = None
    """Python of an environment with TensorFlow."""
    sets: tuple[Set, ...] = ("photos", "small", "png")
    """Which files."""
    files: int = 400
    """How many images are generated of each."""
    photos: Path | None = None
    """A new folder for them, which stays; by default they go."""
    workers: int = 2
    """Processes or threads that decode."""
    batch_size: int = 64
    """Examples in a batch."""
    warm: int = 10
    """Batches before the clock starts."""
    seconds: float = 5.0
    """How long each is measured a round."""
    rounds: int = 5
    """How often."""
    json: Path | None = None
    """Also write the numbers here."""


def write_photos(top: Path, n: int, kind: Set) -> int:
    """Generates smooth pictures with noise in 10 classes; the mean size of a file in bytes."""
    rng, total = np.random.default_rng(0), 0
    for index in range(n):
        folder = top / "train" / f"c{index % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        height, width = SIZES[index % len(SIZES)]
        if kind != "photos":
            shorter = min(height, width)
            height, width = 160 * height // shorter, 160 * width // shorter
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + rng.normal(0, 12, (height, width, 1)).astype(np.int16)
        file = folder / f"{index:05d}.{'png' if kind == 'png' else 'jpg'}"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=92)
        total += file.stat().st_size
    return total // n


def decoding(folder: Path, seconds: float) -> float:
    """Milliseconds of a processor in which Pillow decodes one of the images."""
    contents = [file.read_bytes() for file in sorted(folder.glob("train/*/*.*"))]
    done, began = 0, time.process_time()
    while (now := time.process_time()) - began < seconds:
        with Image.open(io.BytesIO(contents[done % len(contents)])) as image:
            image.load()
        done += 1
    return 1000 * (now - began) / done


def compared(folder: Path, kind: Set, options: Options) -> Found:
    """What is measured of each reader, and of decoding alone, a round each."""
    own = Path(sys.executable)
    readers = {
        "cnn_jax": (own, "input_ours.py", "pillow"),
        "cnn_jax, simd": (own if find_spec("cykooz_resizer") else None, "input_ours.py", "simd"),
        "tf.data": (options.tensorflow, "input_tensorflow.py"),
        "DataLoader": (options.torch, "input_torch.py"),
    }
    found: Found = {name: [] for name, (python, *_) in readers.items() if python} | {"decoding": []}
    sizes = options.batch_size, options.workers, options.warm, options.seconds
    given = [str(folder), *map(str, (224 if kind == "photos" else 160, *sizes))]
    for _ in range(options.rounds):
        for name, rounds in found.items():
            if name == "decoding":
                rounds.append({"ms": decoding(folder, options.seconds / 2)})
                continue
            python, script, *more = readers[name]
            command = [str(python), str(Path(__file__).parent / script), *given, *more]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
            if done.returncode:
                sys.exit(f"{name} has failed:\n{done.stderr}")
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def table(found: Found) -> str:
    """Medians, and of rates the least and the greatest too, as a table in Markdown."""

    def median(name: str, what: str) -> float:
        return statistics.median(each[what] for each in found[name])

    lines = [
        "| reader | images/s | ours / theirs | ms of a processor an image | "
        "first batch, s | memory, MB | of it workers |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rounds in found.items():
        if name == "decoding":
            lines.append(f"| decoding alone, by Pillow | | | {median(name, 'ms'):.2f} | | | |")
            continue
        rates = [each["images/s"] for each in rounds]
        theirs = statistics.median(rates)
        ratios = [f"{median(own, 'images/s') / theirs:.2f}" for own in found if own in OURS]
        lines.append(
            f"| {name} | {theirs:,.0f} ({min(rates):,.0f}–{max(rates):,.0f}) | "
            f"{'' if name in OURS else ' / '.join(ratios)} | {median(name, 'ms'):.2f} | "
            f"{median(name, 'start'):.1f} | "
            f"{median(name, 'MB'):,.0f} | {median(name, 'MB of workers'):,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints a table for each set of files."""
    options = tyro.cli(Options, description=__doc__)
    if options.photos is not None:
        try:
            options.photos.mkdir(parents=True)
        except OSError as error:
            sys.exit(f"error: --photos {options.photos} must be a new folder: {error.strerror}")
    kept = contextlib.nullcontext(str(options.photos))
    results: dict[str, Found] = {}
    with kept if options.photos is not None else tempfile.TemporaryDirectory() as top:
        for kind in options.sets:
            folder = Path(top, kind)
            size = write_photos(folder, options.files, kind)
            print(f"\n{kind}: {options.files} files of {size / 1000:.0f} kB in the mean, ", end="")
            print(f"{options.workers} workers, n={options.rounds}\n", flush=True)
            results[kind] = compared(folder, kind, options)
            print(table(results[kind]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
