import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skasd.features import LogMelTransformer
from skasd.features._log_mel import _on_device
from tests.features import reference

PARAMETER_SETS = {
    "baseline": {},
    "osscl": {"n_fft": 2048},
    "twfr": {"norm": None, "mel_scale": "htk"},
    "byol": {
        "hop_length": 160, "n_mels": 64, "f_min": 60.0, "f_max": 7800.0, "norm": None, "mel_scale": "htk", "log": "natural"
    },
    "magnitude": {"n_fft": 2048, "win_length": 400, "hop_length": 160, "n_mels": 64, "power": 1.0, "norm": None},
    "uncentred": {"n_fft": 800, "hop_length": 200, "n_mels": 40, "center": False, "mel_scale": "htk"},
    "top_db": {"n_mels": 64, "top_db": 40.0},
}  # fmt: skip
parameter_sets = pytest.mark.parametrize("parameters", PARAMETER_SETS.values(), ids=PARAMETER_SETS)


@pytest.fixture(scope="module")
def waveform():
    """Noise whose level rises by 60 dB, with a tone in it: every part of the scale is used."""
    rng = np.random.default_rng(0)
    time = np.arange(20000) / 16000
    return 1e-3 * 10 ** (2.4 * time) * rng.standard_normal(20000) + 0.1 * np.sin(2 * np.pi * 1000 * time)


@parameter_sets
def test_float64_equals_the_plain_definition(waveform, parameters):
    result = LogMelTransformer(**parameters).fit_transform(waveform[None])
    np.testing.assert_allclose(result[0], reference.log_mel(waveform, **parameters), rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def machine():
    """Noise and harmonics that keep every band within 60 dB of the loudest, as float32 can tell them apart."""
    rng = np.random.default_rng(1)
    time = np.arange(20000) / 16000
    return 0.1 * rng.standard_normal(20000) + sum(0.02 * np.sin(2 * np.pi * 50 * n * time) for n in range(1, 9))


@parameter_sets
def test_float32_equals_float64(machine, parameters):
    single = LogMelTransformer(**parameters).fit_transform(machine[None].astype(np.float32))
    double = LogMelTransformer(**parameters).fit_transform(machine[None])
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-4)


