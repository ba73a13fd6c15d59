"""The config reference: every key of every family with its meaning, as the schema has it."""

import re

import pytest

from gen import manual
from gen.config import Part, field_of
from gen.config.ranges import Count, Decay, NonNegative
from gen.errors import UserError
from gen.objectives.adversarial import ADVERSARIAL
from gen.objectives.penalties import PENALTIES
from gen.schema import ABOUT, FAMILIES, SECTIONS, schema


@pytest.mark.parametrize("family", FAMILIES)
def test_every_section_and_key_has_a_meaning_and_no_meaning_is_of_nothing(family):
    known, about = set(), ABOUT[""] | ABOUT[family]
    for key, entry in schema(family).items():
        keys = entry.common if isinstance(entry, Part) else entry
        own = {f"{key}.{name}".lstrip(".") for name in keys}
        of_kind = {f"{key}.{name}" for name in keys if isinstance(entry, Part) and f"{entry.kind}.{name}" in about}
        known |= own | {key} - {""}
        assert own - of_kind | {key} - {""} <= about.keys(), own - about.keys()
    assert ABOUT[family].keys() <= known, ABOUT[family].keys() - known
    assert all(meaning.endswith(".") for meaning in about.values())


def test_meanings_of_all_families_are_of_keys_of_all_families():
    common = {f"{key}.{name}".lstrip(".") for key, entry in SECTIONS.items()
              for name in (entry.common if isinstance(entry, Part) else entry)} | SECTIONS.keys()
    common |= {f"{entry.kind}.{name}" for family in FAMILIES for entry in schema(family).values()
               if isinstance(entry, Part) for name in entry.common}
    assert ABOUT[""].keys() <= common


def test_every_part_and_option_is_in_the_page_once():
    page = manual.markdown()
    for name, loss in ADVERSARIAL.items():
        assert page.count(f"**`{name}`** {manual.escaped(manual.first_paragraph(loss.__doc__))}") == 1, name
    for line in ("- `penalties.wgan_gp.target`: number", "- `train.steps`: whole number, at least 1; **must be given**",
                 "- `train.keep`: whole number, at least 1; `2`", "- `precision`: text; `float32`"):
        assert page.count(line) == 1, line
    assert "## `penalties`, gan\n" in page and "## `train`\n" in page


def test_kinds_and_defaults_in_words():
    assert manual.kind(field_of(Count)) == "whole number, at least 1"
    assert manual.kind(field_of(NonNegative[float], 1.0)) == "number, at least 0"
    assert manual.kind(field_of(Decay[float])) == "number, at least 0 and below 1"
    assert manual.kind(field_of(tuple[Count, ...], ())) == "list of whole numbers, each at least 1"
    assert manual.kind(field_of(default=False)) == "true or false"
    assert [manual.value_text(v) for v in (True, 1e-4, (128, 64), (), "", "adam")] == [
        "true", "0.0001", "128,64", "()", '""', "adam"]


def test_a_section_a_part_and_a_key_can_be_asked_for():
    section = manual.text("penalties")
    assert section.startswith("config.penalties (of gan)") and all(f"\n  {name}\n" in section for name in PENALTIES)
    part = manual.text("penalties.wgan_gp")
    assert "Gulrajani et al. 2017" in part and "target: number" in part and "dragan" not in part
    key = manual.text("train.best")
    assert re.fullmatch(r'config\.train\.best\n  best: text; ""\n( +\S.*\n)+', key) and "max METRIC" in key
    assert manual.text("discriminator").count("config.discriminator ") > 1  # of a GAN; of a VAE it may be left out
    assert len(manual.text("all")) > 10 * len(section)
    with pytest.raises(UserError, match="Did you mean 'penalties'"):
        manual.text("penaltys")
