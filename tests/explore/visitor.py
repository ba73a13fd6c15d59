"""What tests of the explorer's pages share: a server of a tiny run, and what a visitor does and sees in a browser."""

import socket
import subprocess
import sys
import time

import numpy as np

import gen
from gen.training import loop
from tests.environment import ROOT, environment

PIXELS = """const image = document.querySelector(arguments[0]), done = arguments[1];
image.decode().then(() => {
  const canvas = document.createElement("canvas"), size = [image.naturalWidth, image.naturalHeight];
  [canvas.width, canvas.height] = size;
  canvas.getContext("2d").drawImage(image, 0, 0);
  done([...size, ...canvas.getContext("2d").getImageData(0, 0, ...size).data.filter((_, i) => i % 4 == 0)]);
}, () => done([0, 0]));"""
NAMELESS = """return [...document.querySelectorAll(
  "button, input:not([type=file]), [role=slider], [role=combobox], [role=switch], [role=application], [role=img], img")]
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("alt") || e.innerText || e.ariaLabelledByElements
                 || e.closest("[aria-label], label")))
  .map(e => e.outerHTML.slice(0, 200))"""
"""Controls and pictures that a screen reader has no words for."""


class Server:
    """`scripts/explore.py` on a tiny run."""

    def __init__(self, config, folder):
        loop.train(config, folder / "run")
        self.run, self.log = gen.load(folder / "run"), folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "scripts/explore.py", f"--workdir={folder / 'run'}", f"--port={self.port}"]
        alone = {key: value for key, value in environment().items() if not key.startswith("PYTEST")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=alone, stdout=log, stderr=log)
        until(lambda: "http://" in self.log.read_text() or self.process.poll() is not None, 240)

    def stop(self) -> str:
        self.process.terminate()
        self.process.wait(30)
        return self.log.read_text()


def until(condition, seconds: int = 60):
    """The first truthy value of `condition()`."""
    for _ in range(seconds * 10):
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError("nothing happened in time")


def pixels(browser, selector) -> np.ndarray:
    """The grey levels of an image on the page, [h w]; of no size while there is none."""
    if not browser.find_elements("css selector", selector):
        return np.zeros((0, 0))
    width, height, *values = browser.execute_async_script(PIXELS, selector)
    return np.array(values).reshape(height, width)


def click(browser, name: str) -> None:
    browser.find_element("xpath", f"//button[contains(., '{name}')]").click()


def text(browser) -> str:
    """What stands on the page."""
    return browser.find_element("tag name", "body").text


def press(browser, selector: str, *keys: str) -> None:
    """Keys, pressed where an element has the focus."""
    browser.find_element("css selector", selector).send_keys(*keys)


def tab_through(browser, stops: int) -> set[str]:
    """The names of what Tab reaches, in so many stops."""
    from selenium.webdriver import ActionChains

    names = set()
    for _ in range(stops):
        ActionChains(browser).send_keys("\ue004").perform()
        names.add(browser.execute_script("""const e = document.activeElement;
          return (e.getAttribute("aria-label") || e.closest("[aria-label]")?.getAttribute("aria-label")
                  || e.innerText || e.closest("label")?.innerText || "").trim()"""))
    return names


def as_phone(browser) -> None:
    """Makes the window that of a phone, with touch."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})


def as_desktop(browser) -> None:
    """The inverse of `as_phone`."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def touch(browser, selector: str, *shares: tuple[float, float]) -> None:
    """A finger on an element: put down at the first place, moved over the others, taken off."""
    box = browser.execute_script("""const e = document.querySelector(arguments[0]);
      e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect();
      return [b.x, b.y, b.width, b.height]""", selector)
    for i, (x, y) in enumerate(shares):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {
            "type": "touchMove" if i else "touchStart",
            "touchPoints": [{"x": box[0] + x * box[2], "y": box[1] + y * box[3]}]})
        time.sleep(0.1)
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def downloads_to(browser, folder) -> None:
    """Where the browser puts files that are saved."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
