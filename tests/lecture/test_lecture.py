"""The lecture: each lesson's claim in a quick form, the cells that its readers run, its commands, and the page."""

import json
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from gen import config as configs
from gen import lecture
from gen.errors import UserError
from gen.figures.panels import pixels
from gen.lecture import markdown, notebook, page
from gen.lecture.references import REFERENCES
from gen.schema import complete
from tests.environment import ROOT

QUICK = {
    "densities": {},
    "expectation": {},
    "joint": {},
    "inverse_cdf": {"bound": 0.2, "train__steps": 1_200, "critic_steps": 2, "train__batch_size": 128},
    "monte_carlo": {},
    "kl_directions": {},
    "distances": {},
    "change_of_variables": {"steps": 1_000, "bound": 0.6},
    "optimal_discriminator": {"bound": 0.06, "train__steps": 400, "train__evaluate_every": 400,
                              "train__batch_size": 128},
    "mode_collapse": {"cures": ("equal rates",)},
    "dead_generator": {"train__steps": 500},
    "dirac": {},
    "elbo_gap": {"left": 0.5, "train__steps": 1_200, "train__checkpoint_every": 400},
    "gradient_estimators": {"latents": (16, 64), "samples": 1_000},
    "posterior_collapse": {"train__steps": 1_000, "train__evaluate_every": 1_000},
    "deeper": {},
    "hierarchy": {"train__steps": 1_000, "schedules__learning_rate__steps": 1_000},
    "blur": {},
    "failures": {},
    "diffusion": {"gap": 1.6, "train__steps": 1_000, "schedules__learning_rate__steps": 1_000},
}
"""What makes a lesson short; the claim stays, but for the bounds given here."""

SLOW = {"change_of_variables", "inverse_cdf", "optimal_discriminator", "mode_collapse", "dead_generator",
        "posterior_collapse", "deeper", "hierarchy", "blur", "failures", "diffusion"}
TRAININGS = [(name, label) for name in lecture.LESSONS for label in getattr(lecture.read(name), "RUNS", {})]
HEADINGS = ["Predict, then look", "In twenty lines", "Turn the knob", "Exercises"]
NAMED = re.compile(r"(?:von )?[A-Z][a-z]+(?: & [A-Z][a-z]+| et al\.)? (?:19|20)\d\d")


def text(name):
    return markdown.text(lecture.read(name))


def test_the_table_has_every_file_of_the_lecture_and_the_site_lists_them_in_its_order():
    files = {path.stem for path in (ROOT / "experiments/lecture").glob("*.py")}
    assert files == lecture.LESSONS.keys() == QUICK.keys()
    listed = re.findall(r"^course/(\w+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE)
    assert listed == list(lecture.LESSONS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
                                  for name in QUICK])
def test_the_claim_holds(name, tmp_path):
    module, quick = lecture.read(name), QUICK[name]
    lesson = module.run(tmp_path, **quick, **({"mesh__data": 1} if hasattr(module, "RUNS") else {}))
    assert lesson.holds, dict(lesson.numbers)
    assert np.isfinite(list(lesson.numbers.values())).all() and pixels(lesson.figure)[..., :3].std() > 0


@pytest.mark.parametrize("name", list(lecture.LESSONS))
def test_a_chapter_has_its_goals_its_figure_a_prediction_a_cell_a_knob_and_two_exercises_with_answers(name):
    body = text(name)
    assert "**After this chapter** you can" in body and "**You need**" in body
    assert body.splitlines().count(markdown.FIGURE) == 1
    places = [body.index(f"## {heading}\n") for heading in HEADINGS]
    assert places == sorted(places) and places[0] < body.index(markdown.FIGURE) < places[1]
    exercises = body[places[-1]:]
    assert len(re.findall(r"^\d\. ", exercises, re.MULTILINE)) >= 2
    assert exercises.count("<details><summary>Answer</summary>") == exercises.count("</details>") == 2
    assert exercises.count("```python") == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(lecture.LESSONS))
def test_the_cells_of_a_chapter_and_of_its_answers_run(name):
    """They hold plain JAX against the library's one call, and answers against numbers, by assertions."""
    cells, namespace = markdown.code(text(name)), {}
    assert any(re.search(r"^from gen", cell, re.MULTILINE) for cell in cells)
    for i, cell in enumerate(cells):
        assert "assert" in cell
        exec(compile(cell, f"{name}, cell {i}", "exec"), namespace)


@pytest.mark.parametrize("name", list(lecture.LESSONS))
def test_papers_are_in_the_list_of_references(name):
    named = set(NAMED.findall(" ".join(text(name).split())))
    assert named <= REFERENCES.keys()
    assert all(address.startswith("https://") for _, address in REFERENCES.values())


@pytest.mark.parametrize("name,label", TRAININGS)
def test_the_command_of_a_training_is_its_config(name, label):
    training = lecture.read(name).RUNS[label]
    _, script, *arguments = shlex.split(training.command())
    spec, overrides, rest = configs.parse_argv([script, *arguments])
    assert spec == f"experiments/{training.experiment}" and rest == [script] and (ROOT / script).is_file()
    config = configs.load(str(ROOT / spec))
    assert complete(config, overrides) == complete(config, training.overrides)


