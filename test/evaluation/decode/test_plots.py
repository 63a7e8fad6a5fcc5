"""The pictures are written."""

from dvla_ros.evaluation.decode.growth import CURVES, Point
from dvla_ros.evaluation.decode.plots import plot_growth, plot_rows
from dvla_ros.evaluation.decode.row import HEADINGS, Row, rows_table

ROW = Row("dd_vla", "small", "cpu", "float32", "full exact", 20.0, 30.0, 1.0, 12.0, 2800.0, 400.0, None, 5.0, 4.0, 5.5)


def test_pictures_of_rows_and_growth_are_written(tmp_path):
    plot_rows([ROW], tmp_path / "rows.png")
    points = [Point(curve, value, 2.0, 1.0, 9.0, 4.0) for curve in CURVES for value in (1, 2)]
    plot_growth(points, tmp_path / "a" / "growth.png")
    for path in ("rows.png", "a/growth.png"):
        assert (tmp_path / path).read_bytes()[:4] == b"\x89PNG"


def test_a_table_names_every_column_and_shows_what_is_unknown():
    table = rows_table([ROW])
    assert table.headings == HEADINGS
    assert HEADINGS == tuple(
        "system size device dtype cache chunk_ms_p50 chunk_ms_p95 step_ms_p50 nfe tok_s actions_s peak_memory_gb "
        "floor_ms floor_ratio baseline_ratio".split()
    )
    assert table.rows[0][9:12] == ("2,800", "400", "–")
