"""The demos' modules in a browser: skipped where Chromium, its driver or selenium is absent."""

import json
from pathlib import Path

import pytest

from docs.extensions import demos
from tests.figures import browser as chromium

CALL = """const [modules, expression, given, done] = arguments;
const plain = (key, value) => ArrayBuffer.isView(value) ? [...value] : value;
Promise.all(modules.map((name) => import(`demos/math/${name}.js`))).then(
  (all) => done(JSON.stringify(new Function("m", "a", expression)(Object.assign({}, ...all), JSON.parse(given)), plain))
).catch((error) => done(JSON.stringify({error: String(error)})));"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if chromium.missing():
        pytest.skip(chromium.missing())
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def call(browser, tmp_path_factory):
    """A function (modules, body of a function of their exports `m` and of the arguments `a`, *a) -> what it returns.

    It runs in a page that was opened from the disk.
    """
    page = Path(tmp_path_factory.mktemp("page")) / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8">{demos.scripts(list(demos.DEMOS))}')
    browser.get(page.as_uri())

    def called(modules: str, body: str, *arguments):
        body = body if "return " in body else f"return {body}"
        found = json.loads(browser.execute_async_script(CALL, modules.split(), body, json.dumps(arguments)))
        assert not (isinstance(found, dict) and "error" in found), found
        return found

    yield called
    assert browser.get_log("browser") == []
