import numpy as np
import pytest

from skasd.metrics import arithmetic_mean, harmonic_mean


@pytest.mark.parametrize("mean", [arithmetic_mean, harmonic_mean])
@pytest.mark.parametrize("values, message", [([], "at least one value"), ([0.5, np.nan], r"values\[1\] = nan")])
def test_means_refuse_missing_values(mean, values, message):
    with pytest.raises(ValueError, match=message):
        mean(values)


def test_harmonic_mean_refuses_negative_values():
    with pytest.raises(ValueError, match=r"values\[1\] = -0.1 is negative"):
        harmonic_mean([0.5, -0.1])


def test_harmonic_mean_of_the_worked_example():
    assert harmonic_mean([0.9, 0.6, 0.7]) == pytest.approx(0.713208, abs=5e-7)
