"""The command: from a run folder to a page in a process of its own, and to its end."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from test_told import encoded

from cnn_jax.__main__ import main, read_command
from cnn_jax.commands.serve import PORT, Serve
from cnn_jax.data.fields import Field
from cnn_jax.errors import UserError
from cnn_jax.restored import restore


@contextlib.contextmanager
def started(*words):
    """The command in a process of its own, and the address that it has printed."""
    command = [sys.executable, "-m", "cnn_jax", "serve", *map(str, words)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            lines = []
            while not (lines and (found := re.search(r"http://127\.0\.0\.1:\d+/", lines[-1]))):
                line = process.stdout.readline()
                assert line, process.stderr.read()
                lines.append(line)
            yield process, found[0], "".join(lines)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def ended(run, digit):
    """What a server gave, and how it ended by Ctrl-C."""
    with started(run, "--port", 0) as (process, address, printed):
        with urllib.request.urlopen(address) as response:
            page = response.read().decode()
        request = urllib.request.Request(
            f"{address}told",
            digit.read_bytes(),
            {"Content-Type": "application/octet-stream", "X-File-Name": "a.png"},
        )
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return page, answer, printed + out, err, process.returncode


def test_it_serves_a_page_and_tells(ended, teller, digit):
    page, answer, out, _, _ = ended
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    assert 'id="try"' in page and "Try a picture" in page
    assert answer == json.loads(json.dumps(teller("a.png", digit.read_bytes()).to_json()))
    assert "(Ctrl-C ends it)" in out


def test_control_c_ends_it_in_good_order(ended):
    *_, out, err, status = ended
    assert out.endswith("stopped\n") and status == 0
    assert "Traceback" not in err and "error" not in err


def test_a_port_that_is_taken_is_named_before_the_model_is_read(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as stopped:
            main(["serve", "no such run", "--port", str(port)])
    assert stopped.value.code == 2
    assert f"error: --port {port} is taken by another program" in capsys.readouterr().err


def test_what_is_no_run_is_refused(capsys, tmp_path):
    for words, says in (
        (["nowhere"], "nowhere is no run folder"),
        ([str(tmp_path)], str(tmp_path)),
        (["nowhere", "--host", "0.0.0.0"], "unknown flag --host"),
        (["nowhere", "--port", "70000"], "--port 70000 must be from 0"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["serve", *words, *([] if "--port" in words else ["--port", "0"])])
        assert stopped.value.code == 2
        assert says in capsys.readouterr().err


def test_without_the_libraries_of_reports_there_is_the_place_alone(run, monkeypatch, capsys):
    def lacking():
        raise UserError("Jinja is not installed")

    monkeypatch.setattr("cnn_jax.report.page.libraries.check_libraries", lacking)
    served = Serve(run)._served()
    assert "<h1>tiny</h1>" in served.page and "Try a picture" in served.page
    assert 'id="results"' not in served.page
    assert "without a report, of which nothing is shown: Jinja is" in capsys.readouterr().out
    assert served.tell("a.png", encoded(np.zeros((8, 8), np.uint8)))["tables"]


def test_videos_are_not_tried_and_that_is_said(run, monkeypatch):
    spec = dataclasses.replace(
        restore(run).spec, inputs={"clip": Field("clip", (4, 8, 8, 1), "u1")}
    )
    found = SimpleNamespace(trained=SimpleNamespace(spec=spec, recipe=None), folder=None)
    monkeypatch.setattr(Serve, "opened", lambda self: found)
    monkeypatch.setattr(Serve, "_page", lambda self, found, section: section)
    served = Serve(run)._served()
    assert "Videos are not tried in the browser" in served.page and "<input" not in served.page
    assert served.most_bytes == 0
    with pytest.raises(UserError, match="given videos"):
        served.tell("a.mp4", b"")


def test_the_browser_is_opened_only_where_it_is_asked_for():
    assert not read_command(["serve", "run"]).open
    assert read_command(["serve", "run"]).port == PORT == 8042
    assert read_command(["serve", "run", "--open"]).open
