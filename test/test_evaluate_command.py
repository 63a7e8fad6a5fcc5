"""`dvla evaluate` writes a report that can be opened anywhere, and the figures that are promised."""

import json
import re
from html.parser import HTMLParser

import pytest
from recorded_run import CHECKPOINT, record_run, rewritten, shared_recording

from dvla_ros.cli import main

pytestmark = pytest.mark.timeout(300)  # the first one records
HEADLINE = "episodes steps mae rmse gripper_accuracy seam_jump ece decode_ms_p50 realtime_factor warnings"
NAMES = f"{HEADLINE} variants replay metadata"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Notes what a page is made of, and that every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.sources, self._open, self.words = [], [], [], ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def recorded_bag(tmp_path_factory):
    return shared_recording(tmp_path_factory, "recorded_run", record_run)


@pytest.fixture(scope="module")
def report(recorded_bag, tmp_path_factory):
    """The folder of a report of two decoders, and the JSON that was asked for beside it."""
    out = tmp_path_factory.mktemp("report")
    words = [str(recorded_bag), "--decoding", "own", "num_steps=2", "--every", "0.8", "--bootstrap", "100"]
    assert main(["evaluate", *words, "--out", str(out), "--json", str(out / "figures.json")]) == 0
    return out, json.loads((out / "figures.json").read_text())


def test_the_promised_names_are_at_the_top(report):
    _, found = report
    assert set(NAMES.split()) <= set(found)
    assert found["episodes"] == 3 and found["steps"] >= 10
    assert all(isinstance(found[name], float) for name in ("mae", "rmse", "gripper_accuracy", "ece", "decode_ms_p50"))
    assert found["realtime_factor"] > 0.1 and isinstance(found["warnings"], list)


def test_both_files_of_figures_are_the_same(report):
    out, found = report
    assert json.loads((out / "report.json").read_text()) == found


def test_the_policy_that_drove_is_evaluated_by_default_and_repeats_its_answers(report):
    _, found = report
    own, fewer = found["variants"]
    assert own["checkpoint"] == str(CHECKPOINT) and own["decoder"] == "own"
    assert fewer["decoder"] == "num_steps=2" and fewer["figures"]["nfe"] == 2
    replay = found["replay"]
    assert replay == own["replay"] and replay["exact"] and replay["count"] == replay["observations_identical"] >= 15
    assert replay["max_action_error"] == 0.0 and replay["token_differences"] == 0 and replay["tokens"] > 0
    assert fewer["replay"]["count"] == 0 and sum(fewer["replay"]["not_comparable"].values()) == replay["count"]


def test_how_it_came_about_is_told(report, recorded_bag):
    _, found = report
    metadata = found["metadata"]
    assert {"command", "version", "git", "machine", "parameters", "date"} <= set(metadata)
    assert metadata["command"].startswith("dvla evaluate ") and metadata["parameters"]["seed"] == 0
    assert re.fullmatch("[0-9a-f]{16}", found["variants"][0]["fingerprint"])
    (recording,) = found["recordings"]
    assert recording["path"] == str(recorded_bag) and recording["bytes"] > 1e6
    assert recording["messages"]["/policy_node/policy_info"] == 1 and recording["messages"]["/instruction"] == 3


def test_the_page_is_whole_and_needs_nothing_else(report):
    out, found = report
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "http" not in re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", text)
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in page.sources)
    assert page.elements.count("svg") == 5 + found["episodes"] and page.elements.count("img") >= 10
    assert "pick up the red cube" in page.words and "all 0 answers" not in page.words
    assert all(warning.split(":")[0] in page.words for warning in found["warnings"])


def test_the_summary_is_markdown_with_one_column_for_each_policy(report):
    out, _ = report
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "|  | widowx_dd_vla_small | widowx_dd_vla_small, num_steps=2 |" in text
    assert "| error less that of the first | – |" in text and "## Episodes" in text


def test_what_a_recording_says_cannot_become_part_of_the_page(recorded_bag, tmp_path):
    def rename(topic, message):
        if hasattr(message, "instruction"):
            message.instruction = "<script>alert(1)</script>"
        return message

    bag = rewritten(recorded_bag, tmp_path / "bag", rename)
    words = ["--every", "2", "--bootstrap", "10", "--no-replay", "--decoding", "num_steps=1", "--max-episodes", "1"]
    assert main(["evaluate", str(bag), "--checkpoint", str(CHECKPOINT), *words, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/nowhere"], "/nowhere"),
        (["{bag}", "--decoding", "steps=3"], "num_steps"),
        (["{bag}", "--checkpoint", "/nowhere"], "/nowhere"),
        (["{bag}", "--system", "rt_1"], "choose one of dd_vla"),
        (["{bag}", "--actions", "thoughts"], "joint_targets"),
        (["{bag}", "--every", "-1"], "every"),
        (["{bag}", "--robot-name", "vx300"], "vx300"),
    ],
)
def test_a_wrong_input_is_one_clear_line(words, message, recorded_bag, capsys, tmp_path):
    given = [word.format(bag=recorded_bag) for word in words]
    assert main(["evaluate", *given, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
