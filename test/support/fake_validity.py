"""A stand-in for move_group's `/check_state_validity`, as a node or as a process that can be killed."""

import math
import sys
import threading

import rclpy
from moveit_msgs.msg import ContactInformation
from moveit_msgs.srv import GetStateValidity
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

READY = "ready"


class FakeValidity(Node):
    """Calls a state valid while its waist is turned less than `wall` radians to the left.

    Attributes:
        wall: Where the arm touches `wall`.
        requests: Everything that was asked.
        answering: Cleared, it keeps the caller waiting.
    """

    def __init__(self, wall=math.inf, service="/check_state_validity"):
        super().__init__("move_group")
        self.wall = wall
        self.requests = []
        self.answering = threading.Event()
        self.answering.set()
        self.create_service(GetStateValidity, service, self._on_request)
        self._closing = threading.Event()
        # A thread of its own: while it keeps its callers waiting, other nodes go on.
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def stop(self):
        """End the thread; afterwards the node may be destroyed."""
        self._closing.set()
        self.answering.set()
        self._thread.join()

    def _spin(self):
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(self)
        while not self._closing.is_set():
            executor.spin_once(timeout_sec=0.05)
        executor.shutdown()

    def _on_request(self, request, response):
        self.requests.append(request)
        self.answering.wait()
        waist = dict(zip(request.robot_state.joint_state.name, request.robot_state.joint_state.position, strict=True))
        response.valid = bool(waist["waist"] < self.wall)
        if not response.valid:
            response.contacts = [ContactInformation(contact_body_1="wx250s/gripper_link", contact_body_2="wall")]
        return response


def main():
    """Serve until killed; says READY first, and answers nothing when the argument `mute` is given."""
    rclpy.init()
    node = FakeValidity()
    if "mute" in sys.argv:
        node.answering.clear()
    print(READY, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
