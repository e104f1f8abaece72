"""A server in a thread, and what it says to requests of any form."""

import contextlib
import http.client
import json
import socket
import threading

from cnn_jax.serve.server import LocalServer


@contextlib.contextmanager
def serving(served):
    """A server on a free port, closed at the end."""
    server = LocalServer(0)
    server.served = served
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server, method, path, body=None, **headers):
    """Status, headers and content of what is said to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    with contextlib.closing(connection):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def tell(server, body, name="own.png", **headers):
    """Status and value of what is told of a file."""
    given = {"Content_Type": "application/octet-stream", "X_File_Name": name, **headers}
    status, _, content = ask(server, "POST", "/told", body, **given)
    return status, json.loads(content)


def raw(server, sent):
    """All that is said to these bytes, until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(sent)
        said = b""
        while piece := connection.recv(1 << 16):
            said += piece
    return said.decode()