@pytest.mark.parametrize("name", list(lecture.LESSONS))
def test_the_command_of_a_knob_is_one_that_is_understood(name):
    for line in re.findall(r"^python (scripts/.*)$", text(name).replace("\\\n", ""), re.MULTILINE):
        script, *arguments = shlex.split(line)
        if script == "scripts/train.py":
            spec, overrides, rest = configs.parse_argv(
                [script, *(argument for argument in arguments if not argument.startswith("--workdir"))])
            complete(configs.load(str(ROOT / spec)), overrides)
            assert rest == [script] and overrides
        else:
            assert (ROOT / script).is_file()


def test_the_page_grows_with_every_lesson_and_has_claims_functions_formulas_and_no_address_but_its_own(
        tmp_path, monkeypatch):
    seen, whole = [], page.document

    def document(done, left, folder):
        seen.append((list(done), list(left)))
        return whole(done, left, folder)

    monkeypatch.setattr(page, "document", document)
    lessons = lecture.give(["kl_directions", "dirac"], tmp_path)
    assert seen == [(["kl_directions"], ["dirac"]), (["kl_directions", "dirac"], [])]
    made = (tmp_path / "lecture.html").read_text()
    assert all(lesson.holds for lesson in lessons.values()) and (tmp_path / "dirac_narrow_dark.png").is_file()
    for part in ("<b>It holds.</b>", "<code>kl</code>", "python scripts/lecture.py --only=kl_directions", "<math",
                 "data:image/png;base64,", "data:font/woff;base64,", "https://arxiv.org/abs/1801.04406"):
        assert part in made, part
    assert not re.search(r'(?:src|srcset|url\()="?\s*http|<link|<script|\$\$', made)
    assert made.count('<picture class="only-dark">') == 2 and ".only-dark { display: none; }" in made
    found = json.loads((tmp_path / "dirac.json").read_text())
    assert found["holds"] and found["numbers"]["theta' at (0.7, 0.5)"] == pytest.approx(0.2933, abs=1e-4)


def test_a_lesson_that_is_still_to_come_is_named_on_the_page(tmp_path):
    lesson = lecture.read("dirac").run(tmp_path)
    lecture.keep("dirac", lesson, 1.0, tmp_path)
    assert "Still being computed: Joint" in page.document(["dirac"], ["joint"], tmp_path)


def test_figures_are_transparent_light_and_dark_wide_and_narrow(tmp_path):
    lesson = lecture.read("dirac").run(tmp_path)
    lecture.keep("dirac", lesson, 1.0, tmp_path)
    wide, narrow, dark, both = (np.array(Image.open(tmp_path / f"dirac{variant}.png"), float)
                                for variant in ("", "_narrow", "_dark", "_narrow_dark"))
    assert wide.shape == dark.shape and narrow.shape == both.shape and narrow.shape[1] == wide.shape[1] / 2
    assert all((picture[0, :, 3] == 0).all() for picture in (wide, narrow, dark, both))
    greys = [(picture[..., 3] > 250) & (np.ptp(picture[..., :3], axis=-1) < 30) for picture in (wide, dark)]
    assert wide[greys[0]][:, :3].min() < 60 and dark[greys[1]][:, :3].max() > 180


def test_the_phase_plane_shows_every_step_outwards_without_the_penalty_and_inwards_with_it(tmp_path):
    module = lecture.read("dirac")
    lesson = module.run(tmp_path)
    planes = lesson.figure.axes[:2]
    for axes, gamma in zip(planes, (0.0, module.GAMMA), strict=True):
        (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        x, y = axes.lines[0].get_data()
        assert len(x) == module.STEPS + 1 and low < min(x) and max(x) < high and bottom < min(y) and max(y) < top
        distances = np.hypot(x, y)
        assert (distances[-1] > 1.5 * distances[0]) if gamma == 0 else (distances[-1] < 1e-3 * distances[0])


def test_a_notebook_has_text_cells_the_computation_and_an_installation_first():
    made = notebook.make("joint", lecture.read("joint"))
    assert made["nbformat"] == 4 and len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
    first, title, *_ = made["cells"]
    assert "%pip install" in "".join(first["source"]) and "".join(title["source"]).startswith("# Joint, marginal")
    sources = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
    assert any('lecture.read("joint").run' in source for source in sources)
    assert [source + "\n" for source in sources if "lecture.read" not in source and "%pip" not in source
            ] == markdown.code(text("joint"))
    assert "](#gen" not in json.dumps(made)


@pytest.mark.slow
def test_a_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for cell in notebook.make("joint", lecture.read("joint"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            exec(compile(source.replace("%pip install --quiet $SOURCE", "pass"), "joint", "exec"), namespace)
    assert namespace["lesson"].holds


def test_an_unknown_lesson_is_a_user_error_with_the_nearest_name():
    with pytest.raises(UserError, match="inverse_cdf"):
        lecture.read("inverse_cfd")
