"""The first page and the page of experiment files: what they name exists, and what they show works."""

import re

from gen import config as configs
from gen import schema
from gen.config import Part
from gen.errors import UserError
from gen.families.gan.labels import CONDITIONINGS
from gen.objectives.diffusion import PREDICTIONS
from gen.schema import complete
from tests.environment import ROOT

README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs/experiment_files.md").read_text()


def test_the_readme_is_short_and_what_it_links_to_exists():
    assert len(README.splitlines()) <= 200
    links = re.findall(r"\]\(([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    assert len(links) > 20
    for path in (a or b for a, b in links):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"(?:experiments/|`)((?:vae|gan|diffusion)/\w+\.py)", README):
        assert (ROOT / "experiments" / path).is_file(), path


def test_what_one_can_build_is_what_there_is():
    table = README.split("## What you can build")[1].split("\n\n")[1]
    names = set(re.findall(r"`(\w+)`", table))
    parts = [entry.table for family in schema.FAMILIES for entry in schema.schema(family).values()
             if isinstance(entry, Part)]
    known = set().union(*parts, CONDITIONINGS, PREDICTIONS)
    assert len(names) > 50 and names <= known, names - known


def shown(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1])
    return str(path)


def test_the_whole_experiment_file_is_one_of_at_most_thirty_lines(tmp_path):
    path = shown(tmp_path)
    assert len((tmp_path / "mine.py").read_text().splitlines()) <= 30
    config = complete(configs.load(path), {})
    assert config.encoder.width == 32 and config.prior.name == "standard_normal" and config.train.keep == 2
    assert complete(configs.load(f"{path}:smoke"), {}).train.steps == 20
    for overrides in configs.load_sweep(path):
        assert complete(configs.load(path), overrides).objective.beta == overrides["objective.beta"]


def test_the_keys_that_must_be_there_are_those_without_which_it_is_an_error(tmp_path):
    table = PAGE.split("## What must be there")[1].split("\n\n")[1]
    listed = {key for row in table.splitlines()[2:] for key in re.findall(r"`([\w.]+)`", row.split("|")[1])}
    whole = configs.flatten(configs.load(shown(tmp_path)))
    required = set()
    for key in whole:
        try:
            complete(configs.unflatten({k: v for k, v in whole.items() if k != key}), {})
        except UserError as error:
            assert key.split(".")[0] in str(error)
            required.add(key)
    assert listed == required
