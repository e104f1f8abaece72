"""The processes of one job: how they find each other, and how they act as one."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from cnn_jax.devices.layout import Processes as Processes
from cnn_jax.errors import UserError


class Lost(UserError):
    """Another process of the job has gone; what was saved is whole."""

    exit_code = 69  # EX_UNAVAILABLE


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Within it the loss of another process is a `Lost`, where there are several.

    What computes with the others fails when one closes its connection; one that only falls silent
    is taken for dead after the heartbeat, and then JAX itself ends this process.

    Raises:
      Lost: what is computed together has failed.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise Lost(
            f"what the processes compute together has failed ({str(error).splitlines()[0]}); "
            "another of them may have ended: see what it says. The same command goes on from the "
            "newest checkpoint."
        ) from error


def leave(status: int) -> NoReturn:
    """Ends this process at once, without the farewell to the others that JAX waits for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def connected() -> bool:
    """Whether this process has joined others."""
    return jax.distributed.is_initialized()


def process_index() -> int:
    """Which process of its job this is; of a process alone without a look at its devices."""
    return jax.process_index() if connected() else 0


def connect(processes: Processes) -> None:
    """Joins the other processes of the job, if there are any; before any use of a device.

    Raises:
      UserError: only a part of what is needed is given, or the others are not found.
    """
    given = {
        "coordinator": processes.coordinator,
        "count": processes.count,
        "index": processes.index,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < 3:
        raise UserError(
            "--processes.coordinator, --processes.count and --processes.index belong together; "
            "missing: " + ", ".join(f"--processes.{name}" for name in missing)
        )
    if not missing:
        assert processes.count is not None and processes.index is not None
        if not 0 <= processes.index < processes.count:
            raise UserError(
                f"--processes.index {processes.index} must be at least 0 and below "
                f"--processes.count {processes.count}"
            )
        if processes.count == 1:
            return
    if processes.heartbeat < 1:
        raise UserError(f"--processes.heartbeat {processes.heartbeat} must be at least 1")
    if missing and not (_in_a_job() if processes.cluster is None else processes.cluster):
        return
    try:
        jax.distributed.initialize(
            coordinator_address=processes.coordinator,
            num_processes=processes.count,
            process_id=processes.index,
            heartbeat_timeout_seconds=processes.heartbeat,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"the other processes of the job were not found: {str(error).splitlines()[0]}"
        ) from None


def _in_a_job() -> bool:
    """Whether the environment is that of one of several processes."""
    environment = os.environ
    # A shell within an allocation has the number of tasks, but no task of its own.
    slurm = "SLURM_STEP_NODELIST" in environment and environment.get("SLURM_PROCID")
    return bool(
        (slurm and int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1)
        or int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
        or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
    )


def is_first() -> bool:
    """Whether this is the process that writes logs and speaks."""
    return jax.process_index() == 0


def first_does(action: Callable[[], Any]) -> Any:
    """What the first process gets from an action, in all of them; so is its `UserError`.

    Args:
      action: gives a value of JSON; only the first process calls it.

    Raises:
      UserError: the action did.
    """
    if jax.process_count() == 1:
        return action()
    said: dict[str, Any] = {}
    failure: Exception | None = None
    if is_first():
        try:
            said = {"value": action()}
        except Exception as error:
            # Raised again here once the others know: else they would wait for ever.
            failure = error
            said = {"error": str(error), "code": getattr(error, "exit_code", 1)}
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    buffer = np.zeros(length, np.uint8)
    if is_first():
        buffer[:] = text
    heard = json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(buffer))))
    if failure is not None:
        if isinstance(failure, UserError):
            failure.shared = True
        raise failure
    if "error" in heard:
        failed = UserError(heard["error"])
        failed.exit_code, failed.shared = heard["code"], True
        raise failed
    return heard["value"]


def any_of(flag: bool) -> bool:
    """Whether the flag of any process is true."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def of_first(tree: Any) -> Any:
    """The arrays of the first process in all of them, as arrays of their hosts."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))


def meet(where: str) -> None:
    """Waits until all processes have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)
