"""Makes the pictures of the pages in docs/images from running systems: `.venv/bin/python scripts/screenshots.py`.

Names of pictures as arguments make those alone, e.g. `screenshots.py operator_page`. Another picture is another
function with `@pictures(NAME)`.
"""

import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Semaphore

from headless_browser import browser, go_when_there
from patient_robot import patient_arguments
from playwright.sync_api import Browser, Page, expect
from std_msgs.msg import String

from dvla_ros.msg import ActionChunk
from dvla_ros.nodes.raw_topics import LATCHED_QOS
from dvla_ros.nodes.session import simulated_robot
from dvla_ros.view.viewer_server import ServerConfig

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
DESKTOP, PHONE, REPORT = (1280, 800), (375, 812), (1280, 2000)
READY_MS = 300_000
DRAWN_MS = 45_000
VIEWED_CHUNKS = 4
INSTRUCTION = "pick up the red cube"

Maker = Callable[[Browser, Path], None]
PICTURES: dict[str, Maker] = {}


def pictures(name: str) -> Callable[[Maker], Maker]:
    """Register a function that makes pictures in docs/images; its second argument is an empty folder for its files."""

    def register(maker: Maker) -> Maker:
        PICTURES[name] = maker
        return maker

    return register


def main(words: list[str]) -> int:
    """Make all pictures, or those that are named; 2 for a name that does not exist."""
    unknown = sorted(set(words) - set(PICTURES))
    if unknown:
        print(f"error: there is no {', '.join(unknown)}; there are {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    with browser() as running:
        for name in words or PICTURES:
            with tempfile.TemporaryDirectory(prefix="screenshots_") as folder:
                PICTURES[name](running, Path(folder))
    return 0


def shoot(page: Page, name: str) -> None:
    """Write what the page shows to docs/images/NAME.png."""
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    print(f"Wrote {path}.")


def open_page(running: Browser, address: str, size: tuple[int, int], dark: bool = False) -> Page:
    """A page of that width and height, in pixels of the screen, drawn twice as fine."""
    page = running.new_page(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=2,
        color_scheme="dark" if dark else "light",
    )
    go_when_there(page, address)
    return page


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pictures("operator_page")
def operator_page(running: Browser, folder: Path) -> None:
    """The operator page while the simulated arm moves, on a screen, and on a phone after an emergency stop."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    given = {"operator": "true", "operator_port": str(port)} | patient_arguments(folder, 640, 480, 6.0)
    with simulated_robot("screenshots", given, folder / "log"):
        desktop = open_page(running, address, DESKTOP)
        expect(desktop.locator("#activity")).to_have_text("idle", timeout=READY_MS)
        expect(desktop.locator("figure[data-fresh=true]")).to_have_count(2, timeout=READY_MS)
        desktop.get_by_label("What is the robot to do?").fill(INSTRUCTION)
        desktop.get_by_role("button", name="Start").click()
        expect(desktop.locator("#chunks")).to_have_text(re.compile("[1-9]"), timeout=READY_MS)
        shoot(desktop, "operator_page")
        phone = open_page(running, address, PHONE, dark=True)
        expect(phone.locator("figure[data-fresh=true]")).to_have_count(2, timeout=READY_MS)
        phone.get_by_role("button", name="Emergency stop").click()
        expect(phone.locator("#state")).to_have_text("fault", timeout=READY_MS)
        expect(phone.locator("#activity")).to_have_text("idle", timeout=READY_MS)
        shoot(phone, "operator_page_phone")
        desktop.close()
        phone.close()


@pictures("view")
def view(running: Browser, folder: Path) -> None:
    """The view while a policy that imagines drives the simulated arm."""
    server = ServerConfig(web_port=free_port(), data_port=free_port())
    ports: dict[str, object] = {"web_port": server.web_port, "data_port": server.data_port, "picture_hz": 2.0}
    given = patient_arguments(folder, 640, 480, 5.0, view_node=ports)
    given |= {"view": "true", "system": "ud_vla", "instruction": INSTRUCTION}
    chunks = Semaphore(0)
    with simulated_robot("screenshots", given, folder / "log") as session:
        session.node.create_subscription(ActionChunk, "/policy_node/action_chunk", lambda _: chunks.release(), 10)
        for _ in range(VIEWED_CHUNKS):
            if not chunks.acquire(timeout=READY_MS / 1000):
                raise TimeoutError("The policy is silent; look into the output of the nodes.")
        # Without an instruction the policy rests, and the processors are there to draw without a graphics card.
        session.node.create_publisher(String, "/instruction", LATCHED_QOS).publish(String())
        page = running.new_page(viewport={"width": 1680, "height": 1000}, color_scheme="dark")
        go_when_there(page, f"{server.page}&renderer=webgl&hide_welcome_screen=true")
        page.wait_for_timeout(DRAWN_MS)  # a canvas does not say when it is drawn
        shoot(page, "view")
        page.close()


@pictures("evaluation_report")
def evaluation_report(running: Browser, folder: Path) -> None:
    """The report about two decoders on a recording that the demo has just made."""
    _dvla(folder, "demo", "--episodes", "3")
    _dvla(folder, "evaluate", "demo/bag", "--decoding", "own", "num_steps=3")
    page = open_page(running, (folder / "evaluation" / "report.html").as_uri(), REPORT)
    shoot(page, "evaluation_report")
    page.close()


def _dvla(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvla_ros.cli", *words], cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
