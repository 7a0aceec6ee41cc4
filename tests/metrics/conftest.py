from importlib.resources import files

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def tiny(fixtures):
    """Tiny score tables in the orientation of the package: y_true +1 / -1, score_samples high = normal."""
    table = pd.read_csv(fixtures / "tiny_scores.csv", dtype={"section": str})
    return table.assign(y_true=1 - 2 * table["label"], score_samples=-table["score"])


@pytest.fixture(scope="session")
def tiny_expected(fixtures):
    return pd.read_csv(fixtures / "tiny_expected.csv", dtype={"section": str, "exact": str})


@pytest.fixture(scope="session")
def published():
    """Published numbers, as they are and as they are printed."""
    with (files("skasd.benchmark") / "published_results.csv").open() as file:
        rows = pd.read_csv(file, dtype=str)
    return rows.assign(printed=rows["value"], value=rows["value"].astype(float))


def make_scored_clips(machine_types=("fan", "pump"), sections=("00", "02"), n=6, seed=0):
    """Clip table, truth and scores: n clips of each domain and class in every section."""
    cells = [(m, s, d, y) for m in machine_types for s in sections for d in ("source", "target") for y in (1, -1)]
    rows = [cell for cell in cells for _ in range(n)]
    table = pd.DataFrame(rows, columns=["machine_type", "section", "domain", "y"])
    y_true = table.pop("y").to_numpy()
    return table, y_true, np.random.default_rng(seed).normal(0.8 * y_true)


@pytest.fixture
def scored_clips():
    return make_scored_clips()
