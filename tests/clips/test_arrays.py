import numpy as np
import pandas as pd
import pytest
import torch

from skasd.clips import ClipReader, as_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

PCM = [">i2", "<i2", ">i4", "<i4", "i1", "u1"]


def waveforms(X):
    return list(as_clips(X).map(np.asarray, ClipReader()))


def as_pcm(tone, dtype):
    """The tone as integer PCM that uses the full range of the type."""
    dtype = np.dtype(dtype)
    full_scale = 2.0 ** (8 * dtype.itemsize - 1)
    return (np.round(tone * full_scale) + (full_scale if dtype.kind == "u" else 0)).astype(dtype)


@pytest.mark.parametrize("dtype", PCM)
def test_integer_pcm_of_every_type_is_scaled_alike(tone, dtype):
    pcm = as_pcm(tone, dtype)
    step = 2.0 ** (1 - 8 * pcm.dtype.itemsize)
    for X in (pcm[None], [pcm], pd.DataFrame({"waveform": [pcm]})):
        (waveform,) = waveforms(X)
        assert waveform.dtype == np.float32
        np.testing.assert_allclose(waveform, tone, atol=max(step, 1e-7))


@pytest.mark.parametrize("dtype", PCM)
def test_detector_and_transformer_scale_integer_arrays(tone, dtype):
    noise = 0.1 * np.random.default_rng(0).standard_normal((4, 8000))
    levels = LogMelTransformer(n_jobs=1).fit_transform(as_pcm(noise, dtype))
    expected = LogMelTransformer(n_jobs=1).fit_transform(noise.astype(np.float32))
    assert abs(levels.mean() - expected.mean()) < 0.2  # dB
    detector = TWFRDetector(n_jobs=1).fit(as_pcm(noise, dtype))
    assert np.isfinite(detector.score_samples(as_pcm(noise, dtype))).all()


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", "<f8"])
def test_floats_keep_their_values(tone, dtype):
    (waveform,) = waveforms([tone.astype(dtype)])
    np.testing.assert_allclose(waveform, tone, atol=2e-4)
    assert waveform.dtype == (np.float64 if dtype.endswith("8") else np.float32)
    assert waveform.dtype.isnative


def test_features_of_the_other_byte_order_keep_their_precision():
    feature = np.random.default_rng(0).standard_normal((2, 5, 7)).astype(">f4")
    (first, _) = waveforms(feature)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, feature[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_integers_that_were_converted_without_scaling_give_a_warning(tone, dtype):
    loud = (tone * 2**15).astype(dtype)
    with pytest.warns(UserWarning, match=r"1 of 2 clips hold samples up to 16384 \(clip 1\).*divide 16-bit samples"):
        waveforms([loud / 2**15, loud])


def test_quiet_integers_that_were_not_scaled_give_a_warning(tone):
    with pytest.warns(UserWarning, match=r"samples up to 6 \(clip 0\)"):
        waveforms([np.round(12 * tone)])


def test_unscaled_float_file_gives_a_warning(write, tone):
    path = write("loud.wav", tone * 2**15, subtype="FLOAT")
    with pytest.warns(UserWarning, match=r"samples up to 16384 \(.*loud\.wav\)"):
        waveforms([path])


def test_floats_somewhat_over_full_scale_are_taken_as_they_are(tone):
    np.testing.assert_array_equal(waveforms([20 * tone])[0], 20 * tone)


@pytest.mark.parametrize("value", [1e29, -1e29, 1e12, np.float64(1e300)])
def test_huge_sample_names_the_clip_in_fit_transform_and_score(value):
    rng = np.random.default_rng(0)
    train = list(0.1 * rng.standard_normal((4, 4000)))
    bad = train[0].copy()
    bad[100] = value
    fitted = TWFRDetector(n_jobs=1).fit(train)
    for call in (
        lambda X: TWFRDetector(n_jobs=1).fit(X),
        fitted.score_samples,
        LogMelTransformer(n_jobs=1).fit_transform,
        lambda X: fitted.score_samples(pd.DataFrame({"waveform": X})),
    ):
        with pytest.raises(ValueError, match=r"clip 1.*: holds a value of magnitude \S+ at 100; a waveform holds"):
            call([train[1], bad])


def test_huge_feature_names_the_clip():
    features = np.zeros((3, 4, 5))
    features[1, 2, 3] = 1e64
    with pytest.raises(ValueError, match=r"clip 1: holds a value of magnitude 1e\+64 at \(2, 3\)"):
        TWFRDetector(n_jobs=1).fit(features)


def test_energies_out_of_range_name_the_clip():
    loud = np.full((1, 4000), 90, dtype=np.float32)
    with pytest.raises(ValueError, match=r"clip 0: is so loud that its energies with power=16"):
        LogMelTransformer(power=16, n_jobs=1).fit_transform(loud)


def one_clip(waveform):
    """Table with a cell that is the tensor itself; NumPy 1 asks the tensors of a list for their numbers."""
    cells = np.empty(1, dtype=object)
    cells[0] = waveform
    return pd.DataFrame({"waveform": cells})


def test_bfloat16_tensors_are_read(tone):
    for X in (torch.from_numpy(tone)[None].bfloat16(), [torch.from_numpy(tone).bfloat16()]):
        np.testing.assert_allclose(waveforms(X)[0], tone, atol=4e-3)
    table = one_clip(torch.from_numpy(tone).bfloat16())
    np.testing.assert_allclose(waveforms(table)[0], tone, atol=4e-3)


def test_tensor_with_a_gradient_is_read(tone):
    tensor = torch.from_numpy(tone).requires_grad_()
    np.testing.assert_array_equal(waveforms(one_clip(tensor))[0], tone)


@pytest.mark.parametrize(
    "X", [torch.empty(3, 100, device="meta"), [torch.empty(100, device="meta")], torch.empty(3, 40, 100, device="meta")]
)
def test_tensors_without_values_are_refused(X):
    for read in (as_clips, TWFRDetector().fit, LogMelTransformer().fit):
        with pytest.raises(ValueError, match="on the meta device, which has no values"):
            read(X)


def test_tensor_without_values_in_a_table_names_the_clip():
    with pytest.raises(ValueError, match=r"clip 0 .*meta device"):
        waveforms(one_clip(torch.empty(100, device="meta")))


def test_sparse_tensor_is_refused(tone):
    with pytest.raises(TypeError, match=r"layout torch\.sparse_coo.*dense tensor"):
        as_clips(torch.from_numpy(tone)[None].to_sparse())


def test_each_clip_of_a_list_is_scaled_by_its_own_type(tone):
    X = [tone, as_pcm(tone, "i2"), as_pcm(tone, ">i4"), torch.from_numpy(tone)]
    levels = LogMelTransformer(n_jobs=1).fit_transform(X)
    np.testing.assert_allclose(levels[1:], np.stack([levels[0]] * 3), atol=1e-3)


def test_detector_reads_lists_of_bfloat16_tensors():
    noise = 0.1 * np.random.default_rng(0).standard_normal((4, 4000)).astype(np.float32)
    X = [row.bfloat16() for row in torch.from_numpy(noise)]
    np.testing.assert_allclose(
        TWFRDetector(n_jobs=1).fit(X).score_samples(X), TWFRDetector(n_jobs=1).fit(X).score_samples(torch.stack(X))
    )
