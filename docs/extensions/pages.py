"""Pages that are made: the reference from the modules of `gen`, chapters, docstrings of experiments, notebooks."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from myst_parser.parsers.sphinx_ import MystParser
from sphinx.errors import ConfigError

from extensions.docstrings import restructured
from gen import lecture, manual
from gen.lecture import markdown
from gen.lecture import notebook as notebooks

ROOT = Path(__file__).resolve().parents[2]

PUBLISHED = "gh-pages"
"""The branch of the repository that holds the built site, and with it the notebooks."""

DEMOS = {"kl_directions": "distances", "mode_collapse": "gan", "dirac": "dirac", "elbo_gap": "elbo",
         "diffusion": "diffusion"}
"""Chapter to the demo that stands below its figure on the site."""


def modules(folder: Path) -> Iterator[str]:
    """The modules below a folder, by name, but for packages that only gather others."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__init__":
            yield ".".join(parts)
        elif any(isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
                 for node in ast.parse(path.read_text()).body):
            yield ".".join(parts[:-1])


def reference() -> dict[str, str]:
    """File to its text: a page for each package of `gen`, one for all modules that are in none, and their list."""
    packages = sorted(path.parent for path in (ROOT / "gen").glob("*/__init__.py"))
    names = [folder.name for folder in packages]
    pages = {f"{folder.name}.rst": _page(f"gen.{folder.name}", _about(folder), modules(folder)) for folder in packages}
    others = (name for name in modules(ROOT / "gen") if (*name.split("."), "")[1] not in names)
    pages["gen.rst"] = _page("gen", _about(ROOT / "gen"), others)
    listed = "\n".join(f"   {name}" for name in ("gen", *names))
    return pages | {"index.rst": f"{_title('Reference', '=')}\nEvery public function, from its docstring.\n\n"
                                 f".. toctree::\n   :maxdepth: 1\n\n{listed}\n"}


def _about(package: Path) -> str:
    return restructured(ast.get_docstring(ast.parse((package / "__init__.py").read_text())))


def _page(title: str, about: str, names: Iterable[str]) -> str:
    return f"{_title(title, '=')}\n{about}\n" + "".join(
        f"\n{_title(name, '-')}\n.. automodule:: {name}\n" for name in names)


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def in_colab(repository: str, notebook: str) -> str:
    """A link that opens a notebook of the site in Colab, from where the site is published; "" of no repository."""
    address = f"https://colab.research.google.com/github/{repository}/blob/{PUBLISHED}/{notebook}"
    return f' <a class="colab" href="{address}">Open in Colab</a>' if repository else ""


def chapters(repository: str = "") -> dict[str, str]:
    """File to its text: a page for each chapter of the lecture, with what its computation found the last time."""
    pages = {}
    for number, name in enumerate(lecture.LESSONS, start=1):
        module, found = lecture.read(name), json.loads((ROOT / f"docs/lecture/{name}.json").read_text())
        figure = markdown.measured(name, module.TITLE, found, lambda picture: f"../_static/{picture}.webp")
        demo = f"\n\n```{{demo}} {DEMOS[name]}\n```" if name in DEMOS else ""
        title, _, body = markdown.whole(name, module, figure + demo).partition("\n")
        place = f"Chapter {number} of {len(lecture.LESSONS)}, {lecture.LESSONS[name]}."
        pages[f"{name}.md"] = (f'{title}\n\n<p class="place">{place} <a href="{name}.ipynb" download>The chapter as a '
                               f'notebook</a>{in_colab(repository, f"course/{name}.ipynb")}</p>\n{body}')
    return pages


def _write_notebooks(app, error: Exception | None) -> None:
    """Puts each notebook beside its page; where the repository is known, they install the library from it."""
    texts = {f"notebooks/{path.name}": path.read_text() for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb"))}
    for name in lecture.LESSONS:
        texts[f"course/{name}.ipynb"] = json.dumps(notebooks.make(name, lecture.read(name)), indent=1) + "\n"
    for place, text in texts.items():
        if error is None and (path := Path(app.outdir) / place).parent.is_dir():
            path.write_text(notebooks.installed_from(text, app.config.repository))


def experiments() -> str:
    """The docstrings of all experiments, in Markdown."""
    page = ""
    for path in sorted((ROOT / "experiments").glob("*/*.py")):
        if about := ast.get_docstring(ast.parse(path.read_text())):
            page += f"\n## {path.relative_to(ROOT / 'experiments')}\n\n{about}\n"
    return page


def notebook(source: str) -> str:
    """A notebook in Markdown: its text, its code, and what the code printed and drew when it was last run.

    The cell that installs the library is left out.
    """
    page = []
    for cell in json.loads(source)["cells"]:
        text = "".join(cell["source"])
        if text == notebooks.INSTALL:
            continue
        page.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                picture = "".join(data["image/png"]).replace("\n", "")
                page.append(f"![Output of the code above](data:image/png;base64,{picture})")
            elif text := "".join(output.get("text", ())) or "".join(data.get("text/plain", ())):
                page.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(page) + "\n"


class Notebook(MystParser):
    """Reads .ipynb as a page."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document) -> None:
        path = Path(document["source"]).relative_to(ROOT)
        link = in_colab(document.settings.env.config.repository, f"notebooks/{path.name}")
        place = f'<p class="place">The notebook: <a href="{path.name}" download><code>{path}</code></a>.{link}</p>'
        super().parse(f"{notebook(inputstring)}\n{place}\n", document)


def _write_pages(app) -> None:
    """Writes the reference and the course.

    Raises:
      ConfigError: a repository that is not "owner/name".
    """
    if app.config.repository and not re.fullmatch(r"[\w-]+/[\w.-]+", app.config.repository):
        raise ConfigError(f"REPOSITORY={app.config.repository!r} is no repository on GitHub: write owner/name.")
    _write(Path(app.srcdir) / "reference", reference())
    _write(Path(app.srcdir) / "course", chapters(app.config.repository))


def _write(folder: Path, pages: dict[str, str]) -> None:
    """Writes what differs of the pages, so that the rest is not read again; removes those that are gone."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _share_navigation(made: dict[str, str], app, name: str, template: str, context: dict, doctree) -> None:
    """Pages of source, a hundred of them, share the navigation of their folder, which takes a second to make."""
    if not name.startswith("_modules/"):
        return
    tree, folder = context["toctree"], name.rpartition("/")[0]

    def once(**options) -> str:
        if folder not in made:
            made[folder] = tree(**options)
        return made[folder]

    context["toctree"] = once


MADE = {"experiments": experiments, "config": manual.markdown}
"""Page to the function that makes the rest of its text."""


def _append_made(app, name: str, source: list[str]) -> None:
    if name in MADE:
        source[0] += MADE[name]()


def setup(app):
    app.add_config_value("repository", "", "env")
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(Notebook)
    app.connect("builder-inited", _write_pages)
    app.connect("build-finished", _write_notebooks)
    app.connect("source-read", _append_made)
    app.connect("html-page-context", partial(_share_navigation, {}), priority=400)  # before the theme asks for it
    return {"parallel_read_safe": True}
