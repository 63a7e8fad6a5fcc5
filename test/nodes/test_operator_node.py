"""The operator's node with a real chunker and a real policy node: what its commands do, and what it knows."""

import http.client
import json
import queue
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from chunker_bench import ChunkerBench
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String

from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.images import encode_image
from dvla_ros.nodes.operator import policy_runs
from dvla_ros.nodes.operator.server import listen
from dvla_ros.nodes.operator_node import OperatorNode
from dvla_ros.nodes.policy_node import PolicyNode

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
JSON = {"Content-Type": "application/json"}
CHUNKER = "dry_run:=false discovery_s:=0.3 lock_memory:=false max_tick_gap_s:=1.0 joint_state_timeout_s:=1.0".split()
WORDS = ["-p", "operator_node:port:=0", *(word for one in CHUNKER for word in ("-p", f"chunker_node:{one}"))]
INSTRUCTION = "pick up the red cube"


def operator(*parameters):
    words = [*WORDS, *(word for one in parameters for word in ("-p", f"operator_node:{one}"))]
    return pytest.mark.parametrize("ros_world", [words], indirect=True)


class Page:
    """What a browser would do."""

    def __init__(self, world):
        self.world, self.node = world, world.start(OperatorNode)
        self.port = urlsplit(self.node.link).port

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())

    def command(self, name, **body):
        answer = json.loads(self.ask("POST", f"/api/{name}", json.dumps(body), JSON).body)
        return answer["ok"], answer["message"]

    @property
    def state(self):
        return json.loads(self.ask("GET", "/api/state").body)

    def wait_for(self, what, condition):
        """The first state that is as wanted."""
        self.world.wait_until(lambda: condition(self.state), what)
        return self.state

    def arm(self, state):
        return self.wait_for(f"the arm to be {state}", lambda it: (it["execution"] or {}).get("state") == state)


@pytest.fixture
def page(ros_world):
    return Page(ros_world)


@pytest.fixture
def bench(ros_world):
    """A chunker that commands a stand-in arm."""
    with ChunkerBench(ros_world) as made:
        ros_world.start(ChunkerNode)
        made.ready()
        yield made


@operator()
def test_where_nobody_answers_nothing_is_known_and_nothing_is_claimed(page):
    state = page.state
    assert (state["execution"], state["policy"], state["chunk"], state["task"]) == (None, None, None, None)
    assert page.command("start", instruction=INSTRUCTION) == (
        False, "Nobody would execute it: chunker_node is silent."
    )  # fmt: skip
    ok, message = page.command("estop")
    assert not ok and message.startswith("NOT CONFIRMED that the arm stops") and "power switch" in message
    assert page.state["estop_pressed"]
    assert page.command("stop")[0] is page.command("reset")[0] is False


@operator()
def test_an_emergency_stop_latches_until_the_page_resets_it(bench, page):
    page.arm("following")
    bench.set_moving()
    ok, message = page.command("estop")
    assert ok, message
    state = page.arm("fault")
    assert state["execution"]["reason"] == "estop" and state["estop_pressed"]
    ok, message = page.command("start", instruction=INSTRUCTION)
    assert not ok and "There is a fault (estop): reset it first." in message
    assert page.command("reset") == (True, "fault estop reset; following chunks")
    assert not page.arm("following")["estop_pressed"]
    assert page.command("reset") == (True, "there is no fault")


@operator()
def test_the_topic_stops_whoever_else_listens(page):
    heard = page.world.probe.collect(Bool, "/estop")
    page.world.wait_until(lambda: page.node.count_subscribers("/estop") >= 3, "the listener")
    page.command("estop")
    assert heard.get(timeout=5.0).data is True
    page.command("reset")
    assert heard.get(timeout=5.0).data is False


@operator()
@pytest.mark.parametrize("qos", [10, LATCHED], ids=["volatile", "latched"])
def test_another_button_that_is_pressed_is_not_released_from_here(bench, page, qos):
    page.arm("following")
    button = page.world.probe.connect(Bool, "/estop", qos)
    page.world.wait_until(lambda: button.get_subscription_count() >= 2, "both listeners")
    button.publish(Bool(data=True))
    page.wait_for("the other button", lambda it: it["estop_elsewhere"])
    page.command("estop")
    page.arm("fault")
    assert page.command("reset") == (False, "Another emergency stop on /estop is pressed; release it there.")
    assert page.state["execution"]["state"] == "fault"
    button.publish(Bool(data=False))
    page.wait_for("the other button", lambda it: not it["estop_elsewhere"])
    assert page.command("reset")[0]
    page.arm("following")


@operator()
def test_a_chunker_that_falls_silent_is_not_shown_as_it_was(page):
    chunker = page.world.probe.connect(ExecutionStatus, "/chunker_node/execution_status")
    chunker.publish(ExecutionStatus(state=ExecutionStatus.FOLLOWING))
    page.arm("following")
    page.wait_for("the state to be unknown", lambda it: it["execution"] is None)


@pytest.fixture
def policy(ros_world, checkpoint):
    """A policy node that sees nothing: it follows until it gives up."""
    return ros_world.start(lambda: PolicyNode({"checkpoint": str(checkpoint), "warm_up_s": 60.0}))


