"""What it takes to hand over batches; see input_pipelines.py. It needs no package."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")


def measured(
    batches: Iterator[Any], began: float, batch_size: int, warm: int, seconds: float
) -> None:
    """Prints, as JSON, images/s, processor time, seconds to the first batch, and memory.

    Args:
      batches: of so many images each.
      began: when what makes them was begun, by time.perf_counter.
      batch_size: images in a batch.
      warm: batches before the clock starts.
      seconds: how long it runs.
    """
    next(batches)
    first = time.perf_counter() - began
    for _ in range(warm):
        next(batches)
    workers = _children()
    before, count, began = _processor_seconds(workers), 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        next(batches)
        count += batch_size
    used = _processor_seconds(workers) - before
    print(
        json.dumps(
            {
                "images/s": count / (now - began),
                "ms": 1000 * used / count,
                "start": first,
                "MB": sum(map(_megabytes, [os.getpid(), *workers])),
                "MB of workers": sum(map(_megabytes, workers)),
            }
        )
    )


def _children() -> list[int]:
    threads = Path("/proc/self/task").iterdir()
    return [int(number) for each in threads for number in (each / "children").read_text().split()]


def _processor_seconds(workers: list[int]) -> float:
    """Of this process and of the workers, in user and system."""
    ticks = 0
    for number in workers:
        # Behind the name, which may hold anything, in brackets.
        fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / _TICK


def _megabytes(process: int) -> float:
    """What a process holds, of memory that it shares its part."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
