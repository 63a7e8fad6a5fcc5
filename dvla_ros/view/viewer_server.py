"""The web viewer and the server of its data: a process of its own, on loopback unless another address is named."""

import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from dvla_ros.errors import ConfigurationError, DependencyError, NodeError
from dvla_ros.view.rerun_package import rerun
from dvla_ros.view.viewer_page import ViewerPage

LOOPBACK = "127.0.0.1"
_START_S = 20.0
_STOP_S = 5.0


@dataclass(frozen=True)
class ServerConfig:
    """Where the viewer is served.

    Attributes:
        address: IP address to listen at; every address but a loopback one opens the view to the network: anybody who
            reaches it sees the cameras.
        web_port: Port of the page.
        data_port: Port of the data, which the page connects to.
        memory: What is kept for viewers that come later, e.g. 512MB; older data are dropped.

    Raises:
        ConfigurationError: A value is out of range.
    """

    address: str = LOOPBACK
    web_port: int = 9090
    data_port: int = 9876
    memory: str = "512MB"

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            raise ConfigurationError(
                f"address must be an IP address such as {LOOPBACK} (this machine only) or 0.0.0.0 (all networks), "
                f"got '{self.address}'."
            ) from None
        for name in ("web_port", "data_port"):
            if not 1 <= getattr(self, name) <= 65535:
                raise ConfigurationError(f"{name} must be 1..65535, got {getattr(self, name)}.")
        if self.web_port == self.data_port:
            raise ConfigurationError(f"web_port and data_port must differ, both are {self.web_port}.")

    @property
    def is_open(self) -> bool:
        """Whether other machines can connect."""
        return not ipaddress.ip_address(self.address).is_loopback

    @property
    def reachable(self) -> str:
        """The address to connect to from this machine."""
        address = ipaddress.ip_address(self.address)
        if address.is_unspecified:
            return LOOPBACK if address.version == 4 else "[::1]"
        return self.address if address.version == 4 else f"[{self.address}]"

    @property
    def data_url(self) -> str:
        """Where data are sent to, and where viewers get them from."""
        return f"rerun+http://{self.reachable}:{self.data_port}/proxy"

    @property
    def page(self) -> str:
        """The address to open in a browser of this machine."""
        return f"http://{self.reachable}:{self.web_port}/?url={quote(self.data_url, safe='')}"


class ViewerServer:
    """The running server; a context manager.

    Args:
        config: Where it listens.
        recording: File to serve; None: what is sent to `config.data_url`.

    Raises:
        DependencyError: Rerun is not installed.
        ConfigurationError: A port is taken.
        NodeError: The server did not start.
    """

    def __init__(self, config: ServerConfig, recording: Path | None = None) -> None:
        rerun()
        self.config = config
        for port in (config.web_port, config.data_port):
            _require_free(config.address, port)
        program, files_port = _program(), _free_port()
        command = [
            *program,
            *("--serve-web", "--bind", config.address),
            *("--web-viewer-port", str(files_port), "--port", str(config.data_port)),
            *("--server-memory-limit", config.memory),
            *([] if recording is None else [str(recording)]),
        ]
        self._page: ViewerPage | None = None
        self._settings = tempfile.TemporaryDirectory(prefix="dvla_view_")
        self._output = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would stop it once it is full
        # A session of its own: a Ctrl-C that is meant for this process does not take the server away before the end.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_without_reports(program, Path(self._settings.name)),
        )
        self._wait((files_port, config.data_port))
        source = f"http://{config.reachable}:{files_port}"
        self._page = ViewerPage(config.address, config.web_port, source, config.data_port)

    def __enter__(self) -> "ViewerServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the server still lives."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Until the server ends by itself."""
        self._process.wait()

    def close(self) -> None:
        """End the server."""
        if self._page is not None:
            self._page.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._settings.cleanup()

    def _wait(self, ports: Sequence[int]) -> None:
        """Until all ports answer."""
        deadline = time.monotonic() + _START_S
        host = self.config.reachable.strip("[]")
        while not all(_answers(host, port) for port in ports):
            if not self.running or time.monotonic() > deadline:
                said = self._said()
                self.close()
                raise NodeError(f"The viewer's server did not start at {self.config.address}: {said}")
            time.sleep(0.05)

    def _said(self) -> str:
        self._output.seek(0)
        return self._output.read().strip()[-500:]


def _program() -> list[str]:
    """The viewer itself, not Python's wrapper, which would leave it alive; it ends when this process is killed."""
    package = find_spec("rerun_cli")
    program = Path(package.origin or "").with_name("rerun") if package is not None else None
    if program is None or not program.is_file():
        raise DependencyError(f"The viewer of rerun-sdk is missing ({program}); install rerun-sdk again.")
    die_with_us = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    return [*die_with_us, str(program)]


def _without_reports(program: Sequence[str], folder: Path) -> dict[str, str]:
    """Environment in which Rerun reports nothing to its makers, with settings in a folder of our own."""
    environment = os.environ | {"XDG_CONFIG_HOME": str(folder)}
    subprocess.run([*program, "analytics", "disable"], env=environment, capture_output=True, check=False)
    return environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def _require_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigurationError(
                f"The viewer cannot be served at {address}, port {port}: {error}. "
                "Another view may be running; name another web_port and data_port."
            ) from None
