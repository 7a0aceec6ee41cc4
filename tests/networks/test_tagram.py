import numpy as np
import pytest
import torch

from skasd.networks import TAgramNet


@pytest.mark.parametrize(
    "frame, weight, tolerance", [([-10.0, -110.0], 3.98e-31, 0.01e-31), ([20.0, 0.0], 1 - 9.4e-14, 0.1e-14)]
)
def test_published_weights_of_a_frame(frame, weight, tolerance):
    assert (max(frame), np.mean(frame)) in [(-10, -60), (20, 10)]
    log_mel = torch.tensor(frame, dtype=torch.float64)[None, :, None]
    assert TAgramNet()(log_mel)[0, 0, 0].item() / frame[0] == pytest.approx(weight, abs=tolerance)


def test_frame_of_zero_decibels_is_halved():
    log_mel = torch.tensor([3.0, -9.0], dtype=torch.float64)[None, :, None]  # maximum 3 and mean -3
    np.testing.assert_allclose(TAgramNet()(log_mel)[0, :, 0], [1.5, -4.5], rtol=1e-12)


def test_equals_the_formula():
    log_mel = 2 * np.random.default_rng(0).standard_normal((3, 5, 7))
    expected = np.empty_like(log_mel)
    for clip, frame in np.ndindex(3, 7):
        values = log_mel[clip, :, frame]
        expected[clip, :, frame] = values / (1 + np.exp(-values.max() - values.mean()))
    np.testing.assert_allclose(TAgramNet()(torch.tensor(log_mel)), expected, rtol=1e-12)


def test_there_is_nothing_to_train():
    assert not list(TAgramNet().parameters())


def test_silence_is_finite():
    assert TAgramNet()(torch.full((1, 4, 3), -100.0)).isfinite().all()
