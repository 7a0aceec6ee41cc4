import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skasd.features import LogMelTransformer, StatisticsTransformer, TWFRTransformer

EVERY = ("r1", "r0.95", "r0", "q0.25", "dynamics", "modulation", "level", "spread")
spectrograms = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-100, 50)
)


def of(spectrogram, *names):
    return StatisticsTransformer(names).fit_transform(np.asarray(spectrogram, dtype=float)[None])[0]


@given(spectrograms)
def test_ranks_and_quantiles_are_those_of_twfr_and_numpy(clip):
    np.testing.assert_allclose(of(clip, "r0.8", "r0"), TWFRTransformer((0.8, 0.0)).fit_transform(clip[None])[0])
    for share in (0.0, 0.25, 0.98, 1.0):
        np.testing.assert_allclose(of(clip, f"q{share:g}"), np.quantile(clip, share, axis=1), atol=1e-9)


@given(spectrograms, st.floats(-50, 50))
def test_a_change_of_level_shifts_levels_and_nothing_else(clip, gain):
    before, after = of(clip, *EVERY), of(clip + gain, *EVERY)
    names = StatisticsTransformer(EVERY).fit(clip[None]).get_feature_names_out()
    is_level = np.array([name[0] in "rq" or name.startswith("level") for name in names])
    np.testing.assert_allclose(after - before, np.where(is_level, gain, 0), atol=1e-6)


def test_dynamics_and_modulation_by_the_formulas():
    clip = np.random.default_rng(0).normal(-40, 6, (32, 320))  # 16 groups of two bands; 320 frames need no zeros
    rate, levels = np.fft.rfftfreq(320), clip.reshape(16, 2, 320).mean(axis=1)
    expected = [np.log(np.diff(levels, axis=1).std(axis=1) + 0.01)]
    spectrum = np.abs(np.fft.rfft(levels - levels.mean(axis=1, keepdims=True), axis=1)) ** 2 / 320
    for low, high in ((1 / 80, 1 / 16), (1 / 16, 3 / 16), (3 / 16, 1)):
        chosen = (rate >= low) & (rate < high)
        expected.append(np.log(np.sqrt(spectrum[:, chosen].mean(axis=1)) + 0.01))
    np.testing.assert_allclose(of(clip, "dynamics"), np.concatenate(expected), rtol=1e-9)

    power = 10 ** (clip / 10)
    spectrum = np.abs(np.fft.rfft(power / power.mean(axis=1, keepdims=True) - 1, axis=1)) ** 2 / 320
    expected = []
    for low, high in ((1 / 80, 1 / 32), (1 / 32, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1)):
        amplitude = np.sqrt(spectrum[:, (rate >= low) & (rate < high)].mean(axis=1))
        expected.append(np.log(amplitude.reshape(16, 2).mean(axis=1) + 0.01))
    np.testing.assert_allclose(of(clip, "modulation"), np.concatenate(expected), rtol=1e-9)


def test_level_and_spread_by_the_formulas():
    clip = np.random.default_rng(0).normal(-40, 6, (32, 100))
    power = 10 ** (clip / 10)
    np.testing.assert_allclose(of(clip, "level"), [10 * np.log10(power.sum(axis=0).mean())])
    groups = power.reshape(8, 4, 100).sum(axis=1)
    expected = 10 * np.log10(np.quantile(groups, 0.98, axis=1) / np.quantile(groups, 0.25, axis=1))
    np.testing.assert_allclose(of(clip, "spread"), expected)


def test_white_noise_has_the_same_dynamics_in_clips_of_any_length():
    noise = np.random.default_rng(0).normal(-40, 6, (128, 20000))
    long, short = of(noise, "dynamics"), of(noise[:, :313], "dynamics")
    assert np.abs(long - short).mean() < 0.1
    assert abs((long - short).mean()) < 0.05


@pytest.mark.parametrize("value", [0.0, 1e6, -1e6], ids=["zeros", "large", "small"])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 50])
def test_a_constant_clip_has_finite_statistics(value, n_frames):
    assert np.isfinite(of(np.full((4, n_frames), value), *EVERY)).all()


def test_levels_far_apart_do_not_overflow():
    clip = np.array([[1e5, -1e5, 0.0, 10.0], [-1e5, -1e5, -1e5, -1e5]])
    assert np.isfinite(of(clip, *EVERY)).all()


def test_units_other_than_decibels_give_the_same_modulation():
    class Bels:
        sample_rate, log_unit = 16000, np.log(10)

        def __call__(self, waveform):
            return LogMelTransformer(n_jobs=1).fit_transform(waveform[None])[0] / 10

    noise = np.random.default_rng(0).standard_normal((2, 16000))
    bels = StatisticsTransformer(("modulation", "level"), frontend=Bels()).fit_transform(noise)
    decibels = StatisticsTransformer(("modulation", "level"), frontend=LogMelTransformer()).fit_transform(noise)
    np.testing.assert_allclose(bels[:, :-1], decibels[:, :-1], rtol=1e-6)
    np.testing.assert_allclose(10 * bels[:, -1], decibels[:, -1], rtol=1e-6)


def test_names_tell_the_columns():
    transformer = StatisticsTransformer(EVERY).fit(np.zeros((1, 4000)))
    names = transformer.get_feature_names_out()
    assert len(names) == transformer.transform(np.zeros((1, 4000))).shape[1] == len(set(names))
    assert list(names[:2]) == ["r1_0", "r1_1"]


def test_a_clip_table_gets_a_column():
    table = pd.DataFrame({"waveform": list(np.random.default_rng(0).standard_normal((2, 4000))), "section": "00"})
    out = StatisticsTransformer(("level",), flatten=False).fit_transform(table)
    assert list(out.columns) == ["waveform", "section", "statistics"]


@pytest.mark.parametrize(
    ("statistics", "error", "message"),
    [
        ("r1", TypeError, "statistics='r1' is a str"),
        ((), ValueError, "statistics is empty"),
        (("mean",), ValueError, "statistics contains 'mean'; expected are 'r' or 'q' with a number from 0 to 1"),
        (("r1.5",), ValueError, "'r1.5'"),
        (("r1.0",), ValueError, "without needless digits"),
        (("r 0.5",), ValueError, "'r 0.5'"),
        (("qnan",), ValueError, "'qnan'"),
        (("r",), ValueError, "statistics contains 'r'"),
        ((0.5,), TypeError, "0.5, a float"),
        (("r1", "r1"), ValueError, "a statistic twice"),
    ],
)
def test_bad_names_are_refused(statistics, error, message):
    with pytest.raises(error, match=message):
        StatisticsTransformer(statistics).fit(np.zeros((1, 400)))
