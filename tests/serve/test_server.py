"""What the server takes, and what it refuses, whatever is told."""

import base64
import hashlib
import json
import re
import signal
import socket
import threading
import time

import pytest
from asked import ask, raw, serving, tell

from cnn_jax.commands.serve import ended_by_signals
from cnn_jax.errors import UserError
from cnn_jax.serve import server as module
from cnn_jax.serve.policy import policy_of
from cnn_jax.serve.server import WAITING, LocalServer, Served

PAGE = "<!DOCTYPE html><title>a page</title><script>\nlet a = 1 < 2;\n</script>ü"


def told(name, content):
    if content == b"bad":
        raise UserError(f"{name}: cannot be read")
    if content == b"broken":
        raise RuntimeError("inside")
    return {"name": name, "bytes": len(content)}


@pytest.fixture(scope="module")
def server():
    with serving(Served(PAGE, told, 1000)) as server:
        yield server


def test_it_listens_to_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_the_page_is_given_with_a_policy_for_its_own_scripts(server):
    status, headers, content = ask(server, "GET", "/")
    assert (status, content.decode()) == (200, PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    digest = base64.b64encode(hashlib.sha256(b"\nlet a = 1 < 2;\n").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "cnn-jax"
    assert not [name for name in headers if name.lower().startswith("access-control")]
    status, headers, content = ask(server, "HEAD", "/")
    assert (status, content) == (200, b"")
    assert headers["Content-Length"] == str(len(PAGE.encode()))


def test_a_page_without_scripts_may_run_none():
    assert "script-src 'none'" in policy_of("<p>words")


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/index.html",
        "/?",
        "/told/",
        "/told?name=x",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%5c..%5cetc/passwd",
        "//etc/passwd",
        "/%00",
        "*",
    ],
)
def test_nothing_but_the_two_routes_is_known(server, path):
    for method in ("GET", "POST", "DELETE"):
        status, headers, content = ask(server, method, path)
        assert (status, json.loads(content)) == (404, {"error": "there is nothing here"})
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
def test_other_methods_are_refused(server, method):
    status, headers, _ = ask(server, method, "/")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    status, headers, _ = ask(server, method, "/told")
    assert (status, headers["Allow"]) == (405, "POST")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_each_route_has_its_methods(server):
    assert ask(server, "POST", "/", b"x")[0] == 405
    assert ask(server, "GET", "/told")[0] == 405


@pytest.mark.parametrize("name", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}"])
def test_it_goes_by_its_own_names(server, name):
    assert ask(server, "GET", "/", Host=name.format(server.server_port))[0] == 200


@pytest.mark.parametrize(
    "name",
    ["evil.example", "evil.example:{}", "127.0.0.1", "localhost:1", "127.0.0.1:{}.evil.example"],
)
def test_other_names_are_refused(server, name):
    # A page of another site whose name has been made to mean this machine.
    for method, path in (("GET", "/"), ("POST", "/told"), ("GET", "/nothing")):
        status, _, content = ask(server, method, path, Host=name.format(server.server_port))
        assert status == 421 and b"a page" not in content


def test_one_host_is_needed(server):
    assert raw(server, b"GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 400 ")
    port = server.server_port
    twice = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n"
    assert raw(server, twice.encode()).startswith("HTTP/1.1 400 ")


def test_pages_of_other_sites_are_refused(server):
    for origin in ("http://evil.example", "null", "http://localhost:1"):
        assert tell(server, b"x", Origin=origin) == (
            403,
            {"error": "this is not for pages of other sites"},
        )
    assert tell(server, b"x", Origin=f"http://localhost:{server.server_port}")[0] == 200
    # What a form of another site could send without being asked.
    for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
        assert tell(server, b"x", Content_Type=kind)[0] == 415


