import doctest
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "user_guide" / "model_selection.rst"


def test_examples_of_the_guide_give_what_they_print():
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(GUIDE), module_relative=False, optionflags=options, encoding="utf-8")
    assert result.attempted >= 9
    assert result.failed == 0
