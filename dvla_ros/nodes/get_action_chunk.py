"""The service `~/get_action_chunk`: one answer to one complete request, without topics."""

from collections.abc import Callable

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ActionError, DvlaError, ObservationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.conversions import chunk_to_message, joints_by_name, seconds, trace_to_message
from dvla_ros.nodes.images import decode_image
from dvla_ros.nodes.inference_loop import InferenceLoop
from dvla_ros.nodes.joint_feed import MEASURED_JOINTS
from dvla_ros.nodes.ticket import Ticket
from dvla_ros.policies.base import Policy, PolicySpec, Prediction
from dvla_ros.policies.batching import Answer, Question
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.srv import GetActionChunk


class GetActionChunkServer:
    """Answers requests while no run is being followed; those that wait at the same time are answered as one batch.

    Args:
        node: The node that serves.
        loop: Returns the loop that runs, or None while the node is not active.
        frame_id: Base frame of the arm.
    """

    def __init__(self, node: Node, loop: Callable[[], InferenceLoop | None], frame_id: str) -> None:
        self._node, self._loop, self._frame_id = node, loop, frame_id
        self._service = node.create_service(
            GetActionChunk, "~/get_action_chunk", self._serve, callback_group=ReentrantCallbackGroup()
        )

    def destroy(self) -> None:
        """Stop serving."""
        self._node.destroy_service(self._service)

    async def _serve(
        self, request: GetActionChunk.Request, response: GetActionChunk.Response
    ) -> GetActionChunk.Response:
        loop = self._loop()
        run = None if loop is None else loop.run
        if loop is None or run is not None:
            response.message = (
                "The policy node is not active." if run is None else f"The policy follows '{run.instruction}'."
            )
            return response
        answer: Ticket[Answer] = Ticket()
        loop.ask(lambda spec: question_from_request(request, spec), answer.fill)
        result = _usable(await answer)
        if isinstance(result, DvlaError):
            response.message = str(result)
            self._node.get_logger().error(f"get_action_chunk: {result}")
            return response
        response.success = True
        response.chunk = self._chunk(request, result, loop.policy)
        response.trace = trace_to_message(result, response.chunk)
        return response

    def _chunk(self, request: GetActionChunk.Request, prediction: Prediction, policy: Policy) -> ActionChunkMessage:
        stamp = seconds(request.robot_state.header.stamp)
        chunk = ActionChunk(
            stamp=stamp,
            dt=policy.spec.dt,
            actions=prediction.actions,
            mode=policy.spec.mode,
            names=policy.spec.action_names,
            execute_steps=policy.spec.execute_steps,
            frozen_steps=prediction.frozen_steps,
            decided_steps=prediction.decided_steps,
            observation_stamp=stamp,
            confidence=prediction.confidence,
        )
        return chunk_to_message(chunk, self._frame_id, prediction.nfe, prediction.timings.total_s)


def _usable(answer: Answer) -> Answer:
    if isinstance(answer, DvlaError) or answer.usable:
        return answer
    return ActionError(f"No chunk: {answer.malformed}; ask again.")


def question_from_request(request: GetActionChunk.Request, spec: PolicySpec) -> Question:
    """What a request asks of a policy.

    Raises:
        ObservationError: See `observation_from_request`.
        ActionError: The frozen rows do not fit the policy, or the previous chunk does not hold as many.
    """
    observation = observation_from_request(request)
    seed = request.seed if request.seed >= 0 else None
    asked = ChunkRequest.checked(spec, _frozen_rows(request), seed, None, None, None)
    return Question(observation, asked, request.new_episode)


def observation_from_request(request: GetActionChunk.Request) -> Observation:
    """The observation that a request holds.

    Raises:
        ObservationError: The instruction is blank, an image cannot be decoded or a joint is missing.
    """
    if not request.instruction.strip():
        raise ObservationError("The instruction is empty; send a sentence such as 'pick up the red cube'.")
    if len(request.images) != len(request.image_names):
        raise ObservationError(
            f"The request has {len(request.images)} images and {len(request.image_names)} image_names; "
            "name each image by its camera."
        )
    images = {name: decode_image(image, name) for name, image in zip(request.image_names, request.images, strict=True)}
    joints = joints_by_name(request.robot_state, MEASURED_JOINTS, what="robot_state")
    stamp = seconds(request.robot_state.header.stamp)
    return Observation(stamp, images, bridge_state(joints[:6], float(joints[6])), request.instruction.strip())


def _frozen_rows(request: GetActionChunk.Request) -> np.ndarray | None:
    """Rows float32 `[frozen_steps, D]` that are executed whatever is inferred."""
    if request.frozen_steps == 0:
        return None
    previous = chunk_from_message(request.previous)
    if request.frozen_steps > previous.horizon:
        raise ActionError(
            f"frozen_steps is {request.frozen_steps}, the previous chunk has {previous.horizon} rows; send fewer."
        )
    return previous.actions[: request.frozen_steps]
