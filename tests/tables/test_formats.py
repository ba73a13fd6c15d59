"""The written tables: their cells, and text that must not be markup."""

import re

import numpy as np
import pytest

from gen import tables
from gen.tables.formats import aligned, escape_latex, escape_markdown, number


def cells(text):
    """The rows of the Markdown table, without the rule below its header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return rows[:1] + rows[2:]


def test_markdown_has_ours_the_published_and_the_difference(filled):
    text = tables.markdown(tables.results(filled[0], "cpu", None, filled[1]))
    head, gan, pac2, pac3, real = cells(text)
    assert head == ["", "modes / 8", "published", "difference", "good (%)", "NLL", "published", "difference"]
    assert gan == ["GAN_1", "7.0 ± 1.5", "6.5 ± 0.3", "+0.5 ± 1.6", "7.00 ± 1.53", "2.50 ± 0.00", "2.00", "+0.50"]
    assert pac2 == [r"Pac\|2 (1 of 3 seeds)", "8.0", "–", "–", "inf", "–", "–", "–"]
    assert pac3 == ["Pac3 (not run)", "–", "7.0 ± 0.1", "–", "–", "–", "–", "–"]
    assert real == ["real examples", "8.0 ± 0.0", *["–"] * 6]
    assert text.startswith("# Modes \\| of_a \\<ring\\> & 5 %\n")
    for sentence in ("Nobody 2020, Table 1 (seen)", "20 steps in place of 40", "commit c0ffee; abacus", "1 to 3 seeds"):
        assert sentence in text


@pytest.mark.slow
def test_a_table_without_runs_says_so(entry, tmp_path):
    result = tables.results(entry, "cpu", None, tmp_path)
    text = tables.markdown(result)
    assert "no run is finished" in text and cells(text)[1][:3] == ["GAN_1 (0 of 3 seeds)", "–", "6.5 ± 0.3"]
    assert tables.figure(result).std() > 0


def test_latex_has_the_same_rows(filled):
    text = tables.latex(tables.results(filled[0], "cpu", None, filled[1]))
    assert r"\multicolumn{3}{c}{modes / 8} & \multicolumn{1}{c}{good (\%)} & \multicolumn{3}{c}{NLL} \\" in text
    assert r"GAN\_1 & 7.0 $\pm$ 1.5 & 6.5 $\pm$ 0.3 & +0.5 $\pm$ 1.6 & 7.00 $\pm$ 1.53 &" in text
    assert r"Pac\textbar{}2 (1 of 3 seeds) & 8.0 & -- &" in text
    assert r"\caption{Modes \textbar{} of\_a \textless{}ring\textgreater{} \& 5 \%. Here:" in text
    rows = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {8}
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("text, markdown, latex", [
    ("a|b", r"a\|b", r"a\textbar{}b"),
    ("*x* [y] `z`", r"\*x\* \[y\] \`z\`", "*x* [y] `z`"),
    ("high_quality _x_", r"high_quality \_x\_", r"high\_quality \_x\_"),
    ("a\nb\t c", "a b c", "a b c"),
    ("\\ {50 %} $5 #1 ~^", r"\\ {50 %} $5 \#1 \~^",
     r"\textbackslash{} \{50 \%\} \$5 \#1 \textasciitilde{}\textasciicircum{}"),
    ("<b>&", r"\<b\>&", r"\textless{}b\textgreater{}\&"),
])
def test_text_is_never_markup(text, markdown, latex):
    assert escape_markdown(text) == markdown and escape_latex(text) == latex


def test_numbers_and_alignment():
    assert number((1.0, 0.25), 1) == "1.0 ± 0.2" and number((-1.25, None), 2, "+") == "-1.25" and number(None, 2) == "–"
    assert aligned(["a", "value"], [["long name", "1"]]) == (
        "| a         | value |\n| --------- | ----: |\n| long name |     1 |")


def test_the_figure_shows_both(filled):
    picture = tables.figure(tables.results(filled[0], "cpu", None, filled[1]))
    for colour in ((28, 126, 214), (217, 72, 15)):
        assert (np.abs(picture.astype(int) - colour).max(-1) < 8).sum() > 30


def test_the_listing_has_a_line_for_each_protocol(filled):
    done = {("toy", protocol): tables.progress(filled[0], protocol, None, filled[1]) for protocol in ("cpu", "full")}
    assert cells(tables.listing(done, lambda name: "gan/toy.py"))[1:] == [
        ["toy", "cpu", "4 of 6", "gan/toy.py"], ["toy", "full", "0 of 15", "gan/toy.py"]]
