"""The documentation: it builds without a warning, its pages have their figures and formulas, its notebooks run.

The site's tests are skipped where the generator is absent, those of its pages where Chromium or its driver is.
"""

import functools
import json
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.environment import ROOT
from tests.figures import browser as chromium

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
CHECK = """const done = arguments[0];
Promise.all([...document.images].map(image => image.decode().catch(() => image))).then(images => done({
  broken: images.filter(Boolean).map(image => image.src),
  unknown: [...document.querySelectorAll("article *")].filter(e => e instanceof HTMLUnknownElement).map(e => e.tagName),
  flat: [...document.querySelectorAll("math")].filter(e => e.getBoundingClientRect().height < 5).length,
  formulas: document.querySelectorAll("article math").length,
  figures: document.querySelectorAll("article img").length,
  elsewhere: performance.getEntriesByType("resource").map(e => e.name).filter(url => !url.startsWith(location.origin)
    && !url.startsWith("data:")),
}));"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with warnings as errors."""
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", f"--site-dir={folder}"]
    built = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True,
                           text=True)
    assert built.returncode == 0, built.stderr[-3_000:]
    return folder


def test_the_reference_has_every_public_module_and_function(site):
    pages = "".join(page.read_text() for page in site.glob("reference/*/index.html"))
    for name in ("gen.objectives.adversarial.minimax", "gen.objectives.bounds.elbo", "gen.runs.load", "gen.rng.stream",
                 "gen.training.loop.train", "gen.families.vae.make", "gen.data.load", "gen.explore.explorer"):
        assert f'id="{name}"' in pages, name
    assert "gen.objectives.bounds._grouped" not in pages


def test_every_experiment_is_listed(site):
    page = (site / "experiments/index.html").read_text()
    for path in (ROOT / "experiments").glob("*/*.py"):
        assert f"{path.parent.name}/{path.name}" in page, path


def test_a_formula_with_an_unknown_command_is_an_error(site):
    from mkdocs.exceptions import PluginError

    from gen.config import module

    pages = module(ROOT / "docs/pages.py")
    page = type("Page", (), {"file": type("File", (), {"src_path": "tour/x.md"})})
    made = pages.on_page_content(r'a <span class="arithmatex">\(\log p &lt; 1\)</span>', page, None, None)
    assert made.startswith("a <math") and "<mo>&#x0003C;</mo>" in made
    with pytest.raises(PluginError, match="tour/x.md"):
        pages.on_page_content(r'<div class="arithmatex">\[\nosuch x\]</div>', page, None, None)


@pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())
def test_pages_have_their_figures_and_formulas_and_ask_no_other_host(site, tmp_path):
    handler = functools.partial(SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *args: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = chromium.start(tmp_path)
    try:
        for page in sorted(site.rglob("index.html")):
            name = page.parent.relative_to(site).as_posix()
            browser.get(f"http://127.0.0.1:{server.server_port}/{name}/")
            found = browser.execute_async_script(CHECK)
            assert not any(found[key] for key in ("broken", "unknown", "flat", "elsewhere")), (name, found)
            if name.startswith("tour/"):
                assert found["formulas"] >= 4 and found["figures"] >= 1, (name, found)
        assert browser.get_log("browser") == []
    finally:
        browser.quit()
        server.shutdown()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path):
    """In few steps, each cell after the other; a cell tagged `parameters` says how many there are otherwise."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    namespace = {}
    for cell in cells:
        source = "steps = 40" if "parameters" in cell["metadata"].get("tags", ()) else "".join(cell["source"])
        exec(compile(source, path.name, "exec"), namespace)
    assert namespace["steps"] == 40
