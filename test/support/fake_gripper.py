"""A gripper's action server that ends goals as it is told."""

from rclpy.action import ActionServer, GoalResponse
from rclpy.node import Node

from dvla_ros.nodes.backends.gripper_goals import action_name, gripper_action


class FakeGripper(Node):
    """Accepts or rejects goals, and ends each as `outcome` says.

    Attributes:
        accepts: Whether goals are accepted.
        outcome: `succeed`, `stall` (aborted, as the controllers do with a grasp) or `abort`.
        goals: Finger positions asked for, in metres.
    """

    def __init__(self, action_type):
        super().__init__("gripper_controller")
        self.accepts, self.outcome, self.goals = True, "succeed", []
        self._type = gripper_action(action_type)
        self._server = ActionServer(
            self, self._type, action_name("wx250s"), self._on_execution, goal_callback=self._on_goal
        )

    def stop(self):
        """End the server; afterwards the node may be destroyed."""
        self._server.destroy()

    def _on_goal(self, goal):
        position = goal.command.position
        self.goals.append(position if isinstance(position, float) else position[0])
        return GoalResponse.ACCEPT if self.accepts else GoalResponse.REJECT

    def _on_execution(self, handle):
        (handle.succeed if self.outcome == "succeed" else handle.abort)()
        return self._type.Result(stalled=self.outcome == "stall", reached_goal=self.outcome == "succeed")
