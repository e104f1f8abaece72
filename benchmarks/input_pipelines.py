"""Images/s of our streaming input beside tf.data and PyTorch's DataLoader, on the same files.

    make bench-input

All read the same JPEG files, of five sizes about 500 x 375 pixels, cut out a random part (area 8
to 100 %, aspect 3/4 to 4/3), resize it to 224 pixels with antialiasing and hand over batches of
uint8. Each has as many workers (processes; with tf.data threads), in a process of its own, in turn,
several times. The other two are installed in environments of their own.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

SIZES = ((375, 500), (500, 375), (333, 500), (400, 600), (500, 500))


@dataclass(frozen=True)
class Options:
    """What is measured."""

    torch: Path | None = None
    """Python of an environment with PyTorch and Pillow."""
    tensorflow: Path | None = None
    """Python of an environment with TensorFlow."""
    files: int = 400
    """How many images are generated."""
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


def write_photos(top: Path, n: int) -> int:
    """Generates smooth pictures with noise in 10 classes; the mean size of a file in bytes."""
    rng, total = np.random.default_rng(0), 0
    for index in range(n):
        folder = top / "train" / f"c{index % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        height, width = SIZES[index % len(SIZES)]
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + rng.normal(0, 12, (height, width, 1)).astype(np.int16)
        file = folder / f"{index:05d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=92)
        total += file.stat().st_size
    return total // n


def main() -> None:
    """Prints median and spread of each."""
    options = tyro.cli(Options, description=__doc__)
    here = Path(__file__).parent
    pipelines = {
        "cnn_jax": (Path(sys.executable), "input_ours.py"),
        "tf.data": (options.tensorflow, "input_tensorflow.py"),
        "DataLoader": (options.torch, "input_torch.py"),
    }
    found: dict[str, list[float]] = {name: [] for name, (python, _) in pipelines.items() if python}
    if options.photos is not None:
        try:
            options.photos.mkdir(parents=True)
        except OSError as error:
            sys.exit(f"error: --photos {options.photos} must be a new folder: {error.strerror}")
    kept = contextlib.nullcontext(str(options.photos))
    with kept if options.photos is not None else tempfile.TemporaryDirectory() as folder:
        size = write_photos(Path(folder), options.files)
        print(f"{options.files} JPEG files of {size / 1000:.0f} kB in the mean")
        sizes = options.batch_size, options.workers, options.warm, options.seconds
        for _ in range(options.rounds):
            for name, rates in found.items():
                python, script = pipelines[name]
                command = [str(python), str(here / script), folder, *map(str, sizes)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name} has failed:\n{done.stderr}")
                rates.append(float(done.stdout.split()[-1]))
    for name, rates in found.items():
        print(
            f"{name:<11} images/s: median {statistics.median(rates):,.0f}, from {min(rates):,.0f} "
            f"to {max(rates):,.0f} (n={len(rates)})"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