@operator()
def test_start_follows_stop_ends_and_both_are_shown(bench, policy, page):
    page.arm("following")
    page.wait_for("the policy", lambda it: it["policy"] and it["policy"]["activity"] == "idle")
    assert page.command("start", instruction=INSTRUCTION) == (True, f"following '{INSTRUCTION}'")
    state = page.state
    assert state["policy"]["activity"] == "following" and state["run"]["phase"] == "following"
    assert not policy.idle
    ok, message = page.command("stop")
    assert ok and "the arm finishes the rows it has" in message
    run = page.wait_for("the end of the run", lambda it: it["run"]["phase"] == "ended")["run"]
    assert (run["instruction"], run["reason"]) == (INSTRUCTION, "cancelled")
    assert policy.idle


@operator()
def test_a_run_that_came_from_elsewhere_is_stopped_too(bench, policy, page):
    page.arm("following")
    elsewhere = page.world.probe.connect(String, "/instruction", LATCHED)
    elsewhere.publish(String(data=INSTRUCTION))
    page.world.wait_until(lambda: not policy.idle, "the run")
    assert page.command("stop")[0]
    page.world.wait_until(lambda: policy.idle, "the end of the run")


@operator()
def test_a_policy_that_starts_later_is_not_told_to_stop(policy, ros_world, monkeypatch):
    monkeypatch.setattr(policy_runs, "_RENEW_S", 0.3)
    page = Page(ros_world)
    page.world.wait_until(lambda: page.command("stop")[0], "the policy to be told")
    known = page.world.probe.get_publishers_info_by_topic("/instruction")
    page.world.wait_until(
        lambda: page.world.probe.get_publishers_info_by_topic("/instruction") != known, "another publisher"
    )
    late = page.world.probe.collect(String, "/instruction", LATCHED)
    with pytest.raises(queue.Empty):
        late.get(timeout=0.5)


@operator()
def test_an_emergency_stop_ends_the_run_so_that_a_reset_moves_nothing(bench, policy, page):
    page.arm("following")
    page.world.wait_until(lambda: page.command("start", instruction=INSTRUCTION)[0], "the policy")
    assert page.command("estop")[0]
    page.world.wait_until(lambda: policy.idle, "the end of the run")
    assert page.command("reset")[0]
    page.arm("following")
    assert policy.idle


@operator("cameras:=[front]", "picture_hz:=30.0")
def test_a_camera_is_listened_to_only_while_somebody_looks(page, monkeypatch):
    topic = "/front_camera/image_raw"
    camera = page.world.probe.create_publisher(Image, topic, 2)
    assert page.world.probe.count_subscribers(topic) == 0
    assert page.ask("GET", "/api/pictures/front").status == 204
    page.world.wait_until(lambda: camera.get_subscription_count() == 1, "the page's subscription")
    camera.publish(encode_image(np.full((48, 64, 3), 80, np.uint8)))
    answers = queue.Queue()

    def came():
        answer = page.ask("GET", "/api/pictures/front")
        answers.put(answer)
        return answer.status == 200

    page.world.wait_until(came, "a picture")
    picture = list(answers.queue)[-1]
    assert cv2.imdecode(np.frombuffer(picture.body, np.uint8), 1).mean() == pytest.approx(80, abs=3)
    assert page.ask("GET", f"/api/pictures/front?seen={picture.headers['X-Picture']}").status == 204
    page.world.wait_until(lambda: camera.get_subscription_count() == 0, "nobody to look any more")
    assert page.ask("GET", "/api/pictures/front").status == 204


@operator("host:=0.0.0.0")
def test_on_the_network_a_new_token_is_made_and_printed_once(ros_world, capfd):
    page = Page(ros_world)
    link = urlsplit(page.node.link)
    token = link.query.partition("token=")[2]
    assert len(token) >= 32
    printed = capfd.readouterr()
    assert (printed.out + printed.err).count(token) == 1
    assert page.ask("GET", "/api/state").status == 401
    cookie = page.ask("GET", f"/?{link.query}").headers["Set-Cookie"].partition(";")[0]
    assert page.ask("GET", "/api/state", headers={"Cookie": cookie}).status == 200


@operator("token:=a-secret-of-this-robot")
def test_a_token_can_be_chosen_on_this_machine_too(page):
    assert page.node.link.endswith("/?token=a-secret-of-this-robot")
    assert page.ask("GET", "/api/state").status == 401


@operator("portt:=1")
def test_a_wrong_parameter_is_named(ros_world):
    with pytest.raises(ConfigurationError, match="Did you mean 'port'"):
        ros_world.start(OperatorNode)


@operator()
def test_it_ends_with_its_threads_and_its_port_is_free_again(ros_world):
    page = Page(ros_world)
    assert page.ask("GET", "/").status == 200
    page.node.stop()
    with pytest.raises(ConnectionError):
        page.ask("GET", "/api/state")
    listen("127.0.0.1", page.port).close()
    assert [thread for thread in threading.enumerate() if thread.name in ("cameras", "operator page")] == []
