"""The explorer's page in a real browser. Skipped where NiceGUI, Chromium, its driver or selenium is absent."""

import http.client
import json
import socket

import numpy as np
import pytest
from PIL import Image

from gen import explore
from gen.errors import UserError
from gen.explore import images, space
from gen.explore.neighbours import Training
from tests.explore import visitor
from tests.explore.visitor import click, pixels, until
from tests.figures import browser as chromium
from tests.helpers import gan_config, vae_config

pytest.importorskip("nicegui")
pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())

OTHER_HOSTS = """return performance.getEntriesByType("resource").map(e => e.name)
  .filter(url => !url.startsWith(location.origin) && !url.startsWith("data:"))"""


@pytest.fixture(scope="module")
def vae(serving):
    return serving(vae_config, space.explorer)


@pytest.fixture
def page(browser, vae):
    """The VAE's page, drawn; afterwards the console must be empty."""
    browser.get(f"http://127.0.0.1:{vae.port}/")
    until(lambda: pixels(browser, ".explorer-pad img").size > 1)
    yield browser
    assert browser.get_log("browser") == []


def latents(browser) -> np.ndarray:
    """What the sliders over latents say, in the order of the page."""
    sliders = browser.find_elements("css selector", ".q-slider[aria-label^='z']")
    return np.array([float(slider.get_attribute("aria-valuenow")) for slider in sliders])


def expected(server, z) -> np.ndarray:
    """The picture of what the sliders say."""
    by_latent = np.zeros(len(z), np.float32)
    by_latent[server.explorer.space.order] = z
    return space.view(server.explorer, by_latent).picture[..., 0]


def shows(browser, server) -> bool:
    """Whether the picture is that of the sliders, which are rounded, and which another machine code has decoded."""
    shown = pixels(browser, ".explorer-picture img")
    return shown.size > 1 and np.abs(shown - expected(server, latents(browser))).max() <= 3


@pytest.mark.slow
def test_the_page_asks_no_other_machine_and_no_other_may_ask_it(page, vae):
    assert page.execute_script(OTHER_HOSTS) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", vae.port))
    connection = http.client.HTTPConnection("127.0.0.1", vae.port)
    connection.request("GET", "/", headers={"Host": "elsewhere.example"})
    assert connection.getresponse().status == 400


@pytest.mark.slow
def test_sliders_move_the_picture(page, vae):
    until(lambda: shows(page, vae))
    before, z = pixels(page, ".explorer-picture img"), latents(page)
    handle = page.find_element("css selector", ".q-slider[aria-label^='z'] [tabindex]")
    handle.send_keys("\ue012" * 40)  # left arrow
    until(lambda: latents(page)[0] < z[0] - 0.3 and shows(page, vae))
    assert not np.array_equal(pixels(page, ".explorer-picture img"), before)


@pytest.mark.slow
def test_the_pad_moves_two_latents_to_the_pointer(page, vae):
    from selenium.webdriver import ActionChains

    pad = page.find_element("css selector", ".explorer-pad img")
    width, height = pad.size["width"], pad.size["height"]
    ActionChains(page).move_to_element_with_offset(pad, width // 4, height // 4).click().perform()
    until(lambda: np.allclose(latents(page), [1.5, -1.5], atol=0.1) and shows(page, vae))


def test_origin_and_truncation(page, vae):
    click(page, "Origin")
    until(lambda: not latents(page).any() and shows(page, vae))
    origin = pixels(page, ".explorer-picture img")
    click(page, "New sample")
    until(lambda: latents(page).any() and shows(page, vae))
    handle = page.find_element("css selector", ".q-slider[aria-label='truncation'] [tabindex]")
    handle.send_keys("\ue00f" * 10)  # page down
    until(lambda: np.array_equal(pixels(page, ".explorer-picture img"), origin))


@pytest.mark.slow
def test_an_uploaded_picture_is_encoded(page, vae, tmp_path):
    image, _ = images.test_image(vae.run, vae.explorer.dataset, 7)
    Image.fromarray(image[..., 0]).save(tmp_path / "digit.png")
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "digit.png"))
    mean = space.encode(vae.explorer, image)[vae.explorer.space.order]
    until(lambda: np.allclose(latents(page), mean, atol=0.01) and shows(page, vae))
    np.testing.assert_array_equal(pixels(page, ".explorer-encoded img"), image[..., 0])


def test_a_bad_upload_is_a_message(page, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "text.png"))
    until(lambda: "text.png: This is no picture" in visitor.text(page))
    (tmp_path / "huge.png").write_bytes(bytes(images.MAX_BYTES + 1))
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "huge.png"))
    until(lambda: "A picture has 20 MB at most." in visitor.text(page))


@pytest.mark.slow
def test_traversals(page, vae):
    click(page, "Traverse")
    until(lambda: pixels(page, ".explorer-traversals img").shape == (2 * 66 + 2, space.VALUES * 66 + 2))


