"""The settings of the site: Sphinx, pages in Markdown (MyST), the theme furo. `make docs` builds it.

Nothing is fetched, neither when the site is built nor when it is read.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

project = "gen"
html_title = "gen"
language = "en"
smartquotes = False
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton",
    "extensions.docstrings", "extensions.signatures", "extensions.mathml", "extensions.pages",
    "extensions.demos",
]
exclude_patterns = ["extensions"]

html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["static", "lecture", "../gen/lecture/assets"]
html_css_files = ["site.css", "lecture.css"]
html_favicon = "static/favicon.svg"
html_copy_source = html_show_sphinx = html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
highlight_language = "none"
pygments_style, pygments_dark_style = "friendly", "github-dark"
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_mock_imports = ["nicegui", "optuna", "submitit"]
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"
add_module_names = False
python_use_unqualified_type_names = True
