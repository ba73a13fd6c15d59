"""Pieces of a page as HTML; every text that comes from a run passes through `escape`."""

import base64
import html
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from gen.estimates import Estimate
from gen.figures.curves import is_number
from gen.files import read_png
from gen.run_folder import Rows


def escape(value) -> str:
    """Text of a run as HTML, safe in elements and in quoted attributes."""
    return html.escape(str(value), quote=True)


def shown(value) -> str:
    """A value as a reader wants it: floats with 5 significant digits, lists and mappings as JSON."""
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def rounded(mean: float, error: float) -> str:
    """A mean and its standard error, both with the decimals of the error's first two digits: 449 ± 318, 2.10 ± 0.04."""
    decimals = max(0, 1 - math.floor(math.log10(error))) if math.isfinite(error) else 2
    return f"{mean:,.{decimals}f} ± {error:,.{decimals}f}" if decimals < 7 else f"{mean:.5g} ± {error:.2g}"


def data_uri(path: Path, root: Path) -> str:
    """A PNG file below `root` as an address that holds the file itself; raises as `gen.files.read_png`."""
    return "data:image/png;base64," + base64.b64encode(read_png(path, root)).decode()


def table(rows: Rows, marks: Sequence[str] = ()) -> str:
    """A table that sorts by its headers; its columns are the keys of all rows; empty without rows.

    Args:
      rows: cells by column.
      marks: HTML before the first cell of each row.
    """
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in columns)
    marks = marks or [""] * len(rows)
    body = "".join(
        f"<tr>{''.join(_cell(row.get(name, ''), mark if i == 0 else '') for i, name in enumerate(columns))}</tr>"
        for row, mark in zip(rows, marks, strict=True)
    )
    head, body = f"<thead><tr>{head}</tr></thead>", f"<tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="sortable">{head}{body}</table></div>'


def _cell(value, mark: str) -> str:
    if isinstance(value, Estimate) or is_number(value):
        return number_cell(value)
    if value in (None, ""):
        return f'<td class="empty">{mark}–</td>'
    return f"<td>{mark}{escape(shown(value))}</td>"


def number_cell(value: Estimate | float | int | None, kind: str = "") -> str:
    """The cell of a number, or of a mean with its standard error; `kind` is a further class; None: an empty one."""
    if value is None:
        return '<td class="empty">–</td>'
    mean, error = value[:2] if isinstance(value, Estimate) else (value, None)
    text = rounded(mean, error) if error else shown(mean)
    return f'<td class="{f"number {kind}".strip()}" data-value="{mean!r}" title="{mean!r}">{text}</td>'


def link(path: Path, home: Path, text: str, attributes: str = "") -> str:
    """A link to a file, relative to the page's folder; the text alone where there is no such file."""
    if not path.is_file():
        return escape(text)
    return f'<a href="{escape(quote(os.path.relpath(path, home)))}"{attributes}>{escape(text)}</a>'
