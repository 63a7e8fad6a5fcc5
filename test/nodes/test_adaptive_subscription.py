"""Subscriptions follow what publishers offer, and name what does not fit."""

import queue

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription

TOPIC = "/adaptive"
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def subscribe(ros_world):
    """Makes an adaptive subscription of the probe; returns it with the queue of what it hears."""

    def subscribe(**options):
        heard = queue.Queue()
        return AdaptiveSubscription(ros_world.probe, String, TOPIC, heard.put, **options), heard

    return subscribe


def known(ros_world, count):
    ros_world.wait_until(lambda: ros_world.probe.count_publishers(TOPIC) == count, f"{count} publishers of {TOPIC}")


@pytest.mark.parametrize(("offer", "reliable"), [(BEST_EFFORT, False), (RELIABLE, True)])
def test_the_offer_of_a_publisher_that_is_there_is_taken_at_once(ros_world, subscribe, offer, reliable):
    publisher = ros_world.probe.create_publisher(String, TOPIC, offer)
    known(ros_world, 1)
    subscription, heard = subscribe()
    assert subscription.reliable == reliable
    assert not subscription.adapt()
    ros_world.wait_until(lambda: publisher.get_subscription_count() == 1, "the subscription")
    publisher.publish(String(data="here"))
    assert heard.get(timeout=10).data == "here"


def test_an_offer_that_does_not_match_is_named_until_adapted_to(ros_world, subscribe):
    subscription, heard = subscribe()
    publisher = ros_world.probe.create_publisher(String, TOPIC, BEST_EFFORT)
    ros_world.wait_until(lambda: subscription.problem, "the event of an incompatible offer")
    assert subscription.problem == f"{TOPIC}: a publisher offers another RELIABILITY; nothing is received from it"
    assert subscription.adapt() and not subscription.reliable
    assert subscription.problem == ""
    ros_world.wait_until(lambda: publisher.get_subscription_count() == 1, "the new subscription")
    publisher.publish(String(data="here"))
    assert heard.get(timeout=10).data == "here"


def test_one_best_effort_publisher_among_reliable_ones_decides(ros_world, subscribe):
    ros_world.probe.create_publisher(String, TOPIC, RELIABLE)
    other = ros_world.probe.create_publisher(String, TOPIC, BEST_EFFORT)
    known(ros_world, 2)
    subscription, _ = subscribe()
    assert not subscription.reliable
    ros_world.probe.destroy_publisher(other)
    known(ros_world, 1)
    assert subscription.adapt() and subscription.reliable


def test_only_a_latched_subscription_hears_what_was_said_before(ros_world, subscribe):
    publisher = ros_world.probe.create_publisher(String, TOPIC, LATCHED)
    publisher.publish(String(data="before"))
    known(ros_world, 1)
    _, late = subscribe(latched=True)
    _, sensor = subscribe()
    assert late.get(timeout=10).data == "before"
    ros_world.wait_until(lambda: publisher.get_subscription_count() == 2, "both subscriptions")
    publisher.publish(String(data="now"))
    assert sensor.get(timeout=10).data == "now"


@pytest.fixture
def stranger():
    """A node of another participant: within one, Fast DDS refuses a second type for a topic."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("stranger", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_publisher_of_another_type_is_named(ros_world, subscribe, stranger):
    subscription, heard = subscribe()
    stranger.create_publisher(CompressedImage, TOPIC, BEST_EFFORT)
    known(ros_world, 1)
    assert subscription.problem == (
        f"{TOPIC}: a publisher sends sensor_msgs/msg/CompressedImage, needed is std_msgs/msg/String"
    )
    assert not subscription.adapt()
    assert heard.empty()
