"""Starts and ends runs of the policy, whoever started them."""

from dataclasses import replace

from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_msgs.msg import String

from dvla_ros.action import RunPolicy
from dvla_ros.errors import NodeError
from dvla_ros.nodes.operator.ros_answers import answered, ask
from dvla_ros.nodes.operator.state import RunState

_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_RENEW_S = 2.0


class PolicyRuns:
    """Goals of `~/run_policy`, and the end of runs that came by the topic `/instruction`.

    Attributes:
        newest: The run that was started here last; None before the first.

    Args:
        node: Owner.
        policy: Fully qualified name of the policy's node.
    """

    def __init__(self, node: Node, policy: str) -> None:
        self._node, self._policy = node, policy
        self.newest: RunState | None = None
        self._goals = ActionClient(node, RunPolicy, f"{policy}/run_policy")
        self._cancel = node.create_client(CancelGoal, f"{policy}/run_policy/_action/cancel_goal")
        self._renew = node.create_timer(_RENEW_S, self._forget_emptied)
        self._renew.cancel()
        self._emptied = self._instructions()

    async def start(self, instruction: str) -> None:
        """Have an instruction followed; it replaces the present run.

        Raises:
            NodeError: The policy's node is not there, does not answer or refuses.
        """
        if not self._goals.server_is_ready():
            raise NodeError(f"{self._policy}/run_policy is not there; does policy_node run?")
        future = self._goals.send_goal_async(RunPolicy.Goal(instruction=instruction))
        handle = await answered(future, f"{self._policy}/run_policy")
        if not handle.accepted:
            raise NodeError(f"{self._policy} is not active.")
        run = self.newest = RunState(instruction, "following", "", "", 0)
        handle.get_result_async().add_done_callback(lambda future: self._on_result(run, future))

    async def stop(self) -> str:
        """End the present run, whoever started it; says how.

        Raises:
            NodeError: The policy's node is not there or does not answer.
        """
        # A goal of all zeros means every goal (action_msgs/srv/CancelGoal).
        answer = await ask(self._cancel, CancelGoal.Request())
        if answer.goals_canceling:
            return "the policy stops; the arm finishes the rows it has"
        self._emptied.publish(String())
        self._renew.reset()
        return "the instruction was emptied; the arm finishes the rows it has"

    def _on_result(self, run: RunState, future: Future) -> None:
        result = future.result().result
        if self.newest is run:
            self.newest = replace(
                run,
                phase="ended",
                reason=result.termination_reason,
                message=result.message,
                chunks=result.chunks,
            )

    def _instructions(self):  # type: ignore[no-untyped-def]
        return self._node.create_publisher(String, "/instruction", _LATCHED)

    def _forget_emptied(self) -> None:
        """A policy that starts later must not be told to stop by what was latched for the one before."""
        self._renew.cancel()
        self._node.destroy_publisher(self._emptied)
        self._emptied = self._instructions()
