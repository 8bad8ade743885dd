"""The demo's network: an HTTP server on this machine that answers each request after a stated delay."""

from __future__ import annotations

import http.client
import sysconfig
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, final


def library_files(count: int) -> list[str]:
    """Return the names of up to `count` of the standard library's source files, spread over all of them."""
    root = Path(sysconfig.get_path("stdlib"))
    # Not the tests and not what was installed beside it: they differ from machine to machine.
    names = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if not {"site-packages", "dist-packages", "test", "tests", "__pycache__"}.intersection(path.parts)
    )
    step = max(1.0, len(names) / count)
    return [names[int(i * step)] for i in range(min(count, len(names)))]


@final
class FileServer:
    """An actor that serves files of the standard library on the loopback interface.

    Args:
        names: the files that may be asked for, relative to the library's folder.
        delay: seconds before each answer.
    """

    def __init__(self, names: list[str], delay: float) -> None:
        root = Path(sysconfig.get_path("stdlib"))
        files = {"/" + name: root / name for name in names}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a large body must not wait for the acknowledgement of its head
            wbufsize = 1 << 16  # head and body leave together: one system call here, one wake-up there

            def do_GET(self) -> None:
                time.sleep(delay)
                path = files.get(self.path)
                if path is None:
                    self.send_error(404)
                    return
                body = path.read_bytes()
                self.send_response_only(200)  # without the date and a name, which nobody here would read
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, name="demo-http", daemon=True).start()

    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._server.server_address[1])


@final
class Client(threading.local):
    """A keep-alive connection per thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, name: str) -> bytes:
        """Fetch one file."""
        self._connection.request("GET", "/" + name)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"GET /{name}: expected status 200, got {response.status}")
        return body