def opened(browser, server, query: str = "") -> None:
    """The page at an address, drawn."""
    browser.get(f"http://127.0.0.1:{server.port}/{query}")
    until(lambda: pixels(browser, ".explorer-pad img").size > 1)


def query(browser) -> str:
    """The address from "?" on."""
    return browser.execute_script("return location.search")


def marks(browser, image: str) -> str:
    """What is drawn over an image."""
    return browser.execute_script("return document.querySelector(arguments[0]).innerHTML", f"{image} svg")


@pytest.mark.slow
def test_the_address_shows_the_same_again(page, vae):
    click(page, "New sample")
    click(page, "Pin A")
    visitor.press(page, ".q-slider[aria-label='truncation'] [tabindex]", *["\ue012"] * 20)  # left arrow
    visitor.press(page, ".explorer-pad", *["\ue014"] * 7)  # right arrow
    until(lambda: {"seed=1", "a=", "z=", "psi=0.8"} <= {part for part in ("seed=1", "a=", "z=", "psi=0.8")
                                                        if part in query(page)} and shows_truncated(page, vae, 0.8))
    until(lambda: ">A</text>" in marks(page, ".explorer-pad"))
    z, picture, said = latents(page), pixels(page, ".explorer-picture img"), query(page)
    opened(page, vae)
    until(lambda: not np.array_equal(pixels(page, ".explorer-picture img"), picture))
    opened(page, vae, said)
    until(lambda: np.array_equal(pixels(page, ".explorer-picture img"), picture))
    np.testing.assert_array_equal(latents(page), z)
    until(lambda: ">A</text>" in marks(page, ".explorer-pad"))
    assert query(page) == said


def shows_truncated(browser, server, psi: float) -> bool:
    """As `shows`, with truncation."""
    return np.abs(pixels(browser, ".explorer-picture img") - expected(server, psi * latents(browser))).max() <= 3


@pytest.mark.slow
def test_an_address_that_makes_no_sense_is_the_default_with_a_notice(page, vae):
    opened(page, vae, "?seed=-1&psi=nan&z=<script>&axes=9,9&label=3&path=a")
    until(lambda: "The address says something about seed, z, psi, label, axes, path that does not fit this model"
          in visitor.text(page))
    until(lambda: shows(page, vae) and query(page).startswith("?seed=0&psi=1.0&axes="))


@pytest.mark.slow
def test_what_is_saved_is_what_is_shown(page, vae, tmp_path):
    visitor.downloads_to(page, tmp_path)
    until(lambda: shows(page, vae))
    for kind in ("png", "npy", "json"):
        click(page, kind)
    until(lambda: {path.name for path in tmp_path.iterdir()} == {"run_picture.png", "run_latents.npy",
                                                                 "run_latents.json"})
    saved = np.asarray(Image.open(tmp_path / "run_picture.png"))
    np.testing.assert_array_equal(saved, pixels(page, ".explorer-picture img"))
    z = np.load(tmp_path / "run_latents.npy")
    np.testing.assert_array_equal(z, space.draw(vae.explorer, 0))
    said = json.loads((tmp_path / "run_latents.json").read_text())
    assert np.float32(said["latents"]).tolist() == z.tolist() and said["step"] == 2 and said["model"] == "run"


@pytest.mark.slow
def test_two_pins_have_a_way_between_them(page, vae):
    click(page, "Pin A")
    assert "Now move, and pin B." in until(lambda: "pin B" in visitor.text(page) and visitor.text(page))
    click(page, "New sample")
    until(lambda: shows(page, vae) and "seed=1" in query(page))
    click(page, "Pin B")
    ends = [space.draw(vae.explorer, seed) for seed in (0, 1)]

    def shows_way(path):
        row = space.row(vae.explorer, space.way(*ends, path))[..., 0]
        shown = pixels(page, ".explorer-way img")
        return shown.shape == row.shape and np.abs(shown - row).max() <= 3

    until(lambda: shows_way("spherical"))
    assert "polyline" in marks(page, ".explorer-pad")
    visitor.press(page, ".q-slider[aria-label='from A to B'] [tabindex]", *["\ue00f"] * 5)  # page down, from B to A
    along = page.find_element("css selector", ".q-slider[aria-label='from A to B']")

    def there():
        share = float(along.get_attribute("aria-valuenow"))  # while keys are on their way it moves
        z = space.between(*ends, share, "spherical")[vae.explorer.space.order]
        return share < 1 and np.allclose(latents(page), z, atol=0.02)

    until(lambda: there() and shows(page, vae))
    click(page, "linear")
    until(lambda: shows_way("linear") and "path=linear" in query(page))


