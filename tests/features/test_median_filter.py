import numpy as np
import pandas as pd
import pytest

from skasd.features import MedianFilter


def patch(*spans):
    """64 frames of zeros with ones on the spans, as one clip of one band."""
    frames = np.zeros(64)
    for start, stop in spans:
        frames[start:stop] = 1.0
    return frames[None, None]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (patch((20, 35)), patch()),
        (patch((20, 36)), patch((20, 36))),
        (patch((0, 8)), patch()),
        (patch((0, 9)), patch((0, 9))),
        (patch((32, 64)), patch((32, 64))),
        (np.arange(64.0)[None, None], np.clip(np.arange(64.0), 8, 55)[None, None]),
    ],
    ids=["15 frames go", "16 stay", "8 at the edge go", "9 at the edge stay", "a step stays", "a ramp is clipped"],
)
def test_published_values_for_31_frames(before, after):
    np.testing.assert_array_equal(MedianFilter(size=31).fit_transform(before), after)


def test_equals_a_plain_median_over_reflected_windows():
    clip = np.random.default_rng(0).standard_normal((3, 20))
    padded = np.pad(clip, ((0, 0), (2, 2)), mode="reflect")
    expected = np.stack([np.median(padded[:, frame : frame + 5], axis=1) for frame in range(20)], axis=1)
    np.testing.assert_array_equal(MedianFilter(size=5).fit_transform(clip[None])[0], expected)


def test_frequency_axis_is_the_other_axis():
    clips = np.random.default_rng(0).standard_normal((2, 9, 12))
    turned = MedianFilter(size=3).fit_transform(clips.transpose(0, 2, 1)).transpose(0, 2, 1)
    np.testing.assert_array_equal(MedianFilter(size=3, axis="frequency").fit_transform(clips), turned)


def test_patches_are_filtered_as_clips_of_their_own():
    clip = np.random.default_rng(0).standard_normal((1, 4, 100))
    by_patch = MedianFilter(size=7, patch_length=64).fit_transform(clip)
    for start, stop in ((0, 64), (64, 100)):
        alone = MedianFilter(size=7).fit_transform(clip[:, :, start:stop])
        np.testing.assert_array_equal(by_patch[:, :, start:stop], alone)


def test_table_column_is_replaced_and_lengths_may_differ():
    table = pd.DataFrame({"log_mel": [np.eye(9), np.eye(9, 5)], "section": ["00", "01"]})
    result = MedianFilter(size=3).fit_transform(table)
    assert list(result.columns) == ["log_mel", "section"]
    assert [cell.shape for cell in result.log_mel] == [(9, 9), (9, 5)]
    assert table.log_mel[0][4, 4] == 1.0
    assert result.log_mel[0][4, 4] == 0.0


def test_table_without_the_feature_says_what_to_do():
    with pytest.raises(ValueError, match=r"no features to filter.*columns \['path'\].*LogMelTransformer before"):
        MedianFilter().fit_transform(pd.DataFrame({"path": ["a.wav"]}))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 4}, "size=4 is even"),
        ({"size": 0}, "size=0"),
        ({"axis": "mel"}, "axis='mel'"),
        ({"patch_length": 0}, "patch_length=0"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        MedianFilter(**parameters).fit(np.zeros((1, 2, 3)))
