"""Sizes of files, functions, classes and constructors of the package, and the exceptions with their reasons."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "skasd"
FILES = sorted(ROOT.rglob("*.py"))
MOST_LINES_OF_FUNCTION, MOST_LINES_OF_FILE, MOST_METHODS, MOST_ARGUMENTS = 50, 300, 10, 25

# name of a function, class or file, and why it is larger
EXCEPTIONS = {
    "_patches.PatchStore": "a container with a file behind it: what fills it and what reads it belong together",
}


def tree(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def code_lines(node, text):
    """Lines of code, without docstrings, comments and blank lines."""
    docstrings = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant) and isinstance(inner.value.value, str):
            docstrings |= set(range(inner.lineno, inner.end_lineno + 1))
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", len(text))
    lines = [(number, text[number - 1].strip()) for number in range(first, last + 1) if number not in docstrings]
    return sum(bool(line) and not line.startswith("#") for _, line in lines)


def only_assigns(function):
    """Whether it is a constructor that only keeps its arguments, which is as long as there are arguments."""
    return function.name == "__init__" and all(isinstance(step, ast.Assign) for step in function.body)


def functions(file):
    text = file.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef) and not only_assigns(node):
            yield f"{file.stem}.{node.name}", code_lines(node, text)


def classes(file):
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef):
            methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            public = [method for method in methods if not method.name.startswith("_")]
            constructor = next((method for method in methods if method.name == "__init__"), None)
            arguments = constructor.args if constructor else None
            n_arguments = len(arguments.args) + len(arguments.kwonlyargs) - 1 if arguments else 0
            yield f"{file.stem}.{node.name}", len(methods), len(public), n_arguments


def too_large(sizes, most):
    return {name: size for name, size in sizes if size > most and name not in EXCEPTIONS}


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_functions_classes_constructors_and_files_are_small(file):
    text = file.read_text(encoding="utf-8").splitlines()
    assert not too_large(functions(file), MOST_LINES_OF_FUNCTION)
    assert not too_large([(file.stem, code_lines(tree(file), text))], MOST_LINES_OF_FILE)
    assert not too_large([(name, n_methods) for name, n_methods, *_ in classes(file)], MOST_METHODS)
    assert not too_large([(name, n_arguments) for name, *_, n_arguments in classes(file)], MOST_ARGUMENTS)


def test_every_exception_is_still_needed():
    sizes = {}
    for file in FILES:
        text = file.read_text(encoding="utf-8").splitlines()
        sizes |= {name: size > MOST_LINES_OF_FUNCTION for name, size in functions(file)}
        sizes[file.stem] = code_lines(tree(file), text) > MOST_LINES_OF_FILE
        sizes |= {name: n > MOST_METHODS or a > MOST_ARGUMENTS for name, n, _, a in classes(file)}
    assert {name for name in EXCEPTIONS if not sizes.get(name)} == set()
