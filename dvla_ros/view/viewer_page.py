"""The viewer's page with a policy that keeps it from talking to anybody but this machine.

Rerun's page reports its use to its makers, asks for a newer version and loads a font where it can. Browsers obey the
header `Content-Security-Policy`: with it the page connects to where it came from and to the port of the data, and to
nothing else.
"""

import shutil
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from types import TracebackType
from urllib.error import URLError

FILES = ("index.html", "re_viewer.js", "re_viewer_bg.wasm", "sw.js", "favicon.ico", "favicon.svg")
_TIMEOUT_S = 10.0


def content_policy(data_port: int) -> str:
    """The header's value: scripts and connections from here, data from any machine's `data_port`."""
    return (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob:; "
        f"connect-src 'self' http://*:{data_port} data: blob:; form-action 'none'; frame-ancestors 'self'"
    )


class ViewerPage:
    """Serves the files of a Rerun page server under the policy, in threads of its own; a context manager.

    Args:
        address: IP address to listen at.
        port: Port to listen on.
        source: Where the files come from, e.g. `http://127.0.0.1:40001`.
        data_port: Port of the data that the page shows.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, address: str, port: int, source: str, data_port: int) -> None:
        class Handler(_Handler):
            origin, policy = source, content_policy(data_port)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = 10 if ":" in address else 2  # AF_INET6, AF_INET

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="page", daemon=True)
        self._thread.start()

    def __enter__(self) -> "ViewerPage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One request: a file of the source, and nothing else."""

    origin = ""
    policy = ""
    server: BaseServer
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        """Send a file."""
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        if name not in FILES:
            self.send_error(404)
            return
        try:
            with urllib.request.urlopen(f"{self.origin}/{name}", timeout=_TIMEOUT_S) as file:
                self.send_response(200)
                for header in ("Content-Type", "Content-Length"):
                    if file.headers[header]:
                        self.send_header(header, file.headers[header])
                self.send_header("Content-Security-Policy", self.policy)
                self.end_headers()
                shutil.copyfileobj(file, self.wfile)
        except URLError:
            self.send_error(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser went away

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: requests are no news."""
