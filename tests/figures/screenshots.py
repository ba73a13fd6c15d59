"""Takes the README's pictures of reports, of a run with a latent manifold and of a sweep:

    python -m tests.figures.screenshots RUN_FOLDER/report.html TABLE_FOLDER/report.html docs

Writes docs/report_run.png (latents under the pointer) and docs/report_sweep.png (its leaderboard), of 256 colours.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import ActionChains

from tests.figures import browser

COLOURS = 256
SCREENS = {"report_run.png": "latent-space", "report_sweep.png": "leaderboard"}
"""File to the section that is shown at the top."""


def main(run: str, sweep: str, out: str) -> None:
    with tempfile.TemporaryDirectory() as profile:
        driver = browser.start(Path(profile))
        for (name, section), page in zip(SCREENS.items(), (run, sweep), strict=True):
            driver.get(f"{Path(page).resolve().as_uri()}#{section}")
            for manifold in driver.find_elements("css selector", f"#{section} .manifold img"):
                ActionChains(driver).move_to_element_with_offset(manifold, -150, -150).perform()
            image = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB").quantize(COLOURS)
            image.save(Path(out) / name, optimize=True)
            print(Path(out) / name, (Path(out) / name).stat().st_size)
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
