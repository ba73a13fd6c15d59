"""The explorer's page of discrete codes in a real browser. Skipped where NiceGUI, Chromium or selenium is absent."""

import json

import numpy as np
import pytest
from PIL import Image

from gen.explore import codes
from tests.explore import visitor
from tests.explore.visitor import click, pixels, until
from tests.figures import browser as chromium
from tests.helpers import vqvae_config

pytest.importorskip("nicegui")
pytestmark = [pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing()), pytest.mark.slow]


@pytest.fixture(scope="module")
def vqvae(serving):
    return serving(vqvae_config, codes.explorer)


@pytest.fixture
def page(browser, vqvae):
    """The page with the sample of seed 0; afterwards the console must be empty."""
    browser.get(f"http://127.0.0.1:{vqvae.port}/")
    until(lambda: shows(browser, vqvae, codes.draw(vqvae.explorer, 0)))
    yield browser
    assert browser.get_log("browser") == []


def grid(browser) -> np.ndarray:
    """The numbers on the grid of codes, [s t]; of no size while there are none."""
    found = browser.execute_script(
        "return [...document.querySelectorAll('.explorer-codes svg text')].map(e => e.textContent)")
    return np.array(found, np.int32).reshape(4, 4) if len(found) == 16 else np.zeros((0, 0), np.int32)


def shows(browser, server, codes_) -> bool:
    """Whether grid and picture are those of these codes."""
    picture = codes.picture(server.explorer, codes_)[..., 0]
    shown = pixels(browser, ".explorer-picture img")
    return np.array_equal(grid(browser), codes_) and shown.shape == picture.shape and np.abs(
        shown - picture).max() <= 3


def press_at(browser, selector: str, x: float, y: float) -> None:
    """The pointer, pressed at shares of the width and height of an element."""
    from selenium.webdriver import ActionChains

    element = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    width, height = element.size["width"], element.size["height"]
    ActionChains(browser).move_to_element_with_offset(
        element, int((x - 0.5) * width), int((y - 0.5) * height)).click().perform()


def test_a_code_under_the_pointer_is_changed_and_the_picture_with_it(page, vqvae):
    before = codes.draw(vqvae.explorer, 0)
    press_at(page, ".explorer-codes img", 3.5 / 4, 0.5 / 4)
    place = 13 if vqvae.explorer.order[13] != before[0, 3] else 12
    press_at(page, ".explorer-palette img", (place % 8 + 0.5) / 8, (place // 8 + 0.5) / 2)
    after = codes.changed(before, (0, 3), int(vqvae.explorer.order[place]))
    until(lambda: shows(page, vqvae, after))
    assert (codes.picture(vqvae.explorer, after) != codes.picture(vqvae.explorer, before)).any()


def test_painting_gives_the_chosen_code_to_each_cell(page, vqvae):
    before = codes.draw(vqvae.explorer, 0)
    press_at(page, ".explorer-codes img", 0.5 / 4, 0.5 / 4)
    page.find_element("xpath", "//*[contains(@class, 'q-toggle')][contains(., 'paint')]").click()
    for column in (1, 3):
        press_at(page, ".explorer-codes img", (column + 0.5) / 4, 3.5 / 4)
    after = before.copy()
    after[3, [1, 3]] = before[0, 0]
    until(lambda: shows(page, vqvae, after))


def test_keys_choose_a_cell_and_change_its_code(page, vqvae):
    before = codes.draw(vqvae.explorer, 0)
    visitor.press(page, ".explorer-codes", "\ue012", "\ue015")  # left and down, from the middle
    visitor.press(page, ".explorer-codes", "\ue00e")  # page up
    until(lambda: shows(page, vqvae, codes.changed(before, (3, 1), (int(before[3, 1]) + 1) % 16)))
    visitor.press(page, ".explorer-codes", "\ue008\ue014")  # shift and right, to the border
    number = page.find_element("css selector", ".explorer-code input")
    until(lambda: number.get_attribute("value") == str(before[3, 3]))
    number.send_keys("\ue009a")  # control and a: all of it
    number.send_keys("11")
    until(lambda: grid(page)[3, 3] == 11)


def test_samples_images_and_neighbours(page, vqvae):
    click(page, "New sample")
    until(lambda: shows(page, vqvae, codes.draw(vqvae.explorer, 1)))
    click(page, "Test image")
    image = vqvae.explorer.dataset.test["x"][2]
    until(lambda: shows(page, vqvae, codes.encode(vqvae.explorer, image)))
    np.testing.assert_array_equal(pixels(page, ".explorer-encoded img"), image[..., 0])
    click(page, "Nearest")
    until(lambda: len(page.find_elements("css selector", ".explorer-nearest .q-img")) == 9)


def test_an_uploaded_picture_is_encoded(page, vqvae, tmp_path):
    image = vqvae.explorer.dataset.test["x"][9]
    Image.fromarray(image[..., 0]).save(tmp_path / "digit.png")
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "digit.png"))
    until(lambda: shows(page, vqvae, codes.encode(vqvae.explorer, image)))


def test_the_address_and_the_files_hold_the_codes(page, vqvae, tmp_path):
    visitor.press(page, ".explorer-codes", "\ue00e")  # page up
    before = codes.draw(vqvae.explorer, 0)
    after = codes.changed(before, (2, 2), (int(before[2, 2]) + 1) % 16)
    until(lambda: shows(page, vqvae, after))
    visitor.downloads_to(page, tmp_path)
    for kind in ("png", "npy", "json"):
        click(page, kind)
    until(lambda: {path.name for path in tmp_path.iterdir()} == {"run_picture.png", "run_codes.npy", "run_codes.json"})
    np.testing.assert_array_equal(np.load(tmp_path / "run_codes.npy"), after)
    assert json.loads((tmp_path / "run_codes.json").read_text())["codes"] == after.tolist()
    address = until(lambda: "codes=" in page.current_url and page.current_url)
    page.get(f"http://127.0.0.1:{vqvae.port}/?codes=AAAA")
    until(lambda: "The address says something about codes" in visitor.text(page) and shows(page, vqvae, before))
    page.get(address)
    until(lambda: shows(page, vqvae, after))


def test_controls_have_words_and_a_phone_has_room(page):
    until(lambda: not page.execute_script(visitor.NAMELESS))
    names = " ".join(visitor.tab_through(page, 24)).upper()
    for name in ("Help", "New sample", "Save .png", "Grid of codes", "paint", "code of the cell", "Palette", "Nearest",
                 "Test image", "invert colours", "Choose a picture"):
        assert name.upper() in names
    visitor.as_phone(page)
    try:
        until(lambda: page.execute_script("return document.documentElement.scrollWidth") <= 390)
        assert page.execute_script("return [...document.querySelectorAll('.q-card')].every("
                                   "e => e.scrollWidth <= e.clientWidth && e.getBoundingClientRect().right <= 390)")
    finally:
        visitor.as_desktop(page)
