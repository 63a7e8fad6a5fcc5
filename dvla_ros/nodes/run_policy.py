"""The action `~/run_policy`: one goal is one run of the inference loop."""

from collections.abc import Callable

import numpy as np
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from dvla_ros.action import RunPolicy
from dvla_ros.errors import ObservationError
from dvla_ros.nodes.conversions import seconds, to_duration
from dvla_ros.nodes.inference_loop import InferenceLoop
from dvla_ros.nodes.run import Inference, Run, RunLimits, RunOutcome

_ENDED_AS_ASKED = ("max_duration", "max_chunks", "cancelled")
_MAX_SILENCE_S = 2.0


class RunPolicyServer:
    """Serves `RunPolicy` goals; a new goal replaces the one before.

    Args:
        node: The node that serves.
        loop: Returns the loop that runs, or None while the node is not active.
        default_duration_s: Longest run of a goal that sets no duration; 0: no limit.
    """

    def __init__(self, node: Node, loop: Callable[[], InferenceLoop | None], default_duration_s: float) -> None:
        self._node, self._loop, self._default_duration = node, loop, default_duration_s
        self._runs: dict[bytes, Run] = {}
        self._server = ActionServer(
            node,
            RunPolicy,
            "~/run_policy",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def destroy(self) -> None:
        """Stop serving."""
        self._server.destroy()

    def _on_goal(self, goal: RunPolicy.Goal) -> GoalResponse:
        if self._loop() is None:
            self._node.get_logger().error("Goal refused: the policy node is not active.")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        run, loop = self._runs.get(bytes(goal.goal_id.uuid)), self._loop()
        if run is not None and loop is not None:
            loop.end_run("cancelled", "the goal was cancelled", run=run)
        return CancelResponse.ACCEPT

    async def _execute(self, goal: ServerGoalHandle) -> RunPolicy.Result:
        loop, key = self._loop(), bytes(goal.goal_id.uuid)
        if loop is None:
            return _finish(goal, RunOutcome("cancelled", "the policy node is not active", 0, 0.0))
        try:
            run = loop.follow(goal.request.instruction, self._limits(goal.request), _feedback(goal))
        except ObservationError as error:
            self._node.get_logger().error(str(error))
            return _finish(goal, RunOutcome("fault", str(error), 0, 0.0))
        self._runs[key] = run
        outcome = await run.ended
        del self._runs[key]
        return _finish(goal, outcome)

    def _limits(self, goal: RunPolicy.Goal) -> RunLimits:
        duration = seconds(goal.max_duration)
        return RunLimits(duration if duration > 0.0 else self._default_duration, goal.max_chunks, _MAX_SILENCE_S)


def _feedback(goal: ServerGoalHandle) -> Callable[[Run, Inference], None]:
    def publish(run: Run, inference: Inference) -> None:
        published = inference.chunk.observation_stamp + inference.latency_s
        goal.publish_feedback(
            RunPolicy.Feedback(
                chunks=run.chunks,
                latency_ms=1e3 * inference.latency_s,
                nfe=inference.prediction.nfe,
                mean_confidence=float(np.mean(inference.prediction.confidence)),
                elapsed=to_duration(published - run.started),
            )
        )

    return publish


def _finish(goal: ServerGoalHandle, outcome: RunOutcome) -> RunPolicy.Result:
    success = outcome.reason in _ENDED_AS_ASKED
    if goal.is_cancel_requested:
        goal.canceled()
    elif success:
        goal.succeed()
    else:
        goal.abort()
    return RunPolicy.Result(
        success=success,
        termination_reason=outcome.reason,
        message=outcome.message,
        chunks=outcome.chunks,
        duration=to_duration(outcome.duration_s),
    )
