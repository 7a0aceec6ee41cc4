"""P-values and the martingale beside those of the package nonconform, where it is installed."""

import numpy as np
import pytest

from skasd.decisions._calibration import Calibration
from skasd.decisions._exchangeability import _log_capital

scoring = pytest.importorskip("nonconform.scoring", reason="nonconform is optional, and needs Python 3.12")


def test_p_values_are_those_of_nonconform():
    rng = np.random.default_rng(0)
    known, new = rng.integers(1, 40, 60).astype(float), rng.integers(1, 40, 30).astype(float)  # with ties
    p_values = Calibration.of(known, np.arange(60)).p_values(new)
    np.testing.assert_allclose(p_values, scoring.calculate_p_val(new, known), rtol=1e-12)


def test_the_capital_is_that_of_nonconform():
    from nonconform.martingales import SimpleJumperMartingale

    p_values = np.random.default_rng(1).random(200) ** 2
    theirs = SimpleJumperMartingale(jump=0.01)
    capital = [theirs.update(p).martingale for p in p_values]
    bets = 1 + np.array([-1.0, 0.0, 1.0]) * (p_values[:, None] - 0.5)
    np.testing.assert_allclose(np.exp(_log_capital(bets)), capital, rtol=1e-9)
