"""A server of one page and one answer, for the user of this machine alone.

Python's own `http.server` over 127.0.0.1. It knows two routes, opens no file of the disk, and takes
no request from pages of other sites: their name for this machine is none of ours (DNS rebinding),
and their origin is another.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from cnn_jax.errors import UserError
from cnn_jax.serve.policy import policy_of

HOST = "127.0.0.1"
PAGE, TOLD = "/", "/told"
_METHODS = {PAGE: ("GET", "HEAD"), TOLD: ("POST",)}
_BODY = "application/octet-stream"
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"

WAITING = 4
"""Requests that wait for the one that is told, before others are sent away."""
_CONNECTIONS = 32
_SILENCE = 10.0
"""Seconds without a byte after which a connection is closed."""
_SENDING = 60.0
"""Seconds in which a request has to be here."""
_PATIENCE = 20.0
"""Seconds that what is being told gets to end before the server does."""
_LINGER = 2.0
_PIECE = 1 << 16
_LONGEST_NAME = 200


class Served(NamedTuple):
    """What a server gives.

    Attributes:
      page: HTML.
      tell: (name of a file, what it holds) -> a value that JSON has. A `UserError` is shown to the
        user.
      most_bytes: of a request.
    """

    page: str
    tell: Callable[[str, bytes], Any]
    most_bytes: int


class LocalServer(ThreadingHTTPServer):
    """A server on a port of this machine, which others cannot reach.

    Args:
      port: 0 for any that is free.

    Attributes:
      served: what it gives; nothing is answered before it is set.

    Raises:
      UserError: the port is taken, or may not be used.
    """

    daemon_threads = True
    request_queue_size = _CONNECTIONS
    served: Served

    def __init__(self, port: int) -> None:
        if not 0 <= port <= 65535:
            raise UserError(f"--port {port} must be from 0, for any that is free, to 65535")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "is taken by another program; give another, or 0 for any that is free"
            elif error.errno == errno.EACCES:
                why = "may not be used by this user; give one above 1023, or 0 for any"
            else:
                why = f"cannot be used: {error.strerror or error}"
            raise UserError(f"--port {port} {why}") from None
        self._connections = threading.BoundedSemaphore(_CONNECTIONS)
        self._queue = threading.BoundedSemaphore(1 + WAITING)
        self._one = threading.Lock()

    def server_bind(self) -> None:
        """Binds without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser may call it."""
        names = (HOST, "localhost")
        bare = names if self.server_port == 80 else ()
        return (*(f"{name}:{self.server_port}" for name in names), *bare)

    def serve(self, served: Served) -> None:
        """Answers until a KeyboardInterrupt, which is awaited and not raised on."""
        self.served = served
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()
        self.server_close()
        # A thread that is within XLA when Python ends may take the process with it.
        self._one.acquire(timeout=_PATIENCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a connection, unless there are too many."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers a connection, in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints what went wrong, unless it is that a browser has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @contextlib.contextmanager
    def place(self) -> Any:
        """Whether there is a place in the queue, for as long as it is used."""
        there = self._queue.acquire(blocking=False)
        try:
            yield there
        finally:
            if there:
                self._queue.release()

    def tell(self, name: str, content: bytes) -> Any:
        """What is told of a file, one at a time."""
        with self._one:
            return self.served.tell(name, content)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, says: str, **headers: str) -> None:
        super().__init__(says)
        self.status, self.says, self.headers = status, says, headers


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE

    def __getattr__(self, name: str) -> Any:
        # Whatever the method, the route decides what is said of it.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        self.close_connection = True
        try:
            self._check_host()
            allowed = _METHODS.get(self.path)
            if allowed is None:
                raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
            if self.command not in allowed:
                says = f"{self.command} is not for this; {' and '.join(allowed)} are"
                raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, says, Allow=", ".join(allowed))
            if self.path == TOLD:
                self._tell()
            else:
                page = self.server.served.page
                self._send(HTTPStatus.OK, "text/html", page.encode(), policy_of(page))
        except _Refused as refused:
            self._send_json(refused.status, {"error": refused.says}, refused.headers)
            self._linger()

    def _check_host(self) -> None:
        given = self.headers.get_all("Host") or []
        if len(given) != 1:
            raise _Refused(HTTPStatus.BAD_REQUEST, "one Host is needed")
        if given[0].strip().lower() not in self.server.hosts:
            raise _Refused(
                HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.address}, and no other"
            )

    def _tell(self) -> None:
        origins = tuple(f"http://{host}" for host in self.server.hosts)
        origin = self.headers.get("Origin")
        if origin is not None and origin.lower() not in origins:
            raise _Refused(HTTPStatus.FORBIDDEN, "this is not for pages of other sites")
        if self.headers.get("Content-Type") != _BODY:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"it is to be sent as {_BODY}")
        length = self._length()
        with self.server.place() as there:
            if not there:
                raise _Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "others are being told; try again in a moment",
                    **{"Retry-After": "2"},
                )
            content = self._read(length)
            try:
                found = self.server.tell(self._name(), content)
            except UserError as error:
                raise _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
            except Exception as error:
                says = f"it failed ({type(error).__name__}); the terminal says more"
                self._send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": says})
                raise
            self._send_json(HTTPStatus.OK, found)

    def _length(self) -> int:
        """How many bytes are to come."""
        given = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or len(given) != 1:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "one Content-Length is needed")
        if not (given[0].isascii() and given[0].isdecimal() and len(given[0]) < 19):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the Content-Length is no count")
        length, most = int(given[0]), self.server.served.most_bytes
        if length > most:
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{length:,} bytes are more than the {most:,} that are read here",
            )
        return length

    def _read(self, length: int) -> bytes:
        """The body of the request."""
        content, end = bytearray(), time.monotonic() + _SENDING
        with contextlib.suppress(TimeoutError):  # what is missing then is told of below
            while len(content) < length and time.monotonic() < end:
                piece = self.rfile.read1(min(_PIECE, length - len(content)))
                if not piece:
                    break
                content += piece
        if len(content) < length:
            raise _Refused(
                HTTPStatus.REQUEST_TIMEOUT,
                f"only {len(content):,} of {length:,} bytes have come",
            )
        return bytes(content)

    def _name(self) -> str:
        """What the user calls the file: only the last part, in signs that can be printed."""
        given = urllib.parse.unquote(self.headers.get("X-File-Name", ""), errors="replace")
        last = given.replace("\\", "/").rpartition("/")[2]
        name = "".join(sign if sign.isprintable() else "?" for sign in last)
        return name[-_LONGEST_NAME:] or "the file"

    def _send_json(
        self, status: HTTPStatus, value: Any, headers: dict[str, str] | None = None
    ) -> None:
        body = json.dumps(value, allow_nan=False).encode()
        self._send(status, "application/json", body, _NOTHING, headers)

    def _send(
        self,
        status: HTTPStatus,
        kind: str,
        body: bytes,
        policy: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        own = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
        }
        for name, value in {**_HEADERS, **own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _linger(self) -> None:
        """Takes in for a moment what is still being sent.

        Else the connection would be reset, and the browser would not read why it was refused.
        """
        end = time.monotonic() + _LINGER
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER)
            while time.monotonic() < end and self.connection.recv(_PIECE):
                pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no request at all is answered as everything else is."""
        self.close_connection = True
        status = HTTPStatus(code)
        # What was sent may have been understood as of an older version, whose answers have no head.
        self.request_version = self.protocol_version
        self.command = getattr(self, "command", None) or ""
        self._send_json(status, {"error": message or status.phrase})

    def version_string(self) -> str:
        """No more than what it is."""
        return "cnn-jax"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed of requests."""
