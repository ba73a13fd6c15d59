"""The explorer's page in a real browser. Skipped where NiceGUI, Chromium, its driver or selenium is absent."""

import http.client
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import gen
from gen import explore
from gen.errors import UserError
from gen.explore import space
from gen.training import loop
from tests.environment import ROOT, environment
from tests.figures import browser as chromium
from tests.helpers import gan_config, vae_config

pytest.importorskip("nicegui")
pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())

OTHER_HOSTS = """return performance.getEntriesByType("resource").map(e => e.name)
  .filter(url => !url.startsWith(location.origin) && !url.startsWith("data:"))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    server = Server(vae_config(train__steps=2, train__evaluate_every=2, train__checkpoint_every=2),
                    tmp_path_factory.mktemp("vae"))
    yield server
    assert "Traceback" not in server.stop()


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
    image, _ = space.test_image(vae.explorer, 7)
    Image.fromarray(image[..., 0]).save(tmp_path / "digit.png")
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "digit.png"))
    mean = space.encode(vae.explorer, image)[vae.explorer.space.order]
    until(lambda: np.allclose(latents(page), mean, atol=0.01) and shows(page, vae))
    np.testing.assert_array_equal(pixels(page, ".explorer-encoded img"), image[..., 0])


def test_a_bad_upload_is_a_message(page, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "text.png"))
    until(lambda: "text.png: This is no picture" in page.find_element("tag name", "body").text)
    (tmp_path / "huge.png").write_bytes(bytes(space.MAX_BYTES + 1))
    page.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "huge.png"))
    until(lambda: "A picture has 20 MB at most." in page.find_element("tag name", "body").text)


@pytest.mark.slow
def test_traversals(page, vae):
    click(page, "Traverse")
    until(lambda: pixels(page, ".explorer-traversals img").shape == (2 * 66 + 2, space.VALUES * 66 + 2))


@pytest.mark.slow
def test_a_gan_of_points_shows_them_with_the_logit_of_the_discriminator(browser, tmp_path):
    server = Server(gan_config(train__steps=2, train__evaluate_every=2, train__checkpoint_every=2), tmp_path)
    browser.get(f"http://127.0.0.1:{server.port}/")
    view = space.view(server.explorer, space.draw(server.explorer, 0))
    text = until(lambda: browser.find_element("css selector", ".explorer-score").text)
    assert text.startswith(f"Discriminator: logit {view.logit:+.2f}")
    mark = until(lambda: browser.find_elements("css selector", ".explorer-picture circle"))[0]
    x = np.clip(view.mark[0], 0, 1) * view.picture.shape[1]
    assert float(mark.get_attribute("cx")) == pytest.approx(x, abs=0.1)
    assert browser.get_log("browser") == [] and "Traceback" not in server.stop()


def test_a_port_that_is_taken_is_one_line(vae):
    with pytest.raises(UserError, match=f"--port={vae.port} cannot be used"):
        explore.serve(vae.explorer.run, vae.port)
