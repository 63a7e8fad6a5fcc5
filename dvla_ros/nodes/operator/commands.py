"""What an operator may ask for, with the answer to each."""

import asyncio

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from dvla_ros.errors import NodeError
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.operator.estop_button import EstopButton
from dvla_ros.nodes.operator.policy_runs import PolicyRuns
from dvla_ros.nodes.operator.ros_answers import ask
from dvla_ros.nodes.operator.state import Answer, OperatorState
from dvla_ros.nodes.operator.watch import RobotWatch

UNCONFIRMED = "NOT CONFIRMED that the arm stops: {error} Use the power switch."
PRESSED_ELSEWHERE = "Another emergency stop on {topic} is pressed; release it there."


class RobotCommands:
    """Start, stop, emergency stop and reset. Awaited in the server's thread; the node spins in another one.

    Args:
        node: Owner of the clients.
        watch: Says how the robot is.
        policy: Fully qualified name of the policy's node.
        chunker: Fully qualified name of the node that commands the arm.
        estop_topic: Topic of emergency stops.
    """

    def __init__(self, node: Node, watch: RobotWatch, policy: str, chunker: str, estop_topic: str) -> None:
        self._log, self._watch = node.get_logger(), watch
        self._button = EstopButton(node, estop_topic)
        self._runs = PolicyRuns(node, policy)
        self._estop = node.create_client(SetBool, f"{chunker}/estop")
        self._reset = node.create_client(Trigger, f"{chunker}/reset_fault")

    def state(self) -> OperatorState:
        """Everything that the page shows."""
        return self._watch.state(self._runs.newest, self._button.pressed, self._button.pressed_elsewhere)

    async def start(self, instruction: str) -> Answer:
        """Have the robot follow an instruction, unless a fault must be ended first."""
        execution = self._watch.execution
        if execution is None:
            return self._said("start", Answer(False, "Nobody would execute it: chunker_node is silent."))
        if execution.state == ExecutionStatus.FAULT:
            message = f"There is a fault ({execution.reason}): reset it first. {execution.message}"
            return self._said("start", Answer(False, message))
        try:
            await self._runs.start(instruction)
        except NodeError as error:
            return self._said("start", Answer(False, str(error)))
        return self._said("start", Answer(True, f"following '{instruction}'"))

    async def stop(self) -> Answer:
        """End the run of the policy."""
        try:
            return self._said("stop", Answer(True, await self._runs.stop()))
        except NodeError as error:
            return self._said("stop", Answer(False, str(error)))

    async def estop(self) -> Answer:
        """Stop the arm by service and topic, and end the run: a reset alone must not set the arm in motion."""
        self._button.press()
        stopped, _ = await asyncio.gather(self._latch(), self.stop())
        return self._said("estop", stopped)

    async def reset(self) -> Answer:
        """Release the page's emergency stop and end the fault, if its cause is over."""
        if not self._button.release():
            return self._said("reset", Answer(False, PRESSED_ELSEWHERE.format(topic=self._button.topic)))
        try:
            await ask(self._estop, SetBool.Request(data=False))
            answer = await ask(self._reset, Trigger.Request())
        except NodeError as error:
            return self._said("reset", Answer(False, str(error)))
        return self._said("reset", Answer(answer.success, answer.message))

    async def _latch(self) -> Answer:
        try:
            answer = await ask(self._estop, SetBool.Request(data=True))
        except NodeError as error:
            return Answer(False, UNCONFIRMED.format(error=error))
        return Answer(answer.success, answer.message)

    def _said(self, command: str, answer: Answer) -> Answer:
        self._log.info(f"{command}: {'' if answer.ok else 'refused: '}{answer.message}")
        return answer
