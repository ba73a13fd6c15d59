"""The documentation: it builds without a warning, its pages have their figures and formulas, its notebooks run.

The site's tests are skipped where the generator is absent, those of its pages where Chromium or its driver is.
"""

import functools
import html
import json
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gen import lecture
from gen.lecture.notebook import INSTALL, installed_from
from tests.environment import ROOT
from tests.figures import browser as chromium

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
CHECK = """const done = arguments[0];
Promise.all([...document.images].map(image => image.decode().catch(() => image))).then(images => done({
  broken: images.filter(Boolean).map(image => image.src),
  unknown: [...document.querySelectorAll("article *")].filter(e => e instanceof HTMLUnknownElement).map(e => e.tagName),
  flat: [...document.querySelectorAll("math")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 5)
    .length,
  formulas: document.querySelectorAll("article math").length,
  figures: document.querySelectorAll("article img").length,
  elsewhere: performance.getEntriesByType("resource").map(e => e.name).filter(url => !url.startsWith(location.origin)
    && !url.startsWith("data:")),
}));"""


WIDE = """return [...document.querySelectorAll(".formula")].filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => e.textContent);"""
"""Formulas that do not fit on the screen."""


LINK = "https://colab.research.google.com/github/someone/gen/blob/gh-pages"


def build(sources, out, *options):
    """Builds a site with warnings as errors."""
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "-d",
               out / "doctrees", *options, sources, out / "site"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "docs", folder, "-D", "repository=someone/gen")
    assert built.returncode == 0, built.stderr[-3_000:]
    return folder / "site"


