"""Configuration of the documentation: `make docs` builds docs/*.md into build/site."""

import nmt

project = "nmt"
author = "the authors of nmt"
version = release = nmt.__version__
html_title = f"nmt {nmt.__version__}"
html_theme = "furo"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False  # quotation marks and dashes of options and code in docstrings
html_copy_source = False
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_display_short_literal_types = True
