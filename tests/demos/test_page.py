"""The page of all demos, built and opened from the disk: whole, quiet, on a phone, in the dark, by keyboard."""

import json
import subprocess
import sys

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from docs.extensions import demos
from tests.environment import ROOT

CONF = f"""import sys
sys.path.insert(0, {str(ROOT / "docs")!r})
extensions = ["myst_parser", "extensions.mathml", "extensions.demos"]
html_theme, html_math_renderer, html_static_path = "furo", "mathml", [{str(ROOT / "docs/static")!r}]
html_css_files, myst_enable_extensions, suppress_warnings = ["site.css"], ["dollarmath"], ["myst.xref_missing"]
html_theme_options = {{"navigation_with_keys": True}}
"""
VIEWPORTS = {"desk": (1440, 900), "phone": (390, 844)}
DRAWN = """return [...document.querySelectorAll(".demo canvas")].every((canvas) =>
  new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size > 4)"""
FOREIGN = """return performance.getEntriesByType("resource").map((entry) => entry.name)
  .filter((name) => !name.startsWith("file:") && !name.startsWith("data:"))"""
WIDER = """return [...document.querySelectorAll(".demo, .demo *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return box.width && !element.closest(".demo-handle") && (box.left < -0.5 || box.right > innerWidth + 0.5);
}).map((element) => element.outerHTML.slice(0, 80))"""
FAINT = """const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = (colour) => channels(colour).slice(0, 3)
  .reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => { const own = getComputedStyle(element).backgroundColor;
  return channels(own)[3] === 0 ? behind(element.parentElement) : own; };
return [...document.querySelectorAll(".demo :is(p, b, a, span, output, th, td, button, select)")]
  .filter((element) => element.textContent.trim()).filter((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; })
  .map((element) => element.outerHTML.slice(0, 80))"""


def build(folder, *options):
    """Builds the pages in a folder, into `site` in it."""
    command = [sys.executable, "-m", "sphinx", "--builder", "html", *options, folder, folder / "site"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page's address on the disk."""
    pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("touch")
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text((ROOT / "docs/touch.md").read_text())
    built = build(folder, "--fail-on-warning")
    assert built.returncode == 0, built.stderr[-2_000:]
    return (folder / "site/index.html").as_uri()


@pytest.fixture
def opened(browser, site):
    """A function of size, colour scheme and motion that opens the page; afterwards its console must be empty."""
    browser.get_log("browser")

    def open_page(size="desk", scheme="light", motion="no-preference"):
        width, height = VIEWPORTS[size]
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]})
        browser.get(site)
        WebDriverWait(browser, 30).until(lambda browser: browser.execute_script(
            "return document.querySelectorAll('.demo-claim output:not(:empty)').length") == len(demos.DEMOS))
        return browser

    yield open_page
    assert browser.get_log("browser") == []


def demo(browser, name: str):
    return browser.find_element("css selector", f"[data-demo={name}]")


def number(place, key: str) -> str:
    return place.find_element("css selector", f"[data-key={key}]").text


def frames(browser, n: int = 3) -> None:
    """Waits until so many frames have been drawn."""
    browser.execute_async_script(
        "let [n, done] = arguments; const next = () => n-- ? requestAnimationFrame(next) : done(); next();", n)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", VIEWPORTS)
def test_all_demos_are_drawn_within_the_page_and_nothing_is_fetched(opened, size, scheme):
    browser = opened(size, scheme)
    assert browser.execute_script(DRAWN) and browser.execute_script(FOREIGN) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") == VIEWPORTS[size][0]
    assert browser.execute_script(WIDER) == [] and browser.execute_script(FAINT) == []
    places = browser.find_elements("css selector", ".demo")
    assert [place.get_attribute("data-demo") for place in places] == list(demos.DEMOS)


@pytest.mark.slow
def test_no_claim_fails_at_the_start(opened):
    outputs = opened().find_elements("css selector", ".demo-claim output")
    assert [output.get_attribute("data-holds") for output in outputs] == ["true", "", "true", "true", "true", "true"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "key"), [
    ("distances", "forward"), ("dirac", "end"), ("elbo", "elbo"), ("decoder", "density")])
def test_arrow_keys_move_every_point_and_the_numbers_follow(opened, name, key):
    place = demo(opened(), name)
    for handle in place.find_elements("css selector", ".demo-handle"):
        for pressed in (Keys.ARROW_RIGHT, Keys.ARROW_UP):
            before = number(place, key), handle.get_attribute("aria-valuetext")
            handle.send_keys(pressed * 3)
            frames(place.parent)
            assert number(place, key) != before[0] and handle.get_attribute("aria-valuetext") != before[1], pressed
        assert handle.get_attribute("aria-label") and place.parent.switch_to.active_element == handle
    assert place.find_element("css selector", ".demo-claim output").get_attribute("data-holds") == "true"


