"""`dvla inspect`: a recording, and what the policy thought, as a file for the viewer or served as a page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from dvla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from dvla_ros.recordings.bag import Bag
    from dvla_ros.view.recorded import RecordedFacts
    from dvla_ros.view.viewer_server import ServerConfig

console = Console()


@dataclass(frozen=True)
class Inspect:
    """See a recording: cameras with the predicted path, canvas, chunks and seams, latencies, states.

    Attributes:
        bag: Folder of the recording, or its .mcap or .db3 file.
        out: File to write, .rrd; by default beside the recording, with its name.
        serve: Serve the viewer as a page until Ctrl-C.
        camera_poses: YAML file that says where the cameras are; auto: those of the simulation, if it was recorded.
        layout: Layout file; auto: config/view.yaml.
        robot_name: Namespace of the robot's topics; auto: the one whose joints were recorded.
        cameras: Cameras to show; all by default.
        picture_hz: At most so many pictures per second and camera; 0: all.
        start: Seconds of the recording to leave out.
        duration: Seconds to show; 0: to the end.
        address: Where the page is served; another than loopback opens it to the network.
        web_port: Port of the page.
        data_port: Port of its data.
        json: File for the result.
    """

    bag: tyro.conf.Positional[Path]
    out: Path | None = None
    serve: bool = False
    camera_poses: str = "auto"
    layout: str = "auto"
    robot_name: str = "auto"
    cameras: tuple[str, ...] = ()
    picture_hz: float = 0.0
    start: float = 0.0
    duration: float = 0.0
    address: str = "127.0.0.1"
    web_port: int = 9090
    data_port: int = 9876
    json: Path | None = None


def inspect(words: Sequence[str]) -> int:
    """`dvla inspect`."""
    options = tyro.cli(Inspect, args=words, prog="dvla inspect")
    from dvla_ros.recordings.bag import Bag
    from dvla_ros.view.viewer_server import ServerConfig

    server = ServerConfig(options.address, options.web_port, options.data_port)
    out = options.out or options.bag.with_name(f"{options.bag.name}.rrd")
    if not out.parent.is_dir():
        raise ConfigurationError(f"The folder {out.parent} of --out does not exist; make it, or name another file.")
    with Bag(options.bag) as bag:
        facts = _draw(bag, options, out)
        _report(bag, facts, options, out)
    if options.serve:
        _serve(server, out)
    else:
        console.print(f"See it with: rerun {out}   or: dvla inspect {options.bag} --serve", soft_wrap=True)
    return 0


def _draw(bag: "Bag", options: Inspect, out: Path) -> "RecordedFacts":
    from dvla_ros.recordings.topics import RecordedTopics
    from dvla_ros.view.camera_poses import SIMULATION, camera_poses
    from dvla_ros.view.layout import blueprint, load_layout
    from dvla_ros.view.recorded import RecordedFacts, is_simulated, recorded_cameras, recorded_robot
    from dvla_ros.view.rerun_stream import RerunStream
    from dvla_ros.view.scene import Scene

    cameras = options.cameras or recorded_cameras(bag.topics)
    robot = recorded_robot(bag.topics, "wx250s") if options.robot_name == "auto" else options.robot_name
    source = options.camera_poses
    if source == "auto":
        source = SIMULATION if is_simulated(bag.topics) else ""
    layout = load_layout(None if options.layout == "auto" else Path(options.layout).expanduser())
    facts = RecordedFacts(bag, RecordedTopics(robot, tuple(cameras)), options.picture_hz)
    begin = bag.start + options.start
    end = begin + options.duration if options.duration > 0.0 else None
    plan = blueprint(layout, cameras, posed=bool(source))
    with RerunStream.to_file(out, plan, name=options.bag.name) as stream:
        scene = Scene(stream, camera_poses(source))
        for moment in facts.moments(begin, end):
            if moment.fact is not None:
                scene.see(moment.fact)
            else:
                scene.warn(moment.received, moment.problem)
    return facts


def _report(bag: "Bag", facts: "RecordedFacts", options: Inspect, out: Path) -> None:
    shown = ", ".join(f"{count} {name}" for name, count in sorted(facts.counts.items()))
    for warning in bag.warnings:
        console.print(f"[yellow]warning:[/] {warning}", soft_wrap=True)
    console.print(f"Wrote {out}: {shown or 'nothing that can be shown'}.", soft_wrap=True)
    if options.json is not None:
        result = {
            "file": str(out),
            "shown": dict(facts.counts),
            "left_out": dict(facts.left_out),
            "warnings": bag.warnings,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def _serve(server: "ServerConfig", recording: Path) -> None:
    from dvla_ros.view.viewer_server import ViewerServer

    with ViewerServer(server, recording) as running:
        console.print(f"Open {server.page} in a browser; Ctrl-C ends it.", soft_wrap=True)
        running.wait()
