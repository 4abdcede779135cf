"""Sphinx: the pages in this folder are Markdown (MyST); a broken link between them is an error."""

from __future__ import annotations

import saddlepoint

project = "saddlepoint"
author = "The saddlepoint authors"
copyright = "2026, the saddlepoint authors"
version = release = saddlepoint.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_typehints = "none"  # the docstrings say shapes and ranges, the signatures on the page stay readable
autodoc_preserve_defaults = True
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["tables"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"saddlepoint {release}"
html_show_sphinx = False
html_copy_source = False
