"""What `frontend` takes beside a LogMelTransformer: torch modules and other callables."""

import pickle
import threading
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from scipy.signal import resample_poly
from sklearn.base import clone
from torch import nn

from skasd.augmentations import SpectrumAugmentation
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, TFgramTransformer, TWFRTransformer
from skasd.features._frontend import frontend_of, twfr_frontend
from skasd.objectives import MobileFaceNetOptions

N_FFT, N_BANDS = 128, 12
CENTERS = np.linspace(300, 4000, N_BANDS)
SMALL = MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8)


def levels(waveform):
    """Levels (n_bands, n_frames) in dB of the first bands of a waveform (n_timepoints,), without overlap."""
    frames = waveform[: len(waveform) // N_FFT * N_FFT].reshape(-1, N_FFT) * np.hanning(N_FFT)
    return 10 * np.log10(np.abs(np.fft.rfft(frames)[:, 1 : N_BANDS + 1].T) ** 2 + 1e-10)


class Levels(nn.Module):
    """The same as a module with a weight, and a layer that differs in training."""

    def __init__(self):
        super().__init__()
        self.window = nn.Parameter(torch.hann_window(N_FFT, periodic=False))
        self.norm = nn.Dropout(0.5)

    def forward(self, waveform):
        frames = waveform.unfold(1, N_FFT, N_FFT) * self.window
        power = torch.fft.rfft(frames)[..., 1 : N_BANDS + 1].abs().square()
        return self.norm(10 * torch.log10(power + 1e-10)).transpose(1, 2)


class Recorded:
    """Keeps the lengths of the waveforms that it is given, for all copies together."""

    lengths = []

    def __init__(self, **attributes):
        self.lengths.clear()
        vars(self).update(attributes)

    def __call__(self, waveform):
        self.lengths.append(len(waveform))
        return levels(waveform)


@pytest.fixture(scope="module")
def clips():
    table = make_machine_clips(("fan", "pump"), n_train=8, duration=0.25, random_state=0).data
    return table.groupby(["machine_type", "split"]).head(8).reset_index(drop=True)


def detectors(frontend):
    training = {"max_epochs": 1, "device": "cpu", "random_state": 0}
    return [
        TWFRDetector(frontend=frontend),
        AutoencoderDetector(frontend=frontend, **training),
        OSSCLDetector(frontend=frontend, network=SMALL, **training),
    ]


@pytest.mark.parametrize("frontend", [levels, Levels()], ids=["callable", "module"])
def test_spectrograms_are_those_of_the_front_end(clips, frontend):
    expected = TWFRTransformer(r=0.5).fit_transform(clips.assign(log_mel=[levels(w) for w in clips["waveform"]]))
    made = TWFRTransformer(r=0.5, frontend=frontend).fit_transform(clips)
    assert made.shape == (len(clips), N_BANDS)
    np.testing.assert_allclose(made, expected, atol=1e-3)


@pytest.mark.parametrize("frontend", [levels, Levels()], ids=["callable", "module"])
@pytest.mark.parametrize("kind", range(3), ids=["TWFR", "autoencoder", "OS-SCL"])
def test_detectors_fit_with_it_and_can_be_pickled(clips, frontend, kind):
    detector = detectors(frontend)[kind]
    fitted = clone(detector).fit(clips[clips["split"] == "train"])
    scores = fitted.score_samples(clips)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(clips), scores)
    of_default = detector.set_params(frontend=None).fit(clips[clips["split"] == "train"]).score_samples(clips)
    assert (of_default != scores).any()


