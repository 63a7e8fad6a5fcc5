"""The layout file: which panels there are and how they are arranged; becomes a blueprint of Rerun.

A layout is a tree. An inner knot is one of `rows`, `columns` and `tabs` with a list of knots, and may have `shares`; a
leaf is `panel` with one of `PANELS`, and may have a `title`. `for_each_camera: true` repeats a panel for each camera.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dvla_ros.errors import ConfigurationError
from dvla_ros.share import share_path
from dvla_ros.view.panels.cameras import camera_entity
from dvla_ros.view.rerun_package import rerun

SHIPPED = "config/view.yaml"
_FRAMES = ("rows", "columns", "tabs")


@dataclass(frozen=True)
class Panel:
    """One panel, or one for each camera."""

    kind: str
    title: str
    for_each_camera: bool


@dataclass(frozen=True)
class Frame:
    """Knots below, beside or behind each other; shares are their relative sizes, empty: equal."""

    kind: str
    children: "tuple[Panel | Frame, ...]"
    shares: tuple[float, ...]


def load_layout(path: Path | None = None) -> "Panel | Frame":
    """The tree of a layout file; by default of the one that is shipped.

    Raises:
        ConfigurationError: The file is missing or malformed.
    """
    file = share_path(SHIPPED) if path is None else path
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Layout {file} cannot be read: {error}") from None
    return _knot(tree, file)


def _knot(tree: object, file: Path) -> "Panel | Frame":
    if not isinstance(tree, dict):
        raise ConfigurationError(f"A knot of the layout {file} must be a table, got {tree!r}.")
    frames = [kind for kind in _FRAMES if kind in tree]
    if len(frames) == 1 and set(tree) <= {frames[0], "shares"}:
        return _frame(frames[0], tree, file)
    if "panel" in tree and set(tree) <= {"panel", "title", "for_each_camera"}:
        if tree["panel"] not in PANELS:
            raise ConfigurationError(
                f"Layout {file} names the panel {tree['panel']!r}; there are {', '.join(sorted(PANELS))}."
            )
        kind = str(tree["panel"])
        return Panel(kind, str(tree.get("title", kind)), bool(tree.get("for_each_camera", False)))
    raise ConfigurationError(
        f"A knot of the layout {file} needs panel, or one of {', '.join(_FRAMES)}; got {sorted(map(str, tree))}."
    )


def _frame(kind: str, tree: Mapping[str, Any], file: Path) -> Frame:
    children, shares = tree[kind], tree.get("shares", [])
    if not isinstance(children, list) or not children:
        raise ConfigurationError(f"{kind} of the layout {file} needs a list of knots, got {children!r}.")
    if not isinstance(shares, list) or (shares and len(shares) != len(children)):
        raise ConfigurationError(f"shares of the layout {file} need {len(children)} numbers, got {shares!r}.")
    return Frame(kind, tuple(_knot(child, file) for child in children), tuple(float(share) for share in shares))


def blueprint(layout: "Panel | Frame", cameras: Sequence[str], posed: bool) -> Any:
    """The blueprint of a layout.

    Args:
        layout: Of `load_layout`.
        cameras: Camera names.
        posed: Whether it is known where the cameras are: they are shown in space then.

    Raises:
        DependencyError: Rerun is not installed.
    """
    rrb = rerun().blueprint
    views = _views(rrb, layout, cameras, posed)
    root = views[0] if len(views) == 1 else rrb.Horizontal(*views)
    return rrb.Blueprint(root, collapse_panels=True)


def _views(rrb: Any, knot: "Panel | Frame", cameras: Sequence[str], posed: bool) -> list[Any]:
    if isinstance(knot, Panel):
        names = cameras if knot.for_each_camera else ("",)
        return [PANELS[knot.kind](rrb, f"{knot.title} {name}".strip(), name, posed) for name in names]
    children = [view for child in knot.children for view in _views(rrb, child, cameras, posed)]
    if knot.kind == "tabs":
        return [rrb.Tabs(*children)]
    shares = list(knot.shares) if len(knot.shares) == len(children) else None
    if knot.kind == "rows":
        return [rrb.Vertical(*children, row_shares=shares)]
    return [rrb.Horizontal(*children, column_shares=shares)]


def _camera(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin=camera_entity(camera))


def _imagined(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin=f"imagined/{camera}")


def _space(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    contents = ["/world/**", "/cameras/**"] if posed else ["/world/**"]
    return rrb.Spatial3DView(name=title, origin="/", contents=contents)


def _canvas(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin="canvas/action", contents="$origin/heat_map")


def _canvas_images(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin=f"canvas/image_{camera}", contents="$origin/heat_map")


def _cells(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin="canvas/action", contents="$origin/cells")


def _confidences(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin="canvas/action", contents="$origin/confidence")


def _schedule(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.Spatial2DView(name=title, origin="schedule")


def _plot(entity: str) -> Callable[[Any, str, str, bool], Any]:
    return lambda rrb, title, camera, posed: rrb.TimeSeriesView(name=title, origin=entity)


def _text(entity: str) -> Callable[[Any, str, str, bool], Any]:
    return lambda rrb, title, camera, posed: rrb.TextDocumentView(name=title, origin=entity)


def _log(rrb: Any, title: str, camera: str, posed: bool) -> Any:
    return rrb.TextLogView(name=title, origin="log")


PANELS: Mapping[str, Callable[[Any, str, str, bool], Any]] = {
    "camera": _camera,
    "imagined": _imagined,
    "space": _space,
    "canvas": _canvas,
    "canvas_images": _canvas_images,
    "cells": _cells,
    "confidences": _confidences,
    "schedule": _schedule,
    "seams": _plot("seams"),
    "latency": _plot("plots/latency_ms"),
    "nfe": _plot("plots/nfe"),
    "denoising_steps": _plot("plots/denoising_steps"),
    "confidence": _plot("plots/confidence"),
    "instruction": _text("said/instruction"),
    "reasoning": _text("said/reasoning"),
    "state": _text("said/state"),
    "policy": _text("said/policy"),
    "log": _log,
}
"""How each panel is made: of the blueprint module, a title, a camera and whether places of cameras are known."""
