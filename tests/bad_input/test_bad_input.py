"""Generated bad input of every public entry point: a clear error that names the culprit, or a result that can be used."""

import os

import numpy as np
import pandas as pd
import pytest

from tests.bad_input import values
from tests.bad_input.entries import all_entries, clips
from tests.bad_input.rule import breach

NAMES = [entry.name for entry in all_entries(None)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files that are no audio, a named pipe, a suite, and a data set of DCASE without sound."""
    folder = tmp_path_factory.mktemp("bad_input")
    (folder / "text.wav").write_text("no audio")
    (folder / "empty.wav").touch()
    (folder / "suite.toml").write_text("name = 'a'")
    os.mkfifo(folder / "pipe.wav")
    for split in ("train", "source_test", "target_test"):
        (folder / "dcase" / "fan" / split).mkdir(parents=True)
    (folder / "dcase" / "fan" / "train" / "section_00_source_train_normal_0000_strength_1.wav").touch()
    return folder


def values_of(entry, parameter, folder):
    """The bad values that a parameter is tried with."""
    if parameter == "X":
        return values.clips_like(entry.right.get("X", clips()[0]), folder)
    if parameter in ("y", "y_true", "y_pred"):
        n_clips = len(entry.right["y_true"]) if "y_true" in entry.right else len(entry.right.get("y", clips()[0]))
        return values.of_y(n_clips)
    if parameter == "n_jobs":  # processes take seconds to start
        return [
            value for value in values.PARAMETERS if value is not None and not (isinstance(value, int) and value > 1)
        ]
    return values.PARAMETERS


def breaches(name, folder, first, last):
    """Breaches of the rule, for values `first` to `last` of each parameter of an entry point in an order that is seeded."""
    entry = next(entry for entry in all_entries(folder) if entry.name == name)
    found = {}
    for parameter in sorted(entry.parameters):
        generator = np.random.default_rng([len(name), *parameter.encode()])
        tried = values_of(entry, parameter, folder)
        more = 4 if parameter in ("X", "y") else 1
        for position in generator.permutation(len(tried))[more * first : more * last]:
            problem = breach(entry, parameter, tried[position])
            if problem is not None:
                found[f"{name}({parameter}={_shown(tried[position])})"] = problem
    return found


def _shown(value):
    return " ".join(repr(value).split())[:120]


@pytest.mark.parametrize("name", NAMES)
def test_usual_input_gives_a_result(name, folder):
    if name not in ("parse_result_csv", "read_suite"):  # read what others write, and are tested there
        next(entry for entry in all_entries(folder) if entry.name == name)()


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_gives_a_clear_error_or_a_result(name, folder):
    assert not breaches(name, folder, 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_much_bad_input_gives_a_clear_error_or_a_result(name, folder):
    assert not breaches(name, folder, 1, 6)  # the first is in the test above


def test_the_rule_finds_what_it_is_for():
    def entry(**given):
        return given["function"]()

    def stands_still():
        raise KeyError("a")

    cases = [lambda: np.zeros(3), lambda: np.array([1.0, np.nan]), stands_still, lambda: int("x")]
    assert [breach(entry, "function", case) is not None for case in cases] == [True] * 4
    assert breach(entry, "function", lambda: np.arange(3.0)) is None
    assert breach(entry, "function", lambda: pd.DataFrame()) is None
