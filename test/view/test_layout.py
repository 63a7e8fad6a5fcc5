"""The layout file becomes a blueprint."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.view.layout import PANELS, Frame, Panel, blueprint, load_layout

pytest.importorskip("rerun", reason="the extra `view` is not installed")


def panels(knot):
    return [knot] if isinstance(knot, Panel) else [panel for child in knot.children for panel in panels(child)]


def views(knot):
    return [view for part in knot.contents for view in views(part)] if hasattr(knot, "contents") else [knot]


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "layout.yaml"
        path.write_text(text)
        return load_layout(path)

    return write


def test_the_shipped_layout_shows_everything_there_is():
    assert {panel.kind for panel in panels(load_layout())} == set(PANELS)


def test_a_panel_is_repeated_for_each_camera(written):
    layout = written("columns: [{panel: camera, title: seen by, for_each_camera: true}, {panel: log}]\nshares: [2, 1]")
    made = blueprint(layout, ("front", "wrist"), posed=False).root_container
    assert [(view.name, view.origin) for view in made.contents] == [
        ("seen by front", "cameras/front"),
        ("seen by wrist", "cameras/wrist"),
        ("log", "log"),
    ]


def test_cameras_stand_in_space_only_where_it_is_known_where_they_are(written):
    layout = written("panel: space")
    for posed in (True, False):
        (space,) = blueprint(layout, ("front",), posed).root_container.contents
        assert ("/cameras/**" in space.contents) == posed


def test_frames_and_shares_are_read(written):
    layout = written("rows: [{panel: log}, {tabs: [{panel: state}, {panel: nfe}]}]\nshares: [3, 1]")
    assert isinstance(layout, Frame) and (layout.kind, layout.shares) == ("rows", (3.0, 1.0))
    assert layout.children[1].kind == "tabs"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("panel: cemera", "names the panel 'cemera'; there are camera"),
        ("rows: []", "rows .* needs a list of knots"),
        ("rows: [{panel: log}]\nshares: [1, 2]", "shares .* need 1 numbers"),
        ("{panel: log, colour: red}", r"needs panel, or one of rows, columns, tabs; got \['colour', 'panel'\]"),
        ("[1]", "must be a table"),
        ("rows: [", "cannot be read"),
    ],
)
def test_a_malformed_layout_is_refused_in_words(written, text, problem):
    with pytest.raises(ConfigurationError, match=problem):
        written(text)