def test_an_array_of_float64_gives_float64(clips):
    X = np.stack(clips["waveform"]).astype(np.float64)
    for frontend in (levels, Levels(), Levels().double()):
        assert TWFRTransformer(frontend=frontend).fit_transform(X).dtype == np.float64
    exact = TWFRTransformer(r=0.5, frontend=levels).fit_transform(X)
    window = torch.hann_window(N_FFT, periodic=False, dtype=torch.float64)
    module = Levels().double()
    module.window.data = window
    np.testing.assert_allclose(TWFRTransformer(r=0.5, frontend=module).fit_transform(X), exact, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_a_module_is_copied_and_not_trained(clips, training):
    module = Levels().train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    detector = detectors(module)[2].fit(clips)
    scores = detector.score_samples(clips)
    assert module.training == training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.window.requires_grad
    assert module.window.grad is None
    module.window.data.zero_()  # what becomes of it later does not reach a fitted detector
    np.testing.assert_array_equal(detector.score_samples(clips), scores)


def test_a_module_in_training_mode_gives_what_it_gives_in_evaluation_mode(clips):
    made = [TWFRTransformer(frontend=Levels().train(mode)).fit_transform(clips) for mode in (True, False)]
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize(
    ("frontend", "message"),
    [
        ("mel", "frontend='mel' is a str; a LogMelTransformer, a torch module or other callable"),
        (3, "frontend=3 is a int"),
        (Levels, "is the class Levels; a LogMelTransformer"),
        (LogMelTransformer, "is the class LogMelTransformer; a LogMelTransformer"),
        (TWFRTransformer(), r"frontend=TWFRTransformer\(\) is a TWFRTransformer"),
    ],
    ids=["text", "number", "class", "class of a transformer", "transformer"],
)
def test_another_kind_is_refused_by_name(clips, frontend, message):
    for estimator in (TWFRTransformer(frontend=frontend), *detectors(frontend)):
        with pytest.raises(TypeError, match=message):
            estimator.fit(clips)


def test_flat_features_are_refused(clips):
    flat = LogMelTransformer(flatten=True)
    for estimator in (TWFRTransformer(frontend=flat), *detectors(flat)):
        with pytest.raises(ValueError, match=r"frontend=LogMelTransformer\(flatten=True\) gives no spectrograms"):
            estimator.fit(clips)


def test_parameters_of_a_transformer_are_checked(clips):
    with pytest.raises(ValueError, match="n_mels=0 is too small"):
        TWFRDetector(frontend=LogMelTransformer(n_mels=0)).fit(clips)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda w: levels(w).mean(axis=1), r"\(12,\)"),
        (lambda w: levels(w)[None], r"\(1, 12, 31\)"),
        (lambda w: levels(w)[:, :0], r"\(12, 0\)"),
        (nn.Sequential(Levels(), nn.Flatten()), r"\(372,\)"),
    ],
    ids=["spectrum", "batch", "no frames", "module"],
)
def test_output_of_another_shape_is_named_with_its_clip(clips, function, shape):
    message = rf"the front end returns a spectrogram of shape {shape}; \(n_bands, n_frames\) is expected"
    for detector in detectors(function)[:2]:
        with pytest.raises(ValueError, match=rf"clip 0 .*: {message}"):
            detector.fit(clips)
    with pytest.raises(ValueError, match=rf"Noise of 4000 time points: {message}"):
        detectors(function)[2].fit(clips)


def only_of_loud(waveform, bad):
    return np.full((N_BANDS, 9), bad) if np.abs(waveform).max() > 1.5 else levels(waveform)


@pytest.mark.parametrize("detector", [TWFRDetector, StatisticsDetector, AutoencoderDetector])
def test_another_number_of_bands_is_named_with_its_clip(clips, detector):
    waveforms = [np.asarray(clip, dtype=np.float32) for clip in clips["waveform"]]
    n_timepoints = len(waveforms[0])
    waveforms[3] = waveforms[3][:-1]
    message = r"clip 3: the front end returns 3 bands for .* time points, but 4 for"
    with pytest.raises(ValueError, match=message):
        detector(frontend=lambda x: np.ones((3 if len(x) < n_timepoints else 4, 30)) * x[:30]).fit(waveforms)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", range(3), ids=["TWFR", "autoencoder", "OS-SCL"])
def test_output_that_is_not_finite_is_named_with_its_clip(clips, bad, kind):
    X = np.clip(np.stack(clips["waveform"]), -1, 1)
    X[3, 0] = 2.0
    with pytest.raises(
        ValueError, match=r"1 of \d+ clips cannot be used:\n  clip 3: the front end returns NaN or infinity"
    ):
        detectors(partial(only_of_loud, bad=bad))[kind].fit(X)


def test_a_front_end_without_a_value_for_silence_is_taken(clips):
    def bare(waveform):
        with np.errstate(divide="ignore"):
            return np.log(np.abs(np.fft.rfft(waveform[:3840].reshape(-1, N_FFT))[:, 1:9].T))

    for estimator in (TWFRTransformer(frontend=bare), *detectors(bare)):
        estimator.fit(clips)


