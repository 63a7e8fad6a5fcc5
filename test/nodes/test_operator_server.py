"""The operator page over real HTTP: what is served, to whom, and what holds when it is pressed hard."""

import http.client
import json
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.operator import server as server_module
from dvla_ros.nodes.operator.access import Access
from dvla_ros.nodes.operator.app import MAX_WAITING_FOR_PICTURES, OperatorApp, PageSettings
from dvla_ros.nodes.operator.guard import Guard
from dvla_ros.nodes.operator.pictures import CameraPictures
from dvla_ros.nodes.operator.server import PageServer, listen
from dvla_ros.nodes.operator.state import Answer, OperatorState

TOKEN = "a-secret-of-this-robot"
JSON = {"Content-Type": "application/json"}


class Robot:
    """Stands for the robot's nodes: notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def state(self):
        return OperatorState(None, None, None, None, None, {"front": None}, False, False)

    async def start(self, instruction):
        self.asked.append(instruction)
        return Answer(instruction != "refuse", f"following '{instruction}'")

    async def stop(self):
        self.asked.append("stop")
        return Answer(True, "stopped")

    async def estop(self):
        self.asked.append("estop")
        return Answer(True, "stopped; chunks are refused")

    async def reset(self):
        self.asked.append("reset")
        return Answer(True, "there is no fault")


class Page:
    """A running server."""

    def __init__(self, token="", max_connections=128):
        self.robot, self.painting, self.may_paint = Robot(), threading.Event(), threading.Event()
        self.may_paint.set()
        pictures = {"front": CameraPictures("front", self._decode, 1e6, 640)}
        self.front = pictures["front"]
        self.app = OperatorApp(self.robot, pictures, PageSettings("wx250s", ("front",), 5.0))
        self._listener = listen("127.0.0.1", 0)
        self.server = PageServer(Guard(self.app.routes(), Access(token)), self._listener, max_connections)
        self.port = self._listener.getsockname()[1]

    def _decode(self, data):
        self.painting.set()
        assert self.may_paint.wait(10.0)
        return SimpleNamespace(format="jpeg", data=data)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """Status, headers and body of an answer."""
        connection = connection or self.connect()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())

    def post(self, path, body=b"{}", **headers):
        answer = self.ask("POST", path, body, JSON | headers)
        return answer.status, answer.body.decode()

    def close(self):
        self.may_paint.set()
        self.server.stop()
        self.app.stop()


@pytest.fixture
def opened():
    pages = []

    def make(**settings):
        pages.append(Page(**settings))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def page(opened):
    return opened()


def test_the_page_and_all_it_needs_come_from_here(page):
    html = page.ask("GET", "/")
    assert html.status == 200 and b"Emergency stop" in html.body
    for path in ("/operator.css", "/operator.js", "/show.js", "/cameras.js", "/instructions.js", "/icon.svg"):
        answer = page.ask("GET", path)
        assert answer.status == 200 and b"//" not in answer.body.replace(b"http://www.w3.org", b"").replace(b"// ", b"")
    assert page.ask("GET", "/../../package.xml").status == 404
    assert "default-src 'self'" in html.headers["Content-Security-Policy"]
    assert html.headers["X-Frame-Options"] == "DENY" and html.headers["Cache-Control"] == "no-store"


def test_the_state_says_what_is_not_known(page):
    state = json.loads(page.ask("GET", "/api/state").body)
    assert state["robot_name"] == "wx250s" and state["execution"] is None and state["policy"] is None


@pytest.mark.parametrize("command", ["stop", "estop", "reset"])
def test_a_command_is_done_once_and_answered(page, command):
    status, body = page.post(f"/api/{command}")
    assert status == 200 and json.loads(body)["ok"]
    assert page.robot.asked == [command]


def test_a_refusal_is_no_success(page):
    status, body = page.post("/api/start", b'{"instruction": "refuse"}')
    assert status == 409 and json.loads(body)["ok"] is False


def test_nothing_happens_by_looking(page):
    for command in ("start", "stop", "estop", "reset"):
        assert page.ask("GET", f"/api/{command}").status == 405
    assert page.robot.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Host": "evil.example"},
    ],
)
def test_another_web_site_commands_nothing(page, headers):
    for command in ("start", "stop", "estop", "reset"):
        assert page.post(f"/api/{command}", b'{"instruction": "x"}', **headers)[0] in (403, 415)
    assert page.robot.asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "must be JSON"),
        (b"pick it up", "must be JSON"),
        (b"\xff", "must be JSON"),
        (b"[" * 4000, "must be JSON"),
        (b'{"instruction": 3}', "Type what"),
        (b'{"instruction": "  "}', "Type what"),
        (b'{"instruction": "a\\u0000b"}', "control characters"),
        (b'{"instruction": "a\\nb"}', "control characters"),
        (json.dumps({"instruction": "x" * 301}).encode(), "at most 300 characters, got 301"),
        (json.dumps({"instruction": "x" * 5000}).encode(), "at most 4096 bytes"),
    ],
)
def test_what_is_no_instruction_is_refused_in_words(page, body, words):
    status, answer = page.post("/api/start", body)
    assert status == 400 and words in json.loads(answer)["message"]
    assert page.robot.asked == []


def test_an_instruction_keeps_its_letters(page):
    body = json.dumps({"instruction": " Räum den Würfel „rot“ auf "}).encode()
    assert page.post("/api/start", body)[0] == 200
    assert page.robot.asked == ["Räum den Würfel „rot“ auf"]


def test_a_token_is_asked_for_and_carried_in_a_cookie_after_the_link(opened):
    page = opened(token=TOKEN)
    for path in ("/", "/operator.js", "/api/state", "/api/pictures/front", "/?token=", "/?token=wrong"):
        assert page.ask("GET", path).status == 401
    assert page.post("/api/estop")[0] == 401
    link = page.ask("GET", f"/?token={TOKEN}")
    cookie = link.headers["Set-Cookie"]
    assert link.status == 303 and link.headers["Location"] == "/"
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    carried = {"Cookie": cookie.partition(";")[0]}
    assert page.ask("GET", "/", headers=carried).status == 200
    assert page.post("/api/estop", **carried)[0] == 200
    assert page.post("/api/estop", **carried, Origin="http://evil.example")[0] == 403
    assert page.robot.asked == ["estop"]
    assert TOKEN.encode() not in page.ask("GET", "/api/state", headers=carried).body


def test_an_emergency_stop_does_not_wait_for_pictures(page):
    page.front.store(b"a picture")
    page.may_paint.clear()
    waiting = [page.connect() for _ in range(MAX_WAITING_FOR_PICTURES)]
    for connection in waiting:
        connection.request("GET", "/api/pictures/front")
    assert page.painting.wait(5.0)
    began = time.monotonic()
    assert page.post("/api/estop")[0] == 200
    assert time.monotonic() - began < 1.0
    assert page.robot.asked == ["estop"]
    deadline = time.monotonic() + 5.0
    while page.ask("GET", "/api/pictures/front").status != 503:
        assert time.monotonic() < deadline
    page.may_paint.set()
    assert all(connection.getresponse().status in (200, 204) for connection in waiting)


def test_a_camera_that_is_not_there_is_named(page):
    answer = page.ask("GET", "/api/pictures/top")
    assert answer.status == 404 and "there are front" in json.loads(answer.body)["message"]


def test_more_connections_than_allowed_are_closed_and_the_others_go_on(opened):
    page = opened(max_connections=8)
    kept = page.connect()
    assert page.ask("GET", "/api/state", connection=kept).status == 200
    crowd = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(20)]
    refused = [one for one in crowd if is_closed(one)]
    assert len(refused) == 13
    assert page.ask("POST", "/api/estop", b"{}", JSON, connection=kept).status == 200
    for one in crowd:
        one.close()


def is_closed(connection):
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_request_that_comes_drop_by_drop_ends(opened, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_S", 0.2)
    page = opened()
    for begun in (b"", b"GET /api/st", b"GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5.0) as slow:
            slow.sendall(begun)
            while slow.recv(4096):
                pass


def test_an_address_that_is_taken_is_named(page):
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1, port {page.port}: .*in use"):
        listen("127.0.0.1", page.port)
    with pytest.raises(ConfigurationError, match=r"cannot listen on 203\.0\.113\.1"):
        listen("203.0.113.1", 0)
