"""Demos that run in a page: the directive `demo`, and the modules in the page that the demos are made of.

    ```{demo} dirac
    ```

The modules in `static/demos` are put into the page's import map as data: a browser imports no file of a page that was
opened from disk, and a page asks no server for anything.
"""

import json
import posixpath
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).resolve().parents[1] / "static" / "demos"
IMPORT = re.compile(r'^(import .* from )"(\..*)";$', re.MULTILINE)


class About(NamedTuple):
    """What stands in the page before the demo runs.

    Attributes:
      title: names it.
      tries: what to try, a sentence.
      claim: what is measured live.
    """

    title: str
    tries: str
    claim: str


DEMOS = {
    "distances": About(
        "Distances between two densities",
        "Drag the point on top of each density, sideways for its mean and up for a smaller width; pull the two apart "
        "and see which distances go on growing.",
        "The JSD is at most log 2; the total variation is at most 1 and, by Pinsker's inequality, at most the root "
        "of half the KL divergence."),
    "gan": About(
        "A GAN that trains in the page",
        "Press Start and wait until all eight modes are reached; then choose momentum without R1, start again, and "
        "watch the samples collapse and hop from mode to mode.",
        "With the settings of the start the GAN reaches at least 7 of the 8 modes by step 1,500, more than half of "
        "its samples being within 3 standard deviations of a mode."),
    "dirac": About(
        "The Dirac-GAN in its phase plane",
        "Drag the start, then raise the weight of R1 from 0: the spiral turns from outwards to inwards.",
        "Near the equilibrium the distance to it changes at every step by the factor |λ|, the greatest absolute "
        "eigenvalue."),
    "elbo": About(
        "A posterior fitted under log p(x)",
        "Drag q over the posterior: whatever you do, the ELBO and the KL divergence add up to log p(x).",
        "ELBO + KL(q(z) || p(z|x)) = log p(x), wherever q is."),
    "decoder": About(
        "A decoder of two latents",
        "Move the pointer over the plane of latents, or drag the point on a phone; cross the border between two digits "
        "slowly.",
        "The page's decoder, with weights of 8 bits, gives the library's pictures with an error of at most 0.05 in any "
        "pixel."),
    "diffusion": About(
        "Noise, and the way back",
        "Move the noise level from 1 to 0 and follow the points; then compare both samplers with 5 and with 50 steps.",
        "With the exact score and at least 20 steps, both samplers reach all eight modes, and at least 85 % of their "
        "samples are within 3 standard deviations of one."),
}
"""Name, which is its module's too, to what the page says of it."""


class Demo(nodes.General, nodes.Element):
    """A demo's place in a page; `name` is a key of `DEMOS`."""


class DemoDirective(SphinxDirective):
    """`{demo} NAME`, with nothing in it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        (name,) = self.arguments
        if name not in DEMOS:
            raise self.error(f"There is no demo {name!r}; there are {', '.join(DEMOS)}.")
        return [Demo(name=name)]


@cache
def modules() -> dict[str, str]:
    """Name in the import map to the source, in which every import is by such a name."""
    return {f"demos/{path.relative_to(FOLDER).as_posix()}": _named(path) for path in sorted(FOLDER.rglob("*.js"))}


def _named(path: Path) -> str:
    folder = posixpath.join("demos", path.parent.relative_to(FOLDER).as_posix())

    def named(found: re.Match) -> str:
        return f'{found[1]}"{posixpath.normpath(posixpath.join(folder, found[2]))}";'

    return IMPORT.sub(named, path.read_text())


def needed(names: list[str]) -> dict[str, str]:
    """The modules with these names and all that they import."""
    found, open_ = {}, list(names)
    while open_:
        name = open_.pop()
        if name not in found:
            found[name] = modules()[name]
            open_ += re.findall(r'^import .* from "(demos/.*)";$', found[name], re.MULTILINE)
    return dict(sorted(found.items()))


def scripts(names: list[str]) -> str:
    """The HTML of a page's head in which these demos run: the import map, and what starts each in its place."""
    sources = needed([f"demos/{name}.js" for name in names])
    urls = {name: "data:text/javascript;charset=utf-8," + quote(source, safe="!$'()*+,-./:;=?@_~{}[]|")
            for name, source in sources.items()}
    starts = "".join(f'import {{ demo as {name} }} from "demos/{name}.js";\n' for name in names)
    calls = (f'const demos = {{ {", ".join(names)} }};\nfor (const place of document.querySelectorAll(".demo")) {{\n'
             '  demos[place.dataset.demo](place);\n  await new Promise(requestAnimationFrame);\n}\n')
    return (f'<script type="importmap">{json.dumps({"imports": urls})}</script>\n'
            f'<script type="module">\n{starts}{calls}</script>\n')


def place(name: str, static: str) -> str:
    """The HTML of a demo's place: its title, what to try, what is claimed; the module adds the rest.

    `static` is the address of the site's static files.
    """
    about = DEMOS[name]
    return (f'<figure class="demo" data-demo="{name}" aria-label="{escape(about.title)}">\n'
            f'<p class="demo-title">{escape(about.title)}</p>\n<p class="demo-try">{escape(about.tries)}</p>\n'
            '<div class="demo-stage"><noscript>This demo needs JavaScript.</noscript></div>\n'
            f'<p class="demo-claim"><b>Claim:</b> {escape(about.claim)} '
            f'<output aria-live="off"></output></p>\n<p class="demo-source"><a href="{static}/demos/math/{name}.js">'
            'The computation</a></p>\n</figure>\n')


def _visit(translator, node: Demo) -> None:
    static = posixpath.relpath("_static", posixpath.dirname(translator.builder.current_docname) or ".")
    translator.body.append(place(node["name"], static))
    raise nodes.SkipNode


def _add_scripts(app, page: str, template: str, context: dict, doctree) -> None:
    names = sorted({node["name"] for node in doctree.findall(Demo)}) if doctree else []
    if names:
        context["metatags"] += scripts(names)


def setup(app):
    app.add_node(Demo, html=(_visit, None))
    app.add_directive("demo", DemoDirective)
    app.add_css_file("demos/demos.css")
    app.connect("html-page-context", _add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
