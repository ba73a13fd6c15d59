"""Formulas as MathML, which browsers draw by themselves: no script, nothing fetched."""

import re

from latex2mathml.converter import convert

OPERATOR = re.compile(r"(<mi>(?:log|exp)</mi>)(?!<mo[^>]*>&#x00028;)")


def mathml(latex: str, display: str) -> str:
    """A formula, `display` being "inline" or "block". Raises ValueError where a command is unknown."""
    made = convert(latex.strip(), display=display)
    if "\\" in made:
        raise ValueError(f"a command of the formula {latex!r} is unknown")
    made = OPERATOR.sub(r'\1<mspace width="0.17em"/>', made)
    return f'<div class="formula">{made}</div>' if display == "block" else made
