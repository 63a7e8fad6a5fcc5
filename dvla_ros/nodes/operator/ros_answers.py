"""Answers of ROS services and actions, awaited in the thread of the web server."""

import asyncio
import contextlib
from typing import Any

from rclpy.client import Client
from rclpy.task import Future

from dvla_ros.errors import NodeError

ANSWER_S = 2.0
"""A node that does not answer within this time is told to the operator as one that does not answer."""


async def ask(client: Client, request: Any, timeout_s: float = ANSWER_S) -> Any:
    """The response of a service; the executor of the client's node must spin in another thread.

    Raises:
        NodeError: Nobody offers the service, or nobody answers in time.
    """
    if not client.service_is_ready():
        raise NodeError(f"{client.srv_name} is not there; does its node run?")
    future = client.call_async(request)
    try:
        return await answered(future, client.srv_name, timeout_s)
    finally:
        client.remove_pending_request(future)


async def answered(future: Future, name: str, timeout_s: float = ANSWER_S) -> Any:
    """The result of a ROS future.

    Raises:
        NodeError: It does not come in time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def wake(_: Future) -> None:
        with contextlib.suppress(RuntimeError):  # the server has closed its loop meanwhile
            loop.call_soon_threadsafe(finish)

    future.add_done_callback(wake)
    try:
        await asyncio.wait_for(done, timeout_s)
    except asyncio.TimeoutError:
        raise NodeError(f"{name} does not answer.") from None
    return future.result()
