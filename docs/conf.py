"""Configuration of the documentation; build it with ``python -m sphinx -W -b html docs docs/_build/html``."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get into each other's way
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(HERE), str(HERE.parent)]

import api  # noqa: E402
import front_picture  # noqa: E402
import measured  # noqa: E402

import skasd  # noqa: E402

project = "skasd"
author = "The skasd developers"
copyright = f"{author}, BSD-3-Clause"
version = release = skasd.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "measured",
]
root_doc = "index"
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "literal"  # single backquotes in docstrings name parameters and columns
highlight_language = "python"
doctest_test_doctest_blocks = ""  # pytest runs those of docstrings and pages
rst_epilog = measured.substitutions()

# API reference
api.write_pages()
front_picture.draw(HERE / "generated" / "front_picture.png")
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more than the annotations
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template lists them
numpydoc_class_members_toctree = False

# Gallery
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"__init__\.py|/reproduce/|score_on_spark\.py",
    "within_subsection_order": "FileNameSortKey",
    "subsection_order": [
        "../examples/clips",
        "../examples/datasets",
        "../examples/features",
        "../examples/detectors",
        "../examples/metrics",
        "../examples/model_selection",
        "../examples/benchmark",
        "../examples/inspection",
        "../examples/decisions",
        "../examples/monitoring",
        "../examples/export",
        "*",
    ],
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skasd",),
    "reference_url": {"skasd": None},
    "abort_on_example_error": True,
    "image_srcset": ["2x"],
    "min_reported_time": 1,
    "show_memory": False,
    "parallel": True,  # as many processes as `sphinx-build -j` has
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "ignore_repr_types": r"matplotlib",  # what a plotting call returns
}
warnings.filterwarnings("ignore", message=".*is non-interactive.*", category=UserWarning)

# Pages
html_theme = "pydata_sphinx_theme"
html_title = f"skasd {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
toc_object_entries_show_parents = "hide"  # the title of the page has the class
html_search_scorer = str(HERE / "_static" / "search_scores.js")
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "glossary": [], "bibliography": [], "changelog": [], "stability": [], "security": []}

_OWN_THOUGH_INHERITED = {"fit_predict", "fit_transform"}


def skip_foreign_members(app, what, name, member, skip, options):
    """Leave out what a class inherits from scikit-learn or Python, but for the verbs that its users call."""
    if what != "class" or skip or name in _OWN_THOUGH_INHERITED:
        return skip
    if name.startswith("set_") and name.endswith("_request"):
        return True
    module = getattr(member, "__module__", None) or getattr(getattr(member, "fget", None), "__module__", None)
    return skip if module is None else not module.startswith("skasd")


def setup(app):
    """Sphinx calls this once."""
    app.connect("autodoc-skip-member", skip_foreign_members)
