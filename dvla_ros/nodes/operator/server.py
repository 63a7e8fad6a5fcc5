"""The web server in a thread of its own, with limits that a stranger on the network cannot stretch."""

import asyncio
import socket
import threading
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dvla_ros.errors import ConfigurationError, NodeError

START_S = 5.0
IDLE_S = 5.0
"""A connection on which nothing was answered for so long is closed, as one is that sends its request drop by drop."""
_ANY = ("0.0.0.0", "::")


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        ConfigurationError: The address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise ConfigurationError(
            f"The operator page cannot listen on {host}, port {port}: {error}. Choose another host or port."
        ) from None
    return listener


class PageServer:
    """Serves an application from its construction until `stop`.

    Args:
        app: What answers.
        listener: Where requests come from; closed at the end.
        max_connections: Further ones are closed at once.

    Raises:
        NodeError: It does not start.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, max_connections: int) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=limited_protocol(max_connections),
            ws="none",
            lifespan="off",
            log_config=None,  # nor access_log: a line of it would hold the token
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=16384,
            timeout_keep_alive=int(IDLE_S),
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="operator page", daemon=True)
        self._thread.start()
        self._await_start()

    @property
    def address(self) -> str:
        """Where the page is, without a slash at the end; this machine's name where it listens on every address."""
        host, port = self._listener.getsockname()[:2]
        name = socket.gethostname() if host in _ANY else f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}"

    def stop(self) -> bool:
        """Answer what is being asked, for a second, and end; False where it has ended before."""
        if self._server.should_exit:
            return False
        self._server.should_exit = True
        self._thread.join(5.0)
        self._listener.close()
        return True

    def _serve(self) -> None:
        self._server.run(sockets=[self._listener])

    def _await_start(self) -> None:
        deadline = threading.Event()
        for _ in range(int(START_S / 0.01)):
            if self._server.started:
                return
            deadline.wait(0.01)
        raise NodeError(f"The web server of the operator page did not start within {START_S:g} s.")


def limited_protocol(max_connections: int) -> type[asyncio.Protocol]:
    """HTTP for at most so many connections, none of which may stay without an answer for `IDLE_S`."""

    class LimitedProtocol(H11Protocol):
        _refused = False
        _answers = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if len(self.connections) >= max_connections:
                self._refused = True
                cast(asyncio.Transport, transport).abort()
                return
            super().connection_made(cast(Any, transport))
            self._look_later(0)

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._refused:
                self._timer.cancel()
                super().connection_lost(exc)

        def on_response_complete(self) -> None:
            self._answers += 1
            super().on_response_complete()

        def _look_later(self, answers: int) -> None:
            self._timer = self.loop.call_later(IDLE_S, self._look, answers)

        def _look(self, answers: int) -> None:
            busy = self.cycle is not None and not self.cycle.response_complete
            if busy or self._answers > answers:
                self._look_later(self._answers)
            else:
                self.transport.close()

    return LimitedProtocol
