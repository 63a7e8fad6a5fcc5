"""A policy that is gone is noticed by its publisher and by its diagnostics, without ROS."""

from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from dvla_ros.nodes.policy_watch import PolicyWatch

TOPIC = "/policy_node/action_chunk"


class Graph:
    """The part of a node that is asked who publishes."""

    def __init__(self, *names):
        self.names = names

    def get_publishers_info_by_topic(self, topic):
        assert topic == TOPIC
        return [SimpleNamespace(node_name=name) for name in self.names]


def diagnostics(name="policy_node"):
    return DiagnosticArray(status=[DiagnosticStatus(name=name)])


def watch(*names):
    graph = Graph(*names)
    return graph, PolicyWatch(graph, TOPIC, 3.0)


def test_a_policy_that_was_never_there_is_not_lost():
    _, policy = watch()
    policy.look(100.0)
    assert policy.lost == ""


def test_one_whose_publisher_vanishes_is_lost_until_it_is_back():
    graph, policy = watch("policy_node")
    policy.look(1.0)
    graph.names = ()
    policy.look(2.0)
    assert "Nobody publishes" in policy.lost
    graph.names = ("policy_node",)
    policy.look(3.0)
    assert policy.lost == ""


def test_one_whose_diagnostics_stop_is_lost_though_its_publisher_is_still_shown():
    _, policy = watch("policy_node")
    policy.look(1.0)
    policy.on_diagnostics(diagnostics(), 2.0)
    policy.look(4.9)
    assert policy.lost == ""
    policy.look(5.1)
    assert "policy_node has been silent for 3.1 s" in policy.lost
    policy.on_chunk(5.2)
    assert policy.lost == ""


def test_the_diagnostics_of_others_say_nothing_about_it():
    _, policy = watch("policy_node")
    policy.look(1.0)
    policy.on_diagnostics(diagnostics(), 2.0)
    policy.on_diagnostics(diagnostics("sim_node"), 5.0)
    policy.look(6.0)
    assert policy.lost


def test_a_sender_without_diagnostics_is_known_by_its_publisher_alone():
    _, policy = watch("chunk_player")
    policy.look(1.0)
    policy.on_chunk(1.1)
    policy.look(100.0)
    assert policy.lost == ""