def test_files_are_resampled_to_its_sample_rate(tmp_path, clips):
    waveform = np.clip(clips["waveform"][0], -1, 1)
    soundfile.write(tmp_path / "clip.wav", waveform, 16000, subtype="FLOAT")
    for sample_rate, n_timepoints in ((8000, 2000), (16000, 4000)):
        frontend = Recorded(sample_rate=sample_rate)
        made = TWFRTransformer(r=0.5, frontend=frontend).fit_transform([str(tmp_path / "clip.wav")])
        assert frontend.lengths[-1] == n_timepoints
        expected = TWFRTransformer(r=0.5).fit_transform(levels(resample_poly(waveform, sample_rate, 16000))[None])
        np.testing.assert_allclose(made, expected, atol=3.0)  # dB, as filters differ
    frontend = Recorded()  # 16 kHz
    TWFRTransformer(frontend=frontend).fit_transform([str(tmp_path / "clip.wav")])
    assert frontend.lengths[-1] == 4000


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
def test_a_module_may_have_a_sample_rate(tmp_path):
    soundfile.write(tmp_path / "clip.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 4000), 16000)
    module = Levels()
    module.sample_rate = 8000
    table = pd.DataFrame({"path": [str(tmp_path / "clip.wav")] * 2})
    detector = OSSCLDetector(frontend=module, network=SMALL, max_epochs=1, n_clusters=2, device="cpu").fit(table)
    assert detector._network_fit.inputs.size == (N_BANDS, 2000 // N_FFT)


@pytest.mark.parametrize(("sample_rate", "error"), [(0, ValueError), (8000.5, TypeError), ("8k", TypeError)])
def test_a_strange_sample_rate_is_refused_by_name(clips, sample_rate, error):
    with pytest.raises(error, match=r"frontend\.sample_rate="):
        TWFRDetector(frontend=Recorded(sample_rate=sample_rate)).fit(clips)


def test_its_hop_length_is_used_if_it_has_one(clips):
    for frontend, hop in ((Recorded(hop_length=100), 100), (Recorded(), 4000 // 30)):
        made = frontend_of(frontend, twfr_frontend())
        assert made.hop(4000) == hop


@pytest.mark.parametrize("is_module", [True, False])
def test_augmentation_knows_where_its_bands_lie(clips, is_module):
    frontend = Levels() if is_module else Recorded()
    frontend.frequencies = CENTERS
    seen = []

    class Watched(SpectrumAugmentation):
        def prepare(self, spectra):
            seen.append(spectra.frequency)
            return super().prepare(spectra)

    detectors(frontend)[2].set_params(augmentation=Watched(mix_ratio=0.2)).fit(clips)
    np.testing.assert_array_equal(seen, [CENTERS])


def test_augmentation_needs_to_know_where_its_bands_lie(clips):
    detector = detectors(levels)[2].set_params(augmentation=SpectrumAugmentation(mix_ratio=0.2))
    with pytest.raises(ValueError, match="does not say where they are; give it an attribute `frequencies`"):
        detector.fit(clips)


def test_frequencies_of_another_number_of_bands_are_refused(clips):
    detector = detectors(Recorded(frequencies=CENTERS[:5]))[2].set_params(
        augmentation=SpectrumAugmentation(mix_ratio=0.2)
    )
    with pytest.raises(ValueError, match=r"frontend.frequencies has shape \(5,\); the centres of 12 bands"):
        detector.fit(clips)


def test_an_image_of_the_waveform_may_be_learnt_beside_it(clips):
    detector = detectors(Levels())[2].set_params(branches=("log_mel", "tfgram"))
    images = TFgramTransformer(detector).fit(clips).transform(clips)["tfgram"]
    assert {image.shape for image in images} == {(N_BANDS, 31)}


class Shifted:
    """Adds a number to the levels."""

    def __init__(self):
        self.shift = np.zeros(1)

    def __call__(self, waveform):
        return levels(waveform) + self.shift


@pytest.mark.parametrize("kind", range(3), ids=["TWFR", "autoencoder", "OS-SCL"])
@pytest.mark.parametrize(
    ("make", "change"),
    [
        (Shifted, lambda front_end: front_end.shift.fill(7)),
        (partial(LogMelTransformer, n_fft=256, n_mels=16), lambda front_end: front_end.set_params(norm=None)),
    ],
    ids=["callable", "LogMelTransformer"],
)
def test_a_front_end_that_is_changed_after_fit_changes_nothing(clips, kind, make, change):
    front_end = make()
    detector = detectors(front_end)[kind].fit(clips)
    before = detector.score_samples(clips)
    change(front_end)
    np.testing.assert_array_equal(detector.score_samples(clips), before)


def test_a_transformer_keeps_the_front_end_of_its_fit(clips):
    shared = LogMelTransformer(n_fft=256, n_mels=16)
    transformer = TWFRTransformer(r=0.5, frontend=shared).fit(clips)
    before = transformer.transform(clips)
    shared.set_params(n_mels=24)
    np.testing.assert_array_equal(transformer.transform(clips), before)


def test_a_front_end_that_cannot_be_copied_is_used_with_a_warning(clips):
    front_end = Shifted()
    front_end.lock = threading.Lock()
    with pytest.warns(UserWarning, match="cannot be copied .* do not change it after fit"):
        TWFRDetector(frontend=front_end).fit(clips)
