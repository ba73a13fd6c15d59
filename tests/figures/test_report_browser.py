"""The report in a real browser, opened from disk. Skipped where Chromium, its driver or selenium is absent."""

import pytest

from gen.figures.report import write_report
from tests.figures import browser as chromium

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing())


OPEN = "document.querySelectorAll('details').forEach(part => { part.open = true; })"
"""Opens what is folded."""

LOSS = "#charts svg[aria-label^='loss ']"
"""The chart of the loss."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def report(browser, tmp_path, write_run):
    """Opens the report of two seeds of one config and a third run; afterwards the console must be empty."""
    paths = [write_run(tmp_path / f"a_{seed}", seed) for seed in (0, 1)]
    paths.append(write_run(tmp_path / "<script>alert(1)<", 0, learning_rate=0.1))
    browser.get_log("browser")
    browser.get(write_report(paths, tmp_path / "report.html").as_uri())
    browser.execute_script(OPEN)
    yield browser
    assert browser.get_log("browser") == []


def grey(browser, selector):
    """The grey level in the middle of an image's first cell, as the browser decodes it."""
    return browser.execute_async_script(
        """const done = arguments[1], image = document.querySelector(arguments[0]);
        image.decode().then(() => {
          const canvas = document.createElement("canvas");
          canvas.getContext("2d").drawImage(image, 0, 0);
          done(canvas.getContext("2d").getImageData(20, 20, 1, 1).data[0]);
        });""",
        selector,
    )


def set_input(browser, name, value):
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def texts(browser, selector):
    return [e.get_attribute("textContent") for e in browser.find_elements("css selector", selector)]


@pytest.mark.slow
def test_the_slider_changes_the_pictures(report):
    shown = [(grey(report, "img[data-run='0']"), texts(report, "#step-value")[0])]
    for value in (0, 1):
        set_input(report, "step", value)
        shown.append((grey(report, "img[data-run='0']"), texts(report, "[data-step='0']")[0]))
    assert shown == [(200, "step 40"), (0, "0"), (100, "20")]


def test_the_slider_follows_the_keyboard(report):
    report.find_element("id", "step").send_keys("\ue012")  # left arrow
    assert texts(report, "#step-value") == ["step 20"] and grey(report, "img[data-run='2']") == 100


def test_tables_sort_by_number_and_by_text(report):
    table = "#evaluations table"
    columns = texts(report, f"{table}:first-of-type th button")
    assert columns[:4] == ["run", "fid", "precision", "recall"]
    overview = "#runs table"
    names = texts(report, f"{overview} tbody td:first-child")
    seeds = texts(report, f"{overview} thead button").index("seed")
    buttons = report.find_elements("css selector", f"{overview} thead button")
    buttons[seeds].click()
    buttons[seeds].click()
    assert texts(report, f"{overview} tbody td:nth-child({seeds + 1})") == ["1", "0", "0"]
    assert texts(report, f"{overview} th[aria-sort='descending']") == ["seed"]
    buttons[0].click()
    runs = ["learning_rate=0.1", "learning_rate=0.001, seed 0", "learning_rate=0.001, seed 1"]  # numbers in names count
    assert texts(report, f"{overview} tbody td:first-child") == runs and sorted(names) == sorted(runs)


def test_numbers_sort_as_numbers(browser, tmp_path, write_run):
    run = write_run(tmp_path / "run")
    browser.get(write_report([run], tmp_path / "report.html").as_uri())
    value = browser.find_elements("css selector", "#evaluations table:first-of-type thead button")[1]
    value.click()
    assert texts(browser, "#evaluations .scroll:first-of-type td:nth-child(2)")[:3] == ["0.75", "9.5", "10.25"]
    assert browser.get_log("browser") == []


def test_curves_have_a_line_per_group_and_kind_and_hide_by_the_legend(report):
    lines = f"{LOSS} path.line"
    assert len(report.find_elements("css selector", lines)) == 4
    assert len(report.find_elements("css selector", f"{LOSS} path.band")) == 2
    assert texts(report, "#legend button") == ["learning_rate=0.001, 2 seeds", "learning_rate=0.1"]
    report.find_element("css selector", "#legend button").click()
    assert len(report.find_elements("css selector", lines)) == 2
    before = report.find_element("css selector", lines).get_attribute("d")
    set_input(report, "smoothing", 0.9)
    assert report.find_element("css selector", lines).get_attribute("d") != before