@pytest.mark.slow
def test_the_nearest_training_images_of_the_picture(page, vae):
    until(lambda: shows(page, vae))
    shown = pixels(page, ".explorer-picture img")
    click(page, "Nearest")
    until(lambda: len(page.find_elements("css selector", ".explorer-nearest .q-img")) == 9)
    found = Training(vae.run, vae.explorer.dataset).nearest(np.uint8(shown)[..., None])
    for i, (image, distance) in enumerate(zip(found.images, found.distances, strict=True)):
        selector = f".explorer-nearest > :nth-child({i + 2}) img"
        until(lambda selector=selector: pixels(page, selector).size > 1)
        np.testing.assert_array_equal(pixels(page, selector), image[..., 0])
        caption = page.find_element("css selector", f".explorer-nearest > :nth-child({i + 2})").text
        assert caption.split() == [f"{distance:.3f}", "label", str(found.labels[i])]


@pytest.mark.slow
def test_arrow_keys_move_the_point_of_the_pad(page, vae):
    until(lambda: shows(page, vae))
    z, low, high = latents(page), *(limit[vae.explorer.space.order] for limit in vae.explorer.space[2:])
    visitor.press(page, ".explorer-pad", "\ue014", "\ue014", "\ue013")  # right, right, up
    until(lambda: np.allclose(latents(page), z + (high - low) * (0.02, 0.01), atol=0.02) and shows(page, vae))
    visitor.press(page, ".explorer-pad", "\ue008\ue015")  # shift and down
    until(lambda: np.allclose(latents(page), z + (high - low) * (0.02, -0.09), atol=0.02) and shows(page, vae))


@pytest.mark.slow
def test_tab_reaches_every_control_and_each_has_words(page):
    until(lambda: not page.execute_script(visitor.NAMELESS))
    names = " ".join(visitor.tab_through(page, 30)).upper()
    for name in ("Help", "New sample", "Origin", "Save .png", "Save .npy", "Save .json", "Pad", "to the right",
                 "upwards", "truncation", "z0", "z1", "Pin A", "Pin B", "spherical", "linear", "Nearest", "Traverse",
                 "Test image", "invert colours", "Choose a picture"):
        assert name.upper() in names
    click(page, "Help")
    until(lambda: "Keep two places" in visitor.text(page))


@pytest.mark.slow
def test_on_a_phone_nothing_overflows_and_a_finger_moves_the_pad(page, vae):
    visitor.as_phone(page)
    try:
        opened(page, vae)
        click(page, "Nearest")
        until(lambda: page.find_elements("css selector", ".explorer-nearest .q-img"))
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        assert page.execute_script("return [...document.querySelectorAll('.q-card')].every("
                                   "e => e.scrollWidth <= e.clientWidth && e.getBoundingClientRect().right <= 390)")
        before = page.execute_script(
            "document.querySelector('.explorer-pad img').scrollIntoView({block: 'center'}); return scrollY")
        visitor.touch(page, ".explorer-pad img", (0.5, 0.5), (0.6, 0.4), (0.75, 0.25))
        high = vae.explorer.space.high[vae.explorer.space.order]
        until(lambda: np.allclose(latents(page), high / 2, atol=0.1) and shows(page, vae))
        assert page.execute_script("return scrollY") == before
    finally:
        visitor.as_desktop(page)


@pytest.fixture(scope="module")
def gan(serving):
    return serving(gan_config, space.explorer)


@pytest.mark.slow
def test_a_gan_of_points_shows_them_with_the_logit_of_the_discriminator(browser, gan):
    browser.get(f"http://127.0.0.1:{gan.port}/")
    view = space.view(gan.explorer, space.draw(gan.explorer, 0))
    text = until(lambda: browser.find_element("css selector", ".explorer-score").text)
    assert text.startswith(f"Discriminator: logit {view.logit:+.2f}")
    mark = until(lambda: browser.find_elements("css selector", ".explorer-picture circle"))[0]
    x = np.clip(view.mark[0], 0, 1) * view.picture.shape[1]
    assert float(mark.get_attribute("cx")) == pytest.approx(x, abs=0.1)
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_the_pad_of_points_is_coloured_and_the_way_is_on_the_stage(browser, gan):
    opened(browser, gan)
    picture = space.pad(gan.explorer, space.draw(gan.explorer, 0), tuple(map(int, gan.explorer.space.order[:2])))
    assert np.abs(pixels(browser, ".explorer-pad img") - picture[..., 0]).max() <= 3
    click(browser, "Pin A")
    click(browser, "New sample")
    until(lambda: "seed=1" in query(browser))
    click(browser, "Pin B")
    until(lambda: ">B</text>" in marks(browser, ".explorer-picture"))
    z = space.way(*(space.draw(gan.explorer, seed) for seed in (0, 1)), "spherical")
    circles = browser.find_elements("css selector", ".explorer-picture circle[fill='#d9480f']")
    found = [[float(circle.get_attribute(name)) for name in ("cx", "cy")] for circle in circles]
    size = gan.explorer.stage.picture.shape[0]
    np.testing.assert_allclose(found, np.clip(space.places(gan.explorer, z), 0, 1)[1:-1] * size, atol=0.1)
    assert browser.get_log("browser") == []


def test_a_port_that_is_taken_is_one_line(vae):
    with pytest.raises(UserError, match=f"--port={vae.port} cannot be used"):
        explore.serve(vae.run, vae.port)
