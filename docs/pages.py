"""What the generator of the site is told beside the pages: formulas as MathML, pages made of code and of notebooks.

Nothing is fetched, neither when the site is built nor when it is read. The tour's figures of the lecture are taken from
the folder that `scripts/lecture.py` wrote by

    python docs/pages.py runs/lecture
"""

import ast
import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from griffe import Extension
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from PIL import Image

COLOURS, WIDTH = 64, 1_680
"""Of the lecture's figures, the width at most."""

ROOT = Path(__file__).resolve().parents[1]
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
OPERATOR = re.compile(r"(<mi>(?:log|exp)</mi>)(?!<mo[^>]*>&#x00028;)")
JOINT = re.compile(r"^( +)(\w+(?:, \w+)+)(: .*(?:\n\1 +.*)*)", re.MULTILINE)
CODE = re.compile(r"(`[^`]*`)")

PACKAGES = {
    "Losses and bounds": "objectives", "Families": "families", "Probability": "probability",
    "Distributions": "distributions", "Networks": "networks",
    "Data": "data", "Evaluation": "evaluation", "Training": "training", "Figures": "figures", "Config": "config",
    "Tables": "tables", "Launchers": "launchers",
}
"""Title to the subpackage of `gen` whose modules are on the page; all other modules are on one page."""


def on_config(config):
    """Adds the reference to the navigation."""
    pages = [{title: f"reference/{name}.md"} for title, name in (PACKAGES | {"Other modules": "gen"}).items()]
    config.nav.append({"Reference": pages})
    return config


def on_files(files: Files, config) -> Files:
    """Adds the pages that are made from the code."""
    made = {f"reference/{name}.md": reference(title, ROOT / "gen" / name) for title, name in PACKAGES.items()}
    made["reference/gen.md"] = "# Other modules\n\n" + "\n".join(
        f"::: {module}\n" for module in modules(ROOT / "gen") if module.split(".")[1] not in PACKAGES.values())
    made["experiments.md"] = experiments()
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made[f"notebooks/{path.stem}.md"] = notebook(path)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(content: str, page, config, files) -> str:
    """Formulas as MathML, which browsers draw by themselves."""
    def mathml(found: re.Match) -> str:
        formula = html.unescape(found[2]).strip()
        made = convert(formula, display="block" if found[1] == "div" else "inline")
        if "\\" in made:
            raise PluginError(f"{page.file.src_path}: a command of {formula!r} is unknown")
        return OPERATOR.sub(r'\1<mspace width="0.17em"/>', made)

    return FORMULA.sub(mathml, content)


class Plain(Extension):
    """Docstrings as Markdown: `a, b: what they are` is an entry for each name, and `<` begins no tag."""

    def on_object(self, *, obj, loader, **kwargs) -> None:
        if obj.docstring:
            text = JOINT.sub(lambda entry: "\n".join(entry[1] + name + entry[3] for name in entry[2].split(", ")),
                             obj.docstring.value)
            obj.docstring.value = "".join(
                part if part.startswith("`") else re.sub(r"<(?=\w)", "&lt;", part) for part in CODE.split(text))


def modules(folder: Path) -> Iterator[str]:
    """The modules below a folder, by name, but for packages that only gather others."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__init__":
            yield ".".join(parts)
        elif any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.parse(path.read_text()).body):
            yield ".".join(parts[:-1])


def reference(title: str, folder: Path) -> str:
    """The page of a subpackage."""
    about = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    return f"# {title}\n\n{about}\n\n" + "\n".join(f"::: {module}\n" for module in modules(folder))


def experiments() -> str:
    """The docstrings of all experiments."""
    page = "# Experiments\n\nOne file for each paper and data set; what it says of itself.\n"
    for path in sorted((ROOT / "experiments").glob("*/*.py")):
        if about := ast.get_docstring(ast.parse(path.read_text())):
            page += f"\n## {path.relative_to(ROOT / 'experiments')}\n\n{about}\n"
    return page


def notebook(path: Path) -> str:
    """A notebook as a page: its text, its code, and what the code printed and drew when it was last run."""
    page = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        page.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                picture = "".join(data["image/png"]).replace("\n", "")
                page.append(f"![Output of the code above](data:image/png;base64,{picture})")
            elif text := "".join(output.get("text", ())) or "".join(data.get("text/plain", ())):
                page.append(f"```text\n{text.rstrip()}\n```")
    page.append(f"The notebook: `docs/notebooks/{path.name}`.")
    return "\n\n".join(page) + "\n"


def take_figures(folder: Path) -> None:
    """Copies the pictures of the lessons, in few colours."""
    for path in sorted(folder.glob("*.png")):
        image = Image.open(path).convert("RGB")
        image.thumbnail((WIDTH, WIDTH))
        image.quantize(COLOURS).save(ROOT / "docs" / "lecture" / path.name, optimize=True)


if __name__ == "__main__":
    take_figures(Path(sys.argv[1]))
