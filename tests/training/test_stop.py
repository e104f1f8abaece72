"""Signals that ask a run to stop: what becomes of it, and of the process."""

import os
import signal
import subprocess
import sys

import pytest

from cnn_jax.interruption import importing
from cnn_jax.training.stop import Stopped, StopRequest


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_a_signal_is_heard_where_there_is_something_to_save(number, capfd):
    number = signal.Signals[number]
    before = signal.getsignal(number)
    with StopRequest() as stop, stop.saving():
        assert not stop()
        send(number)
        assert stop()
        if number != signal.SIGINT:
            send(number)  # a machine that is taken away is told so again and again
    assert signal.getsignal(number) is before
    assert "stopping after this step" in capfd.readouterr().err


def test_a_second_ctrl_c_does_not_wait(capfd):
    said = pytest.raises(Stopped, match="stopped at once, without saving")
    with said, StopRequest() as stop, stop.saving():
        send(signal.SIGTERM)
        send(signal.SIGINT)
        raise AssertionError
    assert "error" not in capfd.readouterr().err


def test_where_nothing_is_to_be_saved_the_work_ends_at_once():
    with pytest.raises(Stopped, match="stopped before the first step"), StopRequest():
        send(signal.SIGTERM)
        raise AssertionError
    # What another raises is not taken for a signal.
    with pytest.raises(KeyboardInterrupt), StopRequest():
        raise KeyboardInterrupt


def test_a_hang_up_that_nohup_ignores_is_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop, stop.saving():
            send(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_during_imports_is_no_traceback(capfd):
    with pytest.raises(SystemExit) as ended, importing():
        send(signal.SIGINT)
        raise AssertionError
    assert ended.value.code == 75
    assert capfd.readouterr().err == "stopped before anything had begun\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# A mutex that is locked twice holds the thread as a compiler does: no handler is called.
DEAF = """
import ctypes, os, signal, sys, threading
from cnn_jax.errors import shown_to_user
from cnn_jax.training.stop import StopRequest

def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)

libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
libc.pthread_mutex_init(mutex, None)
libc.pthread_mutex_lock(mutex)
def deaf(*numbers):
    threading.Timer(0.1, send, numbers).start()
    libc.pthread_mutex_lock(mutex)

with shown_to_user(), StopRequest(ends_process=True) as stop:
    if sys.argv[1] == "compiling":
        deaf(signal.SIGINT)
    with stop.saving():
        deaf(signal.SIGTERM, signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("compiling", "stopped before the first step of this start; "),
        ("saving", "stopped at once, without saving. The same command goes on"),
    ],
)
def test_a_process_that_hears_nothing_is_ended(where, said):
    done = subprocess.run(
        [sys.executable, "-c", DEAF, where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 75, done.stderr
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
