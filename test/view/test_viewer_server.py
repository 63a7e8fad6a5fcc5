"""Where the viewer is served: this machine, unless another address is named."""

import socket
import urllib.error
import urllib.request
from contextlib import closing

import pytest

pytest.importorskip("rerun", reason="the extra `view` is not installed")

from dvla_ros.errors import ConfigurationError
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.viewer_server import ServerConfig, ViewerServer


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(address):
    try:
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_it_is_closed_to_the_network_unless_an_address_is_named():
    assert not ServerConfig().is_open
    opened = ServerConfig("0.0.0.0", 8000, 8001)
    assert opened.is_open
    assert opened.page == "http://127.0.0.1:8000/?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A8001%2Fproxy"
    assert ServerConfig("::1").data_url == "rerun+http://[::1]:9876/proxy"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"address": "everywhere"}, "address must be an IP address"),
        ({"web_port": 0}, "web_port must be 1..65535, got 0"),
        ({"data_port": 9090}, "must differ, both are 9090"),
    ],
)
def test_wrong_settings_are_refused_in_words(changes, problem):
    with pytest.raises(ConfigurationError, match=problem):
        ServerConfig(**changes)


def test_it_serves_page_and_data_on_loopback_and_is_gone_when_closed():
    config = ServerConfig(web_port=free_port(), data_port=free_port())
    with ViewerServer(config) as server:
        with RerunStream.to_server(config.data_url) as stream:
            stream.log("log/test", stream.rr.TextLog("hello"))
        with urllib.request.urlopen(config.page, timeout=10.0) as page:
            assert b"wasm" in page.read()
            assert f"connect-src 'self' http://*:{config.data_port} " in page.headers["Content-Security-Policy"]
        for name, found in (("re_viewer.js", True), ("../../etc/passwd", False)):
            assert status_of(f"http://127.0.0.1:{config.web_port}/{name}") == (200 if found else 404)
        with pytest.raises(ConfigurationError, match=f"port {config.web_port}.* name another web_port"):
            ViewerServer(config)
        assert server.running
    assert not server.running
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", config.web_port), timeout=1.0)