def test_what_is_no_http_is_refused(server):
    assert raw(server, b"\x16\x03\x01\x02\r\n\r\n").startswith("HTTP/1.1 400 ")
    said = raw(server, b"GET / HTTP/1.1 now\r\n\r\n")
    assert " 400 " in said and "<" not in said
    assert " 414 " in raw(server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n")
    assert " 431 " in raw(server, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n")


def test_a_file_is_told_of_by_its_name(server):
    assert tell(server, b"12345") == (200, {"name": "own.png", "bytes": 5})
    assert tell(server, b"") == (200, {"name": "own.png", "bytes": 0})
    # No part of a path remains, nor what could not be printed.
    for given, name in (
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5Cpictures%5Ca.png", "a.png"),
        ("%C3%BC%20%E2%82%AC.png", "ü €.png"),
        ("a%00%0A%1B%5B31m.png", "a???[31m.png"),
        ("..%2F", "the file"),
        ("%ff", "�"),
    ):
        assert tell(server, b"x", given)[1]["name"] == name
    assert len(tell(server, b"x", "a" * 5000)[1]["name"]) == 200


def test_what_cannot_be_read_is_said(server):
    assert tell(server, b"bad") == (422, {"error": "own.png: cannot be read"})


def test_what_breaks_is_said_here_and_in_the_terminal(server, capsys):
    assert tell(server, b"broken") == (
        500,
        {"error": "it failed (RuntimeError); the terminal says more"},
    )
    assert tell(server, b"1") == (200, {"name": "own.png", "bytes": 1})
    said, end = "", time.monotonic() + 20
    while "RuntimeError: inside" not in said and time.monotonic() < end:
        said += capsys.readouterr().err  # printed once the answer is sent
    assert "RuntimeError: inside" in said


def test_too_large_requests_are_refused_unread(server):
    assert tell(server, b"1" * 1000)[0] == 200
    says = {"error": "1,001 bytes are more than the 1,000 that are read here"}
    assert tell(server, b"1" * 1001) == (413, says)
    # Though all of it is sent, what is said arrives.
    assert tell(server, b"1" * 3_000_000)[0] == 413


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Content-Length: 9999999999999", 413),
        ("Content-Length: -1", 400),
        ("Content-Length: 1e3", 400),
        ("Content-Length: ²", 400),
        ("Content-Length: " + "9" * 5000, 400),
        ("Content-Length: 1\r\nContent-Length: 1", 411),
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", 411),
        ("X: y", 411),
    ],
)
def test_the_length_has_to_be_told(server, lines, status):
    head = f"POST /told HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
    head += f"Content-Type: application/octet-stream\r\n{lines}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_what_ends_too_early_is_refused(server, monkeypatch):
    head = f"POST /told HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
    head += "Content-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\n123"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        said = connection.makefile("rb").read().decode()
    assert said.startswith("HTTP/1.1 408 ") and "only 3 of 9 bytes have come" in said
    # The same of one who stays and says nothing.
    monkeypatch.setattr(module._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        assert connection.recv(100) == b""
    monkeypatch.undo()
    assert tell(server, b"1")[0] == 200


def test_one_is_told_at_a_time_and_few_wait():
    go, started = threading.Event(), threading.Semaphore(0)
    now, most, found = [], [], []

    def slow(name, content):
        now.append(1)
        most.append(len(now))
        started.release()
        assert go.wait(20)
        now.pop()
        return {}

    with serving(Served(PAGE, slow, 1000)) as server:
        threads = [
            threading.Thread(target=lambda: found.append(tell(server, b"x")[0]))
            for _ in range(WAITING + 6)
        ]
        for each in threads:
            each.start()
        assert started.acquire(timeout=20)
        # All but one and those that wait are sent away while the first is told.
        while len(found) < 5:
            threading.Event().wait(0.01)
        status, headers, content = ask(
            server, "POST", "/told", b"x", Content_Type="application/octet-stream"
        )
        assert (status, headers["Retry-After"]) == (503, "2")
        assert json.loads(content)["error"].startswith("others are being told")
        assert ask(server, "GET", "/")[0] == 200  # the page is there all the while
        go.set()
        for each in threads:
            each.join()
    assert sorted(found) == [200] * (1 + WAITING) + [503] * 5
    assert max(most) == 1


def test_a_port_that_is_taken_or_none_is_named(server):
    taken = server.server_port
    with pytest.raises(UserError, match=rf"^--port {taken} is taken by another program; give"):
        LocalServer(taken)
    for port in (-1, 65536):
        with pytest.raises(UserError, match=rf"^--port {port} must be from 0"):
            LocalServer(port)


def test_a_browser_that_goes_is_nothing_to_be_said(server, capsys):
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.sendall(head)
            # Closed with a reset, and nothing read.
            linger = b"\1\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert ask(server, "GET", "/")[0] == 200
    assert not re.search("Traceback", capsys.readouterr().err)


def test_what_is_being_told_is_awaited_at_the_end(monkeypatch):
    server, found, main_thread = LocalServer(0), [], threading.main_thread()
    monkeypatch.setattr(module, "_PATIENCE", 30.0)

    def slow(name, content):
        time.sleep(0.3)  # until this thread has been handed over
        signal.pthread_kill(main_thread.ident, signal.SIGINT)
        time.sleep(0.3)  # until that is heard
        found.append(name)
        return {}

    asking = threading.Thread(target=lambda: found.append(tell(server, b"x")[0]))
    asking.start()  # waits until the server answers
    with ended_by_signals():
        server.serve(Served(PAGE, slow, 1000))
    assert found[0] == "own.png"
    asking.join()
    assert found[1] == 200
    with pytest.raises(OSError, match="refused"):
        ask(server, "GET", "/")