def test_the_pointer_reads_the_curves(report):
    from selenium.webdriver import ActionChains

    chart = report.find_element("css selector", LOSS)
    report.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    ActionChains(report).move_to_element_with_offset(chart, -100, 0).perform()
    readout = texts(report, f"{LOSS} + .readout")[0]
    assert readout.startswith("step ") and "learning_rate=0.001, 2 seeds · train" in readout


def test_the_manifold_shows_the_tile_under_the_pointer(report):
    from selenium.webdriver import ActionChains

    image = report.find_element("css selector", ".manifold img")
    report.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
    ActionChains(report).move_to_element(image).perform()
    assert texts(report, ".manifold output")[0] == "z = (0.00, 0.00)"
    tile = report.find_element("css selector", ".manifold .tile")
    assert tile.value_of_css_property("background-position") == "50% 50%"


def test_a_narrow_window_does_not_scroll_sideways(report):
    report.set_window_size(500, 800)
    width = report.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    report.set_window_size(1200, 900)
    assert width[0] <= width[1]


@pytest.fixture
def sweep(browser, tmp_path, write_run):
    """Opens the report of a sweep of three learning rates and four seeds; afterwards the console must be empty."""
    paths = [write_run(tmp_path / f"lr={lr}-seed={s}", s, lr) for lr in (0.1, 0.001, 1.0) for s in range(4)]
    write_run(tmp_path / "other", 5)
    browser.get_log("browser")
    browser.get(write_report([*paths, tmp_path / "other"], tmp_path / "report.html", "Rates").as_uri())
    browser.execute_script(OPEN)
    yield browser
    assert browser.get_log("browser") == []


def test_a_sweep_shows_one_run_of_each_config_and_its_slider_moves_them_all(sweep):
    images = sweep.find_elements("css selector", "img[data-run]")
    assert [image.get_attribute("data-run") for image in images] == ["0", "4", "8"]
    set_input(sweep, "step", 1)
    assert [grey(sweep, f"img[data-run='{i}']") for i in (0, 4, 8)] == [100, 100, 100]
    assert texts(sweep, "h1") == ["Rates"]


def test_means_over_seeds_sort_as_numbers(sweep):
    tables = sweep.find_elements("css selector", "#evaluations table")
    means = next(t for t in tables if "4 seeds" in t.text)
    next(b for b in means.find_elements("css selector", "button") if b.text.startswith("loss")).click()
    losses = [cell.text for cell in means.find_elements("css selector", "tbody td:nth-child(3)")]
    assert losses == ["4.50 ± 0.65", "4.50 ± 0.65", "5.20 ± 0.86"]


def test_the_config_of_a_sweep_reduces_to_what_differs(sweep):
    def visible():
        return [row.find_element("tag name", "th").text for row in
                sweep.find_elements("css selector", ".config tbody tr") if row.is_displayed()]

    before = visible()
    sweep.find_element("id", "only").click()
    assert before == ["seed", "optimizer.learning_rate"] and len(visible()) > 2
    assert len(sweep.find_elements("css selector", ".config thead th")) == 1 + 3
    assert len(texts(sweep, "#legend button")) == 3


@pytest.mark.slow
def test_two_hundred_runs_open_in_under_three_seconds_and_twelve_are_short(browser, tmp_path, write_run):
    """Of 100 configs and 2 seeds; three seconds are many times what it takes on an idle machine."""
    paths = [write_run(tmp_path / f"{i}-{s}", s, 1e-3 * (i + 1)) for i in range(100) for s in (0, 1)]
    browser.set_window_size(1440, 900)
    for runs, most in ((paths[:24], 4_000), (paths, None)):
        browser.get(write_report(runs, tmp_path / "report.html").as_uri())
        height, took, charts = browser.execute_script(
            "const t = performance.timing; return [document.documentElement.scrollHeight,"
            " t.loadEventEnd - t.navigationStart, document.querySelectorAll('path.line').length]")
        assert charts > 0 and took < 3_000 and (most is None or height < most), (len(runs), height, took)
    assert len(browser.find_elements("css selector", "#leaderboard tbody tr")) == 100
    browser.set_window_size(1200, 900)
    assert browser.get_log("browser") == []
