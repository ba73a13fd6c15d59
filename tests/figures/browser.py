"""A headless Chromium, for the tests of reports and for the pictures of them in the README."""

import shutil
from pathlib import Path

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,900",
    "--hide-scrollbars",
)  # fmt: skip


def missing() -> str:
    """Why there is no browser; "" if there is one."""
    try:
        import selenium.webdriver  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return "" if _binary() and shutil.which("chromedriver") else "Chromium or chromedriver is not installed"


def _binary() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def start(profile: Path):
    """The browser's driver; `profile` is a folder for its files."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _binary()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
