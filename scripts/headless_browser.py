"""A browser without a screen, driven by Playwright: for screenshots and for the test of the operator page.

The browser is the system's own: Playwright's download is not needed.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
MISSING = (
    "there is no browser: install chromium-headless-shell (Debian: apt-get install chromium-headless-shell) or "
    "google-chrome (Ubuntu, where chromium is a snap, which does not run in containers)"
)


def browser_program() -> Path | None:
    """The program, or None where none is installed; a snap's launcher is none."""
    found = (shutil.which(name) for name in PROGRAMS)
    return next((Path(path) for path in found if path is not None and "/snap/" not in path), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser, for as long as the context lasts.

    Raises:
        FileNotFoundError: None is installed.
    """
    program = browser_program()
    if program is None:
        raise FileNotFoundError(MISSING)
    # Root may not use the sandbox; nothing but pages of this repository is opened.
    words = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=words)
        try:
            yield running
        finally:
            running.close()


def go_when_there(page: Page, address: str, patience_s: float = 120.0) -> None:
    """Open an address whose server is just starting.

    Raises:
        TimeoutError: Nobody answers there.
    """
    for _ in range(int(2.0 * patience_s)):
        try:
            page.goto(address)
            return
        except Error:  # refused until the server listens
            page.wait_for_timeout(500)
    raise TimeoutError(f"Nobody answers on {address} within {patience_s:g} s.")
