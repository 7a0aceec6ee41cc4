import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skasd.features import LogMelTransformer, TWFRTransformer

R = (0.0, 0.25, 0.5, 0.9, 0.98, 1.0)
spectrograms = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-100, 50)
)


def pooled(frames, r):
    return TWFRTransformer(r=r).fit_transform(np.asarray(frames, dtype=float)[None, None])[0]


def test_published_values():
    np.testing.assert_allclose(pooled([1, 4, 2], R), [4, 3.476190, 3, 2.439114, 2.353557, 2.333333], atol=1e-6)
    np.testing.assert_allclose(
        pooled([-50, -60, -40, -70], (0, 0.5, 0.9, 1)), [-40, -47.333333, -53.687118, -55], atol=1e-6
    )


@given(spectrograms, st.permutations(range(12)))
def test_order_of_frames_does_not_matter(clip, order):
    shuffled = clip[:, [frame for frame in order if frame < clip.shape[1]]]
    transformer = TWFRTransformer(r=R).fit(clip[None])
    np.testing.assert_array_equal(transformer.transform(clip[None]), transformer.transform(shuffled[None]))


@given(spectrograms, st.floats(-50, 50))
def test_a_level_change_shifts_the_statistic(clip, level):
    transformer = TWFRTransformer(r=R).fit(clip[None])
    np.testing.assert_allclose(
        transformer.transform(clip[None] + level), transformer.transform(clip[None]) + level, atol=1e-9
    )


@given(spectrograms)
def test_statistic_falls_with_r_from_maximum_to_mean(clip):
    by_r = TWFRTransformer(r=R).fit_transform(clip[None]).reshape(len(R), -1)
    assert (np.diff(by_r, axis=0) <= 1e-9).all()
    np.testing.assert_array_equal(by_r[0], clip.max(axis=1))
    np.testing.assert_allclose(by_r[-1], clip.mean(axis=1), atol=1e-9)


def test_waveforms_pass_through_the_published_front_end():
    waveforms = np.random.default_rng(0).standard_normal((2, 20000))
    spectra = LogMelTransformer(norm=None, mel_scale="htk").fit_transform(waveforms)
    expected = TWFRTransformer(r=0.5).fit_transform(spectra)
    np.testing.assert_allclose(TWFRTransformer(r=0.5).fit_transform(waveforms), expected, rtol=1e-12)


def test_another_front_end_changes_the_bands():
    assert TWFRTransformer(r=(1.0, 0.5), frontend=LogMelTransformer(n_mels=40)).fit_transform(
        np.ones((2, 4000))
    ).shape == (2, 80)


def test_columns_are_named_by_r_and_band():
    frame = TWFRTransformer(r=(1.0, 0.5)).set_output(transform="pandas").fit_transform(np.ones((2, 3, 4)))
    assert list(frame.columns) == [
        "twfr1_mel0",
        "twfr1_mel1",
        "twfr1_mel2",
        "twfr0.5_mel0",
        "twfr0.5_mel1",
        "twfr0.5_mel2",
    ]


def test_table_gives_an_array_or_a_column():
    table = pd.DataFrame({"log_mel": [np.ones((3, 4)), np.zeros((3, 7))], "section": ["00", "01"]})
    array = TWFRTransformer(r=1.0).fit_transform(table)
    np.testing.assert_allclose(array, [[1, 1, 1], [0, 0, 0]])
    result = TWFRTransformer(r=1.0, flatten=False).fit_transform(table)
    assert list(result.columns) == ["log_mel", "section", "twfr"]
    np.testing.assert_array_equal(np.stack(result.twfr.tolist()), array)
    assert not hasattr(TWFRTransformer(flatten=False), "set_output")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"r": 1.5}, ValueError, r"r=1.5 is out of range; a number in \[0, 1\]"),
        ({"r": (0.5, -0.1)}, ValueError, "r=-0.1"),
        ({"r": ()}, ValueError, "r is empty"),
        ({"r": "auto"}, TypeError, "r='auto' is a str"),
        ({"frontend": "mel"}, TypeError, "frontend='mel' is a str"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        TWFRTransformer(**parameters).fit(np.ones((1, 2, 3)))
