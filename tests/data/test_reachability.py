import socket
import threading
import time

import pytest

from cnn_jax.data.reachability import silent_hosts


@pytest.fixture
def answering():
    """The port of a server that answers every request with 404."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture
def silent():
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_any_answer_counts(answering):
    assert silent_hosts([f"http://127.0.0.1:{answering}/x.zip"]) == []


def test_hosts_that_refuse_are_named_once():
    port = closed()
    urls = [f"http://127.0.0.1:{port}/a", f"http://127.0.0.1:{port}/b", f"http://localhost:{port}/"]
    assert silent_hosts(urls) == ["127.0.0.1", "localhost"]


def test_one_that_answers_is_enough(answering, silent):
    urls = [f"http://localhost:{silent}/a", f"http://127.0.0.1:{answering}/b"]
    assert silent_hosts(urls, seconds=30) == []


def test_silence_is_waited_for_no_longer_than_asked(silent):
    before = time.monotonic()
    assert silent_hosts([f"http://127.0.0.1:{silent}/"], seconds=0.3) == ["127.0.0.1"]
    # Far below what the system's own limits would be.
    assert time.monotonic() - before < 10


def test_nothing_to_ask():
    assert silent_hosts([]) == []
    assert silent_hosts(["/local/file", ""]) == []


def test_a_proxy_is_used(answering, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{answering}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert silent_hosts(["http://host.invalid/x.zip"]) == []
