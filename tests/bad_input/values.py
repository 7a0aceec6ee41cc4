"""Bad values: of parameters, and of clips and labels."""

import decimal
import os

import numpy as np
import pandas as pd
import scipy.sparse
import torch

PARAMETERS = [
    None,
    True,
    False,
    "a",
    "",
    "nan",
    b"x",
    [],
    (),
    {},
    set(),
    [[]],
    ["a", 1],
    ("a", "a"),
    {"a": 1},
    [None],
    [float("nan")],
    float("nan"),
    float("inf"),
    -float("inf"),
    -1,
    0,
    1,
    0.5,
    -0.5,
    3,
    1e308,
    -1e308,
    1e-320,
    2**63,
    -(2**70),
    1 + 2j,
    object(),
    int,
    np.array([1.0, np.nan]),
    np.float32("nan"),
    np.array(3),
    np.str_("a"),
    np.datetime64("2020-01-01"),
    pd.NA,
    decimal.Decimal("NaN"),
    len,
    range(3),
    slice(2),
    torch.tensor(1.0, device="meta"),
    torch.zeros(2, dtype=torch.bfloat16),
]


def clips_like(X, folder):
    """Bad clips in place of X, which is a clip table or an array, and is made bad here in many ways."""
    general = [
        None,
        3,
        "a",
        b"a",
        [],
        {},
        set(),
        object,
        [None],
        [[]],
        [1, 2],
        ["a", 1],
        [np.zeros(3), "a"],
        np.zeros(3),
        np.zeros((0, 10)),
        np.zeros((3, 0)),
        np.zeros((2, 2, 2, 2)),
        np.full((4, 50), np.nan),
        np.full((4, 50), np.inf),
        np.zeros((4, 50)),
        np.ones((4, 50)),
        np.full((4, 50), 1e300),
        1e64 * np.random.default_rng(0).normal(size=(6, 50)),
        np.array([["a", "b"]] * 3),
        np.full((3, 50), None),
        np.zeros((3, 50), dtype=complex),
        np.zeros((3, 50), dtype="M8[s]"),
        np.zeros((3, 50), dtype=bool),
        scipy.sparse.csr_matrix(np.eye(4)),
        torch.zeros((4, 50), device="meta"),
        torch.zeros((4, 50), dtype=torch.bfloat16),
        pd.Series([1.0, 2.0]),
        pd.DataFrame(),
        pd.DataFrame({"a": ["b", "c"]}),
        (x for x in [np.zeros(50)]),
        range(4),
        len,
        [str(folder / "missing.wav")],
        [str(folder)],
        [str(folder / "text.wav")] * 3,
        [str(folder / "empty.wav")] * 3,
        [np.zeros((3, 2, 2))] * 3,
        np.ma.masked_all((4, 50)),
        np.zeros((4, 50), dtype=np.int8),
        np.random.default_rng(0).integers(-9, 9, (6, 50)),
    ]
    if hasattr(os, "mkfifo"):
        general.append([str(folder / "pipe.wav")] * 3)
    if not isinstance(X, pd.DataFrame):
        return general
    return general + _tables(X, folder)


def _column(cells):
    """Array of the cells as they are, which pandas would ask for their numbers."""
    column = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        column[index] = cell
    return column


def _tables(X, folder):
    wave = [cell.astype(np.float64) for cell in X["waveform"]]
    cells = [
        None,
        np.nan,
        "a",
        3,
        np.zeros(0),
        np.zeros((2, 0)),
        np.zeros((2, 2, 2)),
        np.full(50, np.nan),
        np.array(["a"] * 50),
        {"a": 1},
        np.zeros(2000),
        torch.zeros(50, device="meta"),
    ]
    one_bad = [X.assign(waveform=_column([cell, *wave[1:]])) for cell in cells]
    files = [folder / name for name in ("missing.wav", "text.wav", "empty.wav", ".")]
    paths = [X.drop(columns="waveform").assign(path=[str(file)] * len(X)) for file in files]
    columns = ("machine_type", "section", "domain", "attributes")
    values = (None, np.nan, 3, b"a", [1], {"a": 1}, object())
    metadata = [X.assign(**{name: [value] + list(X[name])[1:]}) for name in columns for value in values]
    alike = [
        X.assign(waveform=[wave[0]] * len(X)),
        X.assign(waveform=[0 * wave[0]] * len(X)),
        X.assign(waveform=[wave[0] * 1e64] * len(X)),
    ]
    return [
        *one_bad,
        *paths,
        *metadata,
        *alike,
        X.iloc[:0],
        X.iloc[:1],
        X.drop(columns="waveform"),
        pd.concat([X, X["section"]], axis=1),
    ]


def of_y(n_clips):
    """Bad labels of `n_clips` clips."""
    n = n_clips
    return [
        3,
        "a",
        [],
        {},
        [1],
        [1] * (n + 1),
        [-1] * n,
        [0] * n,
        [2] * n,
        [0.5] * n,
        [np.nan] * n,
        [None] * n,
        ["a"] * n,
        np.ones((n, 2)),
        np.ones(n, dtype=complex),
        [object()] * n,
        [[1]] * n,
        {1, -1},
        np.ones((1, n)),
        [True] * n,
        np.ones(n, dtype="M8[s]"),
        pd.Series(["1"] * n),
        len,
        [np.inf] * n,
        [1, "a"] + [1] * (n - 2),
    ]
