"""Sphinx: ``make docs`` renders these pages, and the docstrings, into ``docs/_build``."""

import re
from functools import cache
from importlib.metadata import version as installed_version

from docutils import nodes
from latex2mathml.converter import convert

project = "hopcast"
author = "The hopcast developers"
copyright = "The hopcast developers, MIT licence"  # Sphinx's name
release = installed_version("hopcast")
version = release.split(".dev")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.githubpages",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath"]
suppress_warnings = ["ref.python"]  # attributes of two nouns share a name of the glossary of axes
myst_heading_anchors = 4

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
default_role = "code"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "hopcast"
html_static_path: list[str] = []
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "

BETWEEN_BACKTICKS = re.compile(r"(``.+?``|`.+?`)")


def escape_bars(app, what, name, obj, options, lines):
    """Magnitudes such as |V| are no substitutions."""
    in_math = False
    for number, line in enumerate(lines):
        if line.strip():
            in_math = line.lstrip().startswith(".. math::") or (in_math and line.startswith(" "))
        if "|" in line and not in_math:
            parts = BETWEEN_BACKTICKS.split(line)
            lines[number] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def skip_routing(app, what, name, obj, skip, options):
    """Methods that scikit-learn adds for routing of metadata."""
    return True if name.endswith("_request") or name == "get_metadata_routing" else skip


@cache
def to_mathml(latex, display):
    """Return MathML, which browsers set by themselves: no script, and nothing from a network."""
    return convert(latex.strip(), display=display)


def visit_inline_math(self, node):
    """Set an equation in a line."""
    self.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block_math(self, node):
    """Set an equation by itself."""
    self.body.append(
        f'<div class="math" style="overflow-x: auto; margin: 1em 0">{to_mathml(node.astext(), "block")}</div>'
    )
    raise nodes.SkipNode


def setup(app):
    """Connect the hooks."""
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_block_math, None))
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-skip-member", skip_routing)
