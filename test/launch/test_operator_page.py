"""The operator page in a real browser, on a screen and on a phone, with the simulated robot behind it.

The page is judged, not the machine: pictures are small and may be late, and the arm rests while the policy thinks.
"""

import os
import re
import socket

import pytest
from headless_browser import MISSING, browser, browser_program, go_when_there
from patient_robot import patient_arguments
from playwright.sync_api import expect

from dvla_ros.nodes.session import simulated_robot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(browser_program() is None and os.environ.get("CI") != "true", reason=MISSING),
]

START_MS, ANSWER_MS = 90_000, 30_000
expect.set_options(timeout=15_000)
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 667}
INSTRUCTION = "pick up the red cube"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of a simulated robot."""
    before, port, folder = dict(os.environ), free_port(), tmp_path_factory.mktemp("operator")
    given = {"operator": "true", "operator_port": str(port)} | patient_arguments(folder, 160, 120, 8.0)
    with simulated_robot("operator_test", given, folder / "log"):
        yield f"http://127.0.0.1:{port}/"
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(address, chromium, request):
    context = chromium.new_context(viewport=request.param, has_touch=request.param is PHONE)
    opened = context.new_page()
    problems = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    go_when_there(opened, address)
    yield opened
    context.close()
    assert problems == []


def button(page, name):
    return page.get_by_role("button", name=name)


def test_a_person_starts_stops_in_an_emergency_and_resets(page):
    state, activity, answer = page.locator("#state"), page.locator("#activity"), page.locator("#answer")
    expect(state).to_have_text("following", timeout=START_MS)
    expect(activity).to_have_text(re.compile("idle|problem"), timeout=START_MS)
    expect(page.locator("figure[data-fresh=true]")).to_have_count(2, timeout=ANSWER_MS)

    page.get_by_label("What is the robot to do?").fill(INSTRUCTION)
    button(page, "Start").click()
    expect(answer).to_have_text(f"Start: following '{INSTRUCTION}'")
    expect(activity).to_have_text("following")
    expect(page.locator("#age")).to_have_text(re.compile(r"^\d\.\d s ago"), timeout=ANSWER_MS)
    expect(page.locator("#latency")).to_have_text(re.compile(r"\d+ ms"))
    expect(page.locator("#commands")).to_have_text(re.compile(r"\d+\.\d Hz"), timeout=ANSWER_MS)
    expect(page.locator("#sentence")).to_contain_text(INSTRUCTION)
    expect(button(page, INSTRUCTION)).to_be_visible()

    page.get_by_label("What is the robot to do?").press("Escape")
    expect(state).to_have_text("fault")
    expect(page.locator("#reason")).to_contain_text("estop: Emergency stop by")
    expect(activity).not_to_have_text("following")
    button(page, "Start").click()
    expect(answer).to_contain_text("Start refused: There is a fault (estop): reset it first.")

    button(page, "Reset fault").click()
    expect(answer).to_contain_text("Reset fault: fault estop reset")
    expect(state).to_have_text("following")


def test_the_emergency_stop_is_large_in_sight_and_works_by_touch_and_key(page):
    estop, state = button(page, "Emergency stop"), page.locator("#state")
    expect(state).to_have_text("following", timeout=START_MS)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    box, size = estop.bounding_box(), page.viewport_size
    assert box["height"] >= 64 and box["width"] >= 300
    assert 0 <= box["y"] and box["y"] + box["height"] <= size["height"]
    for press in (estop.click, lambda: (estop.focus(), page.keyboard.press("Enter"))):
        press()
        expect(state).to_have_text("fault")
        button(page, "Reset fault").click()
        expect(state).to_have_text("following")


def test_without_a_connection_nothing_is_shown_as_current_and_stop_still_tries(page):
    state, lost = page.locator("#state"), page.get_by_role("alert")
    expect(state).to_have_text("following", timeout=START_MS)
    expect(lost).to_be_hidden()
    page.context.set_offline(True)
    expect(lost).to_contain_text("No connection to the operator node.")
    expect(state).to_have_text("not known")
    expect(page.locator("#commands")).to_have_text("–")
    expect(page.locator("figure[data-fresh=true]")).to_have_count(0)
    expect(button(page, "Start")).to_be_disabled()
    button(page, "Emergency stop").click()
    expect(page.locator("#answer")).to_contain_text("NOT CONFIRMED")
    page.context.set_offline(False)
    expect(state).to_have_text("fault", timeout=ANSWER_MS)
    expect(lost).to_be_hidden()
    button(page, "Reset fault").click()
    expect(state).to_have_text("following")


def test_it_fits_the_screen_and_everything_has_a_name(page):
    expect(page.locator("#state")).to_have_text("following", timeout=START_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for control in page.get_by_role("button").all() + page.get_by_role("textbox").all():
        if control.is_visible():
            box = control.bounding_box()
            assert box["height"] >= 36, control.inner_text()
    assert page.evaluate("[...document.images].every((image) => image.alt)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "estop"