@pytest.fixture
def served(site, tmp_path):
    """The site's address, and a browser."""
    if chromium.missing():
        pytest.skip(chromium.missing())
    handler = functools.partial(SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *args: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = chromium.start(tmp_path)
    yield f"http://127.0.0.1:{server.server_port}", browser
    browser.quit()
    server.shutdown()


@pytest.mark.slow
def test_the_reference_has_every_public_module_and_function(site):
    pages = "".join(page.read_text() for page in site.glob("reference/*.html"))
    for name in ("gen.objectives.adversarial.minimax", "gen.objectives.bounds.elbo", "gen.rng.stream",
                 "gen.training.loop.train", "gen.networks.layers.conv", "gen.data.load", "gen.tables.results.results"):
        assert f'id="{name}"' in pages, name
    for path in (ROOT / "gen").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert f'id="module-{module}"' in pages or path.name == "__init__.py", module
    assert "gen.objectives.bounds._grouped" not in pages


@pytest.mark.slow
def test_signatures_stand_as_in_the_source_and_link_to_the_classes_that_they_name(site):
    page = (site / "reference/objectives.html").read_text()
    text = html.unescape(re.sub("<[^>]*>", "", page))
    assert "minimax(label_smoothing: Probability[Option] = 0.0) → AdversarialLoss" in text
    assert "monte_carlo_elbo(terms: Terms) → Float[Array, 'b']" in text
    assert "&lt;function" not in page and 'href="#gen.objectives.adversarial.hinge"' in page
    assert 'href="#gen.objectives.bounds.Terms"' in page and 'href="#gen.objectives.diffusion.Terms"' in page


@pytest.mark.slow
def test_every_experiment_is_listed(site):
    page = (site / "experiments.html").read_text()
    for path in (ROOT / "experiments").glob("*/*.py"):
        assert f"{path.parent.name}/{path.name}" in page, path


@pytest.mark.slow
@pytest.mark.parametrize("place", ["notebooks/vae", "notebooks/gan_loss", "course/elbo_gap"])
def test_notebooks_open_in_colab_and_install_the_library_from_the_repository(site, place):
    assert f'href="{LINK}/{place}.ipynb"' in (site / f"{place}.html").read_text()
    first = "".join(json.loads((site / f"{place}.ipynb").read_text())["cells"][0]["source"])
    assert first == INSTALL.replace('"."', '"git+https://github.com/someone/gen"')


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_of_an_unknown_repository_a_notebook_stays_as_it_is(path):
    text = path.read_text()
    assert installed_from(text, "") == text
    made, given = (json.loads(each)["cells"] for each in (installed_from(text, "a/b"), text))
    assert made[1:] == given[1:] and "".join(made[0]["source"]) == INSTALL.replace('"."', '"git+https://github.com/a/b"')


@pytest.mark.slow
def test_an_address_that_is_no_repository_is_said(tmp_path):
    pytest.importorskip("sphinx")
    built = build(ROOT / "docs", tmp_path, "-D", "repository=https://example.org/gen")
    assert built.returncode and "write owner/name" in built.stderr


@pytest.mark.slow
def test_unknown_commands_of_formulas_and_unknown_names_are_errors(tmp_path):
    pytest.importorskip("sphinx")
    (tmp_path / "conf.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT / 'docs')!r})\n"
                                      'extensions = ["myst_parser", "extensions.mathml"]\n'
                                      'html_math_renderer = "mathml"\nmyst_enable_extensions = ["dollarmath"]\n')
    page = tmp_path / "index.md"
    page.write_text("# A page\n\nHere $\\log p < 1$.\n")
    built = build(tmp_path, tmp_path / "out")
    assert built.returncode == 0, built.stderr
    made = (tmp_path / "out/site/index.html").read_text()
    assert "<math" in made and "<mo>&#x0003C;</mo>" in made
    page.write_text("# A page\n\n$$\\nosuch x$$\n\n[a function](#gen.nosuch), [a page](nosuch.md)\n")
    built = build(tmp_path, tmp_path / "out")
    assert built.returncode == 1
    assert "index.md:3: WARNING: a command of the formula '\\\\nosuch x' is unknown" in built.stderr, built.stderr
    assert "gen.nosuch" in built.stderr and "nosuch.md" in built.stderr


@pytest.mark.slow
def test_pages_have_their_figures_and_formulas_and_ask_no_other_host(site, served):
    address, browser = served
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        if name.startswith("_modules/gen/") and name != "_modules/gen/rng.html":
            continue
        browser.get(f"{address}/{name}")
        found = browser.execute_async_script(CHECK)
        assert not any(found[key] for key in ("broken", "unknown", "flat", "elsewhere")), (name, found)
        if name.startswith("course/"):
            assert found["formulas"] >= 4 and found["figures"] == 2, (name, found)
            assert (site / name).with_suffix(".ipynb").is_file()
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_search_finds_a_function_and_code_can_be_copied_in_light_and_dark_on_a_phone(served):
    from selenium.webdriver.support.ui import WebDriverWait

    address, browser = served
    browser.get(f"{address}/search.html?q=free_bits")
    found = "return [...document.querySelectorAll('ul.search a')].map(a => a.href)"
    WebDriverWait(browser, 20).until(lambda browser: any(
        "reference/objectives.html" in url for url in browser.execute_script(found)))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
    chapters = [f"course/{name}" for name in lecture.LESSONS]
    pages = ("glossary", "gallery", "config", "experiment_files", "extending", "training", "data", "devices", "speed",
             "reference/objectives", "results", "notebooks/gan_loss")
    for name in (*chapters, *pages):
        browser.get(f"{address}/{name}.html")
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390, name
        assert browser.execute_script(WIDE) == [], name
    assert browser.execute_script("return document.querySelectorAll('div.highlight button.copybtn').length") > 3
    colours = []
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] == "rgb(255, 255, 255)" and colours[1] != colours[0]


def test_rooms_and_tables_are_where_the_page_for_contributors_says():
    page = (ROOT / "AGENTS.md").read_text()
    rooms = {path.stem for path in (ROOT / "gen").iterdir() if path.stem not in ("__init__", "__pycache__")}
    assert rooms <= set(re.findall(r"`(\w+)`", page[:page.index("## The commands")]))
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+`) \| `(gen/[^|]+)` \|$", page, re.MULTILINE)
    assert len(rows) > 15
    for names, path in rows:
        source = (ROOT / path).read_text()
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^{name}\b.* = {{", source, re.MULTILINE), (name, path)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path):
    """In few steps, each cell after the other; a cell tagged `parameters` says how many there are otherwise.

    The first installs the library where it is missing.
    """
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert "".join(cells.pop(0)["source"]) == INSTALL
    namespace = {}
    for cell in cells:
        source = "steps = 40" if "parameters" in cell["metadata"].get("tags", ()) else "".join(cell["source"])
        exec(compile(source, path.name, "exec"), namespace)
    assert namespace["steps"] == 40
