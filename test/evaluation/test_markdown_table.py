"""A table stays between its comments, and nothing else on the page changes."""

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.markdown_table import FigureTable, rewrite_part

PAGE = "# Page\n\n<!-- a: begin -->\nold\n<!-- a: end -->\nbetween\n<!-- b: begin -->\nkeep\n<!-- b: end -->\n"


def test_a_table_has_a_line_for_headings_a_rule_and_its_rows():
    table = FigureTable(("name", "rate"), (("x|y", "50 %"), ("z", "–")))
    assert table.markdown().splitlines() == ["| name | rate |", "|---|---|", "| x\\|y | 50 % |", "| z | – |"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ConfigurationError, match="needs 2 cells, got 1"):
        FigureTable(("name", "rate"), (("x",),))


def test_only_the_named_part_is_rewritten_however_often(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    rewrite_part(page, "a", r"first \1")
    rewrite_part(page, "a", "second")
    assert page.read_text() == PAGE.replace("old", "second")


@pytest.mark.parametrize(
    "text", ["", "<!-- a: begin -->", "<!-- a: end -->\n<!-- a: begin -->", PAGE + "<!-- a: begin -->"]
)
def test_a_page_without_the_comments_is_left_alone(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ConfigurationError, match="<!-- a: begin -->"):
        rewrite_part(page, "a", "new")
    assert page.read_text() == text


def test_a_missing_page_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no page .*none\.md"):
        rewrite_part(tmp_path / "none.md", "a", "new")


def test_the_benchmark_page_has_both_parts(tmp_path, request):
    page = tmp_path / "benchmarks.md"
    page.write_text((request.config.rootpath / "docs" / "benchmarks.md").read_text())
    for part in ("systems", "error injection"):
        rewrite_part(page, part, f"new {part}")
        assert f"new {part}" in page.read_text()
