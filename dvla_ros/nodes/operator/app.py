"""What the page can ask for over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from dvla_ros.nodes.operator.pictures import CameraPictures
from dvla_ros.nodes.operator.state import Answer, OperatorState
from dvla_ros.share import share_path

FOLDER = "resource/operator"
MAX_BODY = 4096
MAX_INSTRUCTION = 300
BODY_S = 2.0
MAX_WAITING_FOR_PICTURES = 8
_FILES = {
    "/": ("index.html", "text/html"),
    "/operator.css": ("operator.css", "text/css"),
    "/operator.js": ("operator.js", "text/javascript"),
    "/show.js": ("show.js", "text/javascript"),
    "/cameras.js": ("cameras.js", "text/javascript"),
    "/instructions.js": ("instructions.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Commands(Protocol):
    """What an operator may ask for; see `RobotCommands`."""

    def state(self) -> OperatorState:
        """Everything that the page shows."""
        ...

    async def start(self, instruction: str) -> Answer:
        """Follow an instruction."""
        ...

    async def stop(self) -> Answer:
        """End the run."""
        ...

    async def estop(self) -> Answer:
        """Stop the arm."""
        ...

    async def reset(self) -> Answer:
        """End a fault."""
        ...


@dataclass(frozen=True)
class PageSettings:
    """What the page is told once per answer: the robot's name, its cameras, and how often to ask for pictures."""

    robot_name: str
    cameras: Sequence[str]
    picture_hz: float


class OperatorApp:
    """The routes.

    Args:
        commands: What is asked.
        pictures: By camera.
        settings: For the page.
    """

    def __init__(self, commands: Commands, pictures: Mapping[str, CameraPictures], settings: PageSettings) -> None:
        self._commands, self._pictures, self._settings = commands, pictures, settings
        # One thread: pictures wait for each other, never an emergency stop for pictures.
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._waiting = 0

    def routes(self) -> Starlette:
        """The application."""
        actions: dict[str, Callable[[], Awaitable[Answer]]] = {
            "stop": self._commands.stop,
            "estop": self._commands.estop,
            "reset": self._commands.reset,
        }
        return Starlette(
            routes=[
                *(Route(path, _file(*file), methods=["GET"]) for path, file in _FILES.items()),
                Route("/api/state", self._state, methods=["GET"]),
                Route("/api/pictures/{camera}", self._picture, methods=["GET"]),
                Route("/api/start", self._start, methods=["POST"]),
                *(Route(f"/api/{name}", _action(action), methods=["POST"]) for name, action in actions.items()),
            ]
        )

    def stop(self) -> None:
        """End the thread that makes pictures."""
        self._painter.shutdown(wait=True, cancel_futures=True)

    async def _state(self, request: Request) -> Response:
        problems = {camera: pictures.problem for camera, pictures in self._pictures.items()}
        return JSONResponse(asdict(self._settings) | asdict(self._commands.state()) | {"camera_problems": problems})

    async def _picture(self, request: Request) -> Response:
        pictures = self._pictures.get(request.path_params["camera"])
        if pictures is None:
            return _answer(Answer(False, f"There is no such camera; there are {', '.join(self._pictures)}."), 404)
        if self._waiting >= MAX_WAITING_FOR_PICTURES:
            return _answer(Answer(False, "Too many ask for pictures."), 503)
        seen = request.query_params.get("seen", "0")
        number = int(seen) if seen.isdecimal() and len(seen) < 19 else 0
        self._waiting += 1
        try:
            picture = await asyncio.get_running_loop().run_in_executor(self._painter, pictures.newest, number)
        finally:
            self._waiting -= 1
        if picture is None:
            return Response(status_code=204)
        return Response(picture.jpeg, media_type="image/jpeg", headers={"X-Picture": str(picture.number)})

    async def _start(self, request: Request) -> Response:
        try:
            instruction = instruction_of(await body_of(request))
        except ValueError as error:
            return _answer(Answer(False, str(error)), 400)
        return _answer(await self._commands.start(instruction))


def instruction_of(body: bytes) -> str:
    """The sentence in `{"instruction": "…"}`.

    Raises:
        ValueError: There is none, or it is no sentence; the message is for the operator.
    """
    try:
        text = json.loads(body)["instruction"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('The request must be JSON: {"instruction": "pick up the red cube"}.') from None
    if not isinstance(text, str) or not text.strip():
        raise ValueError("Type what the robot is to do.")
    text = text.strip()
    if len(text) > MAX_INSTRUCTION:
        raise ValueError(f"An instruction has at most {MAX_INSTRUCTION} characters, got {len(text)}.")
    if not text.isprintable():
        raise ValueError("An instruction is one line without control characters.")
    return text


async def body_of(request: Request) -> bytes:
    """The body of a request.

    Raises:
        ValueError: It is too long, or takes too long.
    """
    try:
        return await asyncio.wait_for(_read(request), BODY_S)
    except asyncio.TimeoutError:
        raise ValueError(f"The request was not complete after {BODY_S:g} s.") from None


async def _read(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise ValueError(f"A request has at most {MAX_BODY} bytes.")
    return body


def _action(action: Callable[[], Awaitable[Answer]]) -> Callable[[Request], Awaitable[Response]]:
    async def act(request: Request) -> Response:
        return _answer(await action())

    return act


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    path = share_path(f"{FOLDER}/{name}")

    async def send(request: Request) -> Response:
        return FileResponse(path, media_type=kind)

    return send


def _answer(answer: Answer, refused: int = 409) -> Response:
    return JSONResponse(asdict(answer), 200 if answer.ok else refused)
