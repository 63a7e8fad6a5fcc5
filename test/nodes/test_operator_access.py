"""Who may use the operator page."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.operator.access import COOKIE, Access, Asked
from dvla_ros.nodes.operator.parameters import OperatorParameters

TOKEN = "a-secret-of-this-robot"
JSON = {"content-type": "application/json"}


def status(access, method="GET", path="/api/state", cookies=None, **headers):
    """0 where a request is let through."""
    named = {"host": "localhost:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = access.refusal(Asked(method, path, named, cookies or {}))
    return 0 if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:9", "[::1]:8080"])
def test_without_a_token_the_machine_itself_may_look(host):
    assert status(Access(""), host=host) == 0


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", "192.168.1.7:8080", "", "[::1"])
def test_without_a_token_another_name_for_this_machine_is_refused(host):
    assert status(Access(""), host=host) == 403


def test_with_a_token_it_must_be_the_right_one():
    access = Access(TOKEN)
    assert status(access, cookies={COOKIE: TOKEN}, host="robot.lab:8080") == 0
    for wrong in ("", TOKEN[:-1], TOKEN + "x", "é"):
        assert status(access, cookies={COOKIE: wrong}) == 401
    assert status(access) == 401


def test_a_command_is_json_from_the_page_itself():
    def command(**headers):
        return status(Access(""), "POST", "/api/start", **headers)

    json = {"content_type": "application/json; charset=utf-8"}
    assert command(**json) == 0
    assert command(**json, origin="http://localhost:8080", sec_fetch_site="same-origin") == 0
    assert command(**json, origin="http://localhost:3000") == 403
    assert command(**json, origin="http://evil.example") == 403
    assert command(**json, origin="null") == 403
    assert command(**json, sec_fetch_site="cross-site") == 403
    assert command(**json, sec_fetch_site="same-site") == 403
    assert command() == command(content_type="text/plain") == 415


def test_a_page_behind_a_proxy_that_encrypts_is_still_the_same_site():
    asked = {"host": "robot.lab", "origin": "https://robot.lab", "content_type": "application/json"}
    assert status(Access(TOKEN), "POST", "/api/stop", {COOKIE: TOKEN}, **asked) == 0


def test_another_site_may_lead_to_the_page_but_show_nothing_of_it():
    led = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert status(Access(""), path="/", **led) == 0
    assert status(Access(""), path="/api/pictures/front", **led) == 403
    assert status(Access(""), path="/", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_the_loopback_needs_no_token(host, local):
    assert OperatorParameters(host=host).local is local


@pytest.mark.parametrize("host", ["192.168.1.7", "robot.lab", ""])
def test_an_address_or_a_name_in_the_network_needs_one(host):
    assert OperatorParameters(host=host).local is False


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": 70000}, "port must be 0..65535, got 70000"),
        ({"token": "short"}, "token must have 16 or more ASCII characters and no space, got 5"),
        ({"token": "sixteen letters of it"}, "no space"),
        ({"picture_hz": 0.0}, "picture_hz must be more than 0"),
        ({"picture_width": 0}, "picture_width must be 16..4096"),
        ({"max_connections": 1}, "max_connections must be 8 or more"),
    ],
)
def test_a_wrong_parameter_is_named(wrong, words):
    with pytest.raises(ConfigurationError, match=words):
        OperatorParameters(**wrong)