@parameter_sets
def test_device_path_equals_cpu_path(machine, parameters):
    transformer = LogMelTransformer(**parameters)
    (on_device,) = _on_device([machine.astype(np.float32)], definition=transformer._definition(), device="cpu")
    np.testing.assert_allclose(on_device, transformer.fit_transform(machine[None])[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    (
        "parameters",
        "limits",
    ),  # in dB, of the table in the guide: float32 and float64, CPU and torch, the same near the loudest
    [
        ({}, (2.8e-4, 5.1e-4, 2.1e-4)),
        ({"norm": None, "mel_scale": "htk"}, (9.4e-4, 9.9e-4, 3.9e-4)),
        ({"n_fft": 2048, "pad_mode": "constant"}, (2.1e-4, 2.7e-4, 9.5e-5)),
    ],
    ids=["baselines", "htk", "osscl"],
)
def test_rounding_of_real_recordings_is_as_the_guide_says(parameters, limits, real_data):
    transformer, found = LogMelTransformer(**parameters), []
    for path in sorted(real_data.rglob("*.wav"))[::40]:
        clip = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
        clip /= np.abs(clip).max()
        single, double = (transformer.fit_transform(clip[None].astype(dtype))[0] for dtype in (np.float32, np.float64))
        (on_device,) = _on_device([clip], definition=transformer._definition(), device="cpu")
        is_near = double >= double.max(axis=0) - 60
        difference = np.abs(on_device - single)
        found.append([np.abs(single - double).max(), difference.max(), difference[is_near].max()])
    assert (np.max(found, axis=0) <= np.multiply(limits, 1.5)).all()
    assert np.max(found) > 1e-5


def test_device_path_equals_cpu_path_in_float64(waveform):
    transformer = LogMelTransformer()
    (on_device,) = _on_device([waveform], definition=transformer._definition(), device="cpu")
    np.testing.assert_allclose(on_device, transformer.fit_transform(waveform[None])[0], rtol=0, atol=1e-9)


def test_device_path_keeps_order_and_gaps_among_unequal_lengths(machine):
    clips = [machine, machine[:5000], None, machine[:100], machine, machine]
    results = list(_on_device(clips, definition=LogMelTransformer()._definition(), device="cpu"))
    assert results[2] is None
    for clip, result in zip(clips, results, strict=True):
        if clip is not None:
            np.testing.assert_allclose(result, LogMelTransformer().fit_transform([clip])[0], rtol=0, atol=1e-9)


@pytest.mark.gpu
@parameter_sets
def test_accelerator_equals_cpu_path(machine, parameters):
    clips = [machine.astype(np.float32), machine[:9000].astype(np.float32)]
    table = pd.DataFrame({"waveform": clips})
    on_device = LogMelTransformer(device="auto", **parameters).fit_transform(table)
    for one, other in zip(on_device.log_mel, LogMelTransformer(**parameters).fit_transform(table).log_mel, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


@parameter_sets
def test_librosa_agrees(waveform, parameters):
    librosa = pytest.importorskip("librosa")
    given = LogMelTransformer(**parameters)
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=16000, n_fft=given.n_fft, hop_length=given.hop_length, win_length=given.win_length,
        center=given.center, pad_mode="reflect", power=given.power, n_mels=given.n_mels, fmin=given.f_min,
        fmax=given.f_max, htk=given.mel_scale == "htk", norm=given.norm, dtype=np.float64,
    )  # fmt: skip
    if given.log == "natural":
        expected = np.log(np.maximum(mel, 1e-10))
    elif given.power == 1:
        expected = librosa.amplitude_to_db(mel, amin=1e-10, top_db=given.top_db)
    else:
        expected = librosa.power_to_db(mel, amin=1e-10, top_db=given.top_db)
    np.testing.assert_allclose(given.fit_transform(waveform[None])[0], expected, rtol=0, atol=1e-4)


@pytest.fixture
def double_precision():
    """torchaudio makes its filters in the default precision, and in float32 they are off by up to 2e-4 dB."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@parameter_sets
def test_torchaudio_agrees(waveform, parameters, double_precision):
    torchaudio = pytest.importorskip(
        "torchaudio", reason="torchaudio is an optional extra", exc_type=(ImportError, OSError)
    )
    given = LogMelTransformer(**parameters)
    mel = torchaudio.transforms.MelSpectrogram(
        given.sample_rate, given.n_fft, given.win_length, given.hop_length, given.f_min, given.f_max, n_mels=given.n_mels,
        power=given.power, center=given.center, norm=given.norm, mel_scale=given.mel_scale,
    )  # fmt: skip
    energy = mel(torch.from_numpy(waveform)[None])
    if given.log == "natural":
        expected = energy.clamp(min=1e-10).log()
    else:
        stype = "power" if given.power == 2 else "magnitude"
        expected = torchaudio.transforms.AmplitudeToDB(stype, given.top_db)(energy)
    np.testing.assert_allclose(given.fit_transform(waveform[None]), expected.numpy(), rtol=0, atol=1e-4)


def test_pad_modes_agree_with_torch_stft_padding(waveform):
    for pad_mode in ("reflect", "constant", "replicate", "circular"):
        padded = torch.nn.functional.pad(torch.from_numpy(waveform)[None], (512, 512), mode=pad_mode)[0].numpy()
        expected = LogMelTransformer(center=False).fit_transform(padded[None])
        np.testing.assert_allclose(
            LogMelTransformer(pad_mode=pad_mode).fit_transform(waveform[None]), expected, atol=1e-9
        )


def test_published_values_of_the_baseline_front_end():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(160000) / 16000)
    db = LogMelTransformer(pad_mode="constant", amin=np.finfo(float).eps).fit_transform(tone[None])[0]
    assert db.shape == (128, 313)
    assert db[:, 150].argmax() == 42
    np.testing.assert_allclose(db[[41, 42, 43], 150], [25.1137, 28.0316, 18.2629], atol=1e-4)
    assert db[42, 0] == pytest.approx(23.1402, abs=1e-4)


def test_published_values_of_the_twfr_front_end():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(160000) / 16000)
    db = LogMelTransformer(norm=None, mel_scale="htk").fit_transform(tone[None])[0]
    np.testing.assert_allclose(db[[43, 44, 45], 150], [23.2537, 41.4165, 40.2152], atol=1e-4)


def test_silence_lies_on_the_floor():
    np.testing.assert_allclose(LogMelTransformer().fit_transform(np.zeros((1, 4000))), -100.0, atol=1e-9)
    floor = LogMelTransformer(amin=np.finfo(float).eps).fit_transform(np.zeros((1, 4000)))
    np.testing.assert_allclose(floor, -156.535598, atol=1e-6)


def test_natural_logarithm_is_decibels_rescaled(waveform):
    natural = LogMelTransformer(log="natural").fit_transform(waveform[None])
    np.testing.assert_allclose(natural * 10 / np.log(10), LogMelTransformer().fit_transform(waveform[None]), rtol=1e-12)


@pytest.mark.parametrize("n_timepoints", [1, 2, 511, 512, 513, 1023, 1025, 5120, 5121])
def test_frames_follow_from_the_length(n_timepoints):
    shape = LogMelTransformer(n_mels=8).fit_transform([np.ones(n_timepoints)]).shape
    assert shape == (1, 8, 1 + max(n_timepoints, 513) // 512)


def test_clip_shorter_than_a_window_is_filled_with_zeros_at_its_end():
    short = np.random.default_rng(0).standard_normal(100)
    filled = np.pad(short, (0, 413))
    np.testing.assert_array_equal(
        LogMelTransformer().fit_transform([short]), LogMelTransformer().fit_transform([filled])
    )


def test_clip_does_not_depend_on_its_mates(waveform):
    clips = [waveform, 30 * waveform, waveform[:3000]]
    for parameters in ({}, {"top_db": 20.0}):
        transformer = LogMelTransformer(**parameters)
        together = transformer.fit_transform(pd.DataFrame({"waveform": clips})).log_mel
        for clip, spectrogram in zip(clips, together, strict=True):
            np.testing.assert_array_equal(transformer.fit_transform([clip])[0], spectrogram)


def test_table_gets_a_column_and_keeps_the_others(waveform):
    table = pd.DataFrame({"waveform": [waveform, waveform[:9000]], "section": ["00", "01"]}, index=[7, 3])
    before = table.copy()
    result = LogMelTransformer().fit_transform(table)
    assert list(result.columns) == ["waveform", "section", "log_mel"]
    assert list(result.index) == [7, 3]
    assert [cell.shape for cell in result.log_mel] == [(128, 40), (128, 18)]
    pd.testing.assert_frame_equal(table, before)


def test_unequal_lengths_without_a_table_are_refused_with_advice(waveform):
    with pytest.raises(ValueError, match=r"clip 0 gives \(128, 40\), clip 2 gives \(128, 18\).*clip table.*duration="):
        LogMelTransformer().fit_transform([waveform, waveform, waveform[:9000]])
    assert LogMelTransformer(duration=1.0).fit_transform([waveform, waveform[:9000]]).shape == (2, 128, 32)


def test_files_equal_arrays(tmp_path, waveform):
    pcm = (np.clip(waveform, -1, 1) * 2**14).astype(np.int16)
    soundfile.write(tmp_path / "clip.wav", pcm, 16000)
    by_path = LogMelTransformer().fit_transform([str(tmp_path / "clip.wav")])
    np.testing.assert_array_equal(by_path, LogMelTransformer().fit_transform(pcm[None]))


def test_flatten_names_its_columns(waveform):
    transformer = LogMelTransformer(n_mels=4, flatten=True).set_output(transform="pandas")
    frame = transformer.fit_transform(waveform[None])
    assert frame.shape == (1, 4 * 40)
    assert list(frame.columns[:2]) == ["mel0_frame0", "mel0_frame1"]
    assert frame.columns[-1] == "mel3_frame39"
    spectrogram = LogMelTransformer(n_mels=4).fit_transform(waveform[None])
    assert frame["mel2_frame5"].item() == spectrogram[0, 2, 5]


def test_without_flatten_there_are_no_column_names(waveform):
    assert not hasattr(LogMelTransformer(), "get_feature_names_out")
    assert not hasattr(LogMelTransformer(), "set_output")


def test_flattened_paths_feed_estimators_of_scikit_learn(tmp_path, waveform):
    soundfile.write(tmp_path / "clip.wav", waveform / 100, 16000)
    model = make_pipeline(LogMelTransformer(flatten=True), StandardScaler())
    assert model.fit_transform([str(tmp_path / "clip.wav")] * 3).shape == (3, 128 * 40)


def test_nan_names_the_clip():
    X = np.zeros((3, 100))
    X[1, 7] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN or infinity: clip 1 holds NaN"):
        LogMelTransformer().fit(X)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_mels": 0}, ValueError, "n_mels=0 is too small"),
        ({"n_fft": 1.5}, TypeError, "n_fft=1.5 is a float"),
        ({"win_length": 2000}, ValueError, "win_length=2000 is longer than n_fft=1024"),
        ({"f_max": 9000.0}, ValueError, "f_max=9000.0 is out of range"),
        ({"f_min": 5000.0, "f_max": 4000.0}, ValueError, "f_min=5000.0 is out of range"),
        ({"f_min": 8000.0}, ValueError, "leave no frequency range"),
        ({"mel_scale": "bark"}, ValueError, "mel_scale='bark' is unknown; expected one of 'slaney', 'htk'"),
        ({"norm": "area"}, ValueError, "norm='area'"),
        ({"pad_mode": "edge"}, ValueError, "pad_mode='edge'"),
        ({"log": "log10"}, ValueError, "log='log10'"),
        ({"top_db": 80.0, "log": "natural"}, ValueError, "top_db=80.0 needs log='db'"),
        ({"amin": 0.0}, ValueError, "amin=0.0"),
        ({"channel": "left"}, TypeError, "channel='left'"),
        ({"channel": -1}, ValueError, "channel=-1"),
        ({"center": "yes"}, ValueError, "center='yes'"),
        ({"n_jobs": "all"}, TypeError, "n_jobs='all'"),
        ({"verbose": -1}, ValueError, "verbose=-1"),
        ({"amin": 1e-50}, ValueError, "amin=1e-50 is below"),
        ({"duration": 0.0}, ValueError, "duration=0.0"),
        ({"short_clips": "loop"}, ValueError, "short_clips='loop'"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        clone(LogMelTransformer()).set_params(**parameters).fit(np.zeros((2, 100)))


def test_progress_shows_only_when_asked(waveform, capsys):
    LogMelTransformer().fit_transform(waveform[None])
    assert capsys.readouterr().err == ""
    LogMelTransformer(verbose=1).fit_transform(waveform[None])
    assert "spectrograms" in capsys.readouterr().err


def test_columns_of_paths_are_named_too(tmp_path, waveform):
    soundfile.write(tmp_path / "clip.wav", waveform / 100, 16000)
    paths = [str(tmp_path / "clip.wav")] * 2
    transformer = LogMelTransformer(n_mels=4, flatten=True).set_output(transform="pandas")
    assert list(transformer.fit_transform(paths).columns[-1:]) == ["mel3_frame39"]
    table = pd.DataFrame({"path": paths}, index=[5, 3])
    assert list(transformer.fit_transform(table).index) == [5, 3]


def test_features_are_refused_by_name():
    with pytest.raises(ValueError, match=r"X contains features of shape \(9, 20\); LogMelTransformer takes waveforms"):
        LogMelTransformer().fit(np.zeros((2, 9, 20)))


@pytest.mark.parametrize(("device", "error"), [("bogus", ValueError), (3, TypeError)])
def test_device_that_is_not_there_is_named(waveform, device, error):
    with pytest.raises(error, match=f"device={device!r} is"):
        LogMelTransformer(device=device).fit_transform(waveform[None])


@pytest.mark.parametrize(
    ("params", "n_empty"),
    [({"n_fft": 256}, 13), ({"sample_rate": 96000}, 7), ({"f_min": 7900.0}, 116), ({"n_mels": 64, "f_max": 500.0}, 2)],
)
def test_empty_mel_bands_are_warned_about(params, n_empty):
    noise = np.random.default_rng(0).standard_normal((2, 16000))
    with pytest.warns(UserWarning, match=rf"{n_empty} of n_mels=\d+ mel bands.*larger n_fft or fewer n_mels"):
        spectrograms = LogMelTransformer(n_jobs=1, **params).fit_transform(noise)
    assert (np.ptp(spectrograms, axis=(0, 2)) == 0).sum() == n_empty


def test_a_band_is_not_called_empty_because_a_clip_is_silent():
    for mel_scale in ("slaney", "htk"):
        LogMelTransformer(mel_scale=mel_scale, n_jobs=1).fit_transform(np.zeros((2, 16000)))
