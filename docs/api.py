"""Pages of the API reference, made from the `__all__` of every public module.

Nothing here names a class or function: what a module exports is on its page.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import skasd

FOLDER = Path(__file__).parent / "generated" / "api"
GROUPS = {"Classes": inspect.isclass, "Functions": inspect.isroutine}


def public_modules() -> list[ModuleType]:
    """Modules of skasd, one level deep, whose names are public and that state what they export."""
    names = [module.name for module in pkgutil.iter_modules(skasd.__path__) if not module.name.startswith("_")]
    modules = [importlib.import_module(f"skasd.{name}") for name in names]
    return [module for module in modules if getattr(module, "__all__", None)]


def page(module: ModuleType) -> str:
    """ReStructuredText of the page of one module: its docstring, then one table for each group of names."""
    title = module.__name__
    lines = [f".. _api_{title.rpartition('.')[2]}:", "", "=" * len(title), title, "=" * len(title), ""]
    lines += [f".. automodule:: {title}", "   :no-members:", "", f".. currentmodule:: {title}", ""]
    for heading, names in grouped_names(module).items():
        lines += [
            heading,
            "-" * len(heading),
            "",
            ".. autosummary::",
            "   :toctree: ../objects",
            "   :nosignatures:",
            "",
        ]
        lines += [f"   {name}" for name in names] + [""]
    return "\n".join(lines)


def grouped_names(module: ModuleType) -> dict[str, list[str]]:
    """Public names of a module by heading, sorted; what is no class and no function is an object."""
    groups: dict[str, list[str]] = {heading: [] for heading in (*GROUPS, "Objects")}
    for name in sorted(module.__all__):
        value = getattr(module, name)
        groups[next((heading for heading, fits in GROUPS.items() if fits(value)), "Objects")].append(name)
    return {heading: names for heading, names in groups.items() if names}


def overview(modules: list[ModuleType]) -> str:
    """ReStructuredText of the list of modules, with the first sentence of each."""
    lines = []
    for module in modules:
        summary = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        name = module.__name__
        lines += [f":ref:`{name} <api_{name.rpartition('.')[2]}>`", f"   {summary}", ""]
    return "\n".join(lines)


def write_pages(folder: Path = FOLDER) -> None:
    """Write one page per public module; a page that says the same already is left alone, so that it is not read anew."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = public_modules()
    pages = {folder / f"{module.__name__}.rst": page(module) for module in modules}
    pages[folder / "modules.inc"] = overview(modules)
    for stale in set(folder.glob("*.rst")) - set(pages):
        stale.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
