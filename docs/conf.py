"""How the documentation is built: `make docs`."""

import sys
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Certwright"
author = "The Certwright authors"
project_copyright = f"{datetime.now(UTC):%Y}, {author}"
release = version = version_of("certwright")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docstrings",  # before napoleon: it turns our docstrings into what napoleon reads
    "sphinx.ext.napoleon",
    "public_names",
    "signatures",
    "error_tree",
    "resource_fields",
    "command_options",
    "later_pages",
    "provider_pages",
    "reasons",
    "repository_links",
]
# There is no intersphinx: it would fetch the inventories of others, and the build asks nobody.

exclude_patterns = ["_extensions"]
nitpicky = False

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
# Links to files of the repository that are no pages, such as the examples, become downloads.
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autoclass_content = "both"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Certwright {release}"
html_static_path = ["_static"]
html_css_files = ["certwright.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f", "color-brand-content": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd3a5", "color-brand-content": "#5fd3a5"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