@pytest.mark.slow
def test_every_slider_has_a_name_and_moves_by_keys(opened):
    browser = opened("phone")
    sliders = browser.find_elements("css selector", ".demo input[type=range]")
    assert len(sliders) > 20
    for slider in sliders:
        label, before = slider.find_element("xpath", "./ancestor::label"), slider.get_attribute("aria-valuetext")
        last = slider.get_attribute("value") == slider.get_attribute("max")
        slider.send_keys(Keys.ARROW_LEFT if last else Keys.ARROW_RIGHT)
        assert label.text.split("\n")[0] and slider.get_attribute("aria-valuetext") != before, label.text


@pytest.mark.slow
def test_a_finger_drags_a_point(opened):
    browser = opened("phone")
    place = demo(browser, "dirac")
    handle = place.find_element("css selector", ".demo-handle")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", handle)
    before = handle.get_attribute("aria-valuetext")
    left, top, width, height = browser.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.x, b.y, b.width, b.height]", handle)
    assert width >= 44 and height >= 44
    x, y = left + width / 2, top + height / 2
    for kind, points in (("Start", [(x, y)]), ("Move", [(x - 60, y + 40)]), ("End", [])):
        touches = [{"x": x, "y": y} for x, y in points]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": touches})
    frames(browser)
    assert handle.get_attribute("aria-valuetext") != before and "theta 0." in handle.get_attribute("aria-valuetext")


@pytest.mark.slow
def test_a_weight_of_r1_turns_the_spiral_inwards(opened):
    place = demo(opened(), "dirac")
    assert "outwards" in number(place, "radius")
    slider = place.find_element("xpath", ".//label[contains(., 'Weight of R1')]//input")
    slider.send_keys(Keys.ARROW_RIGHT * 50)
    frames(place.parent)
    assert "inwards" in number(place, "radius") and float(number(place, "end")) < 0.1


@pytest.mark.slow
def test_the_gan_trains_pauses_and_begins_anew(opened):
    place = demo(opened(), "gan")
    buttons = {button.text: button for button in place.find_elements("css selector", "button")}
    buttons["One step"].send_keys(Keys.ENTER)
    frames(place.parent)
    losses = number(place, "losses")
    assert number(place, "step") == "1" and losses != "–"
    buttons["Start"].send_keys(Keys.ENTER)
    WebDriverWait(place.parent, 60).until(lambda _: int(number(place, "step").replace(",", "")) > 5)
    assert buttons["Start"].text == "Pause"
    buttons["Start"].send_keys(Keys.ENTER)
    buttons["Reset"].send_keys(Keys.ENTER)
    buttons["One step"].send_keys(Keys.ENTER)
    frames(place.parent)
    assert number(place, "step") == "1" and number(place, "losses") == losses


@pytest.mark.slow
def test_who_asks_for_less_motion_sees_a_picture_a_second(opened):
    browser = opened(motion="reduce")
    count = """const [place, done] = arguments, canvas = place.querySelector("canvas"), seen = new Set();
    const own = CanvasRenderingContext2D.prototype.clearRect; let drawn = 0;
    CanvasRenderingContext2D.prototype.clearRect = function (...all) {
      drawn += this.canvas === canvas; own.apply(this, all); };
    place.scrollIntoView();
    [...place.querySelectorAll("button")].find((b) => b.textContent === "Remove the noise").click();
    setTimeout(() => done(drawn), 2500);"""
    assert 1 <= browser.execute_async_script(count, demo(browser, "diffusion")) <= 5


def test_an_unknown_demo_is_an_error_and_a_page_without_one_has_no_script(tmp_path):
    pytest.importorskip("furo")
    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "index.md").write_text("# A page\n\n```{demo} nosuch\n```\n")
    built = build(tmp_path)
    assert "There is no demo 'nosuch'; there are distances, gan" in built.stderr
    assert "importmap" not in (tmp_path / "site/index.html").read_text()


def test_the_import_map_has_what_each_demo_needs_and_no_more():
    for name in demos.DEMOS:
        found = demos.needed([f"demos/{name}.js"])
        assert {f"demos/{name}.js", "demos/stage.js", "demos/plot.js"} <= set(found)
        assert ("demos/decoder_weights.js" in found) == (name == "decoder")
        lines = [line for source in found.values() for line in source.split("\n") if line.startswith("import")]
        assert lines and not any("./" in line for line in lines)
        imports = json.loads(demos.scripts([name]).split(">")[1].removesuffix("</script"))
        assert set(imports["imports"]) == set(found)
