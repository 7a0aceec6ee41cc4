"""What the base class does with clips that are longer or shorter than the training clips."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.base import BaseDetector
from skasd.clips import ClipReader
from skasd.datasets import make_machine_clips
from skasd.detectors import EnsembleDetector, OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer
from tests.detectors.cases import SMALL

RNG = np.random.default_rng(0)
NOISE = 0.1 * RNG.standard_normal((20, 8000))


class PeakDetector(BaseDetector):
    """The largest sample of a clip, read as the base class says."""

    def __init__(self, contamination="auto", threshold="quantile"):
        self.contamination = contamination
        self.threshold = threshold

    def _fit(self, clips):
        self.n_seen_ = len(clips)

    def _anomaly_score(self, clips):
        return np.array(list(clips.map(np.max, ClipReader())))


def of(*waveforms):
    """Clip table of waveforms of any length."""
    return pd.DataFrame({"waveform": list(waveforms)})


def long_noise(n_windows):
    return 0.1 * np.random.default_rng(1).standard_normal(8000 * n_windows)


def test_a_detector_of_ones_own_hears_long_clips():
    detector = PeakDetector().fit(of(*NOISE))
    loud = long_noise(5)
    loud[-1] = 3.0
    scale = np.ptp(NOISE.max(axis=1))
    assert detector.score_samples(of(loud))[0] == pytest.approx(-3.0, abs=2 * scale)
    assert detector.score_samples(of(long_noise(5)))[0] > -long_noise(5).max()


@pytest.mark.parametrize("contamination", ["auto", 0.2])
def test_long_training_clips_score_as_new_ones_do(contamination):
    mixed = of(*NOISE, long_noise(5))
    detector = PeakDetector(contamination).fit(mixed)
    alarms = detector.predict(mixed) == -1
    assert alarms.sum() <= 5


def test_the_threshold_of_ones_own_detector_is_that_of_one_window():
    long = [0.1 * np.random.default_rng(seed).standard_normal(8000 * 50) for seed in range(9)]
    assert sum(clip.max() > NOISE.max() for clip in long) == 3  # uncorrected, the third largest is the threshold
    detector = PeakDetector().fit(of(*NOISE, *long))
    new = 0.1 * np.random.default_rng(10).standard_normal((300, 8000))
    assert np.quantile(NOISE.max(axis=1), 0.5) < -detector.offset_ < NOISE.max()
    assert 0.02 < (detector.predict(of(*new)) == -1).mean() < 0.25


def test_long_files_score_as_their_waveforms(tmp_path):
    soundfile.write(tmp_path / "long.wav", long_noise(4), 16000, subtype="FLOAT")
    detector = TWFRDetector().fit(of(*NOISE.astype(np.float32)))
    np.testing.assert_array_equal(
        detector.score_samples([tmp_path / "long.wav"]), detector.score_samples(of(long_noise(4).astype(np.float32)))
    )


def test_duration_cuts_long_clips_as_before():
    front_end = LogMelTransformer(norm=None, mel_scale="htk", duration=0.5)
    detector = TWFRDetector(frontend=front_end).fit(of(*NOISE))
    once, long = long_noise(1), np.concatenate([long_noise(1), 10 * long_noise(3)])
    np.testing.assert_array_equal(detector.score_samples(of(once)), detector.score_samples(of(long)))


def test_ensembles_leave_long_clips_to_their_detectors():
    ensemble = EnsembleDetector([("mean", TWFRDetector(r=1.0))], random_state=0).fit(of(*NOISE))
    scores = ensemble.estimators_[0].score_samples(of(long_noise(3), NOISE[0]))
    made = ensemble.score_samples(of(long_noise(3), NOISE[0]))
    known = next(iter(ensemble.scales_.values()))[0]
    np.testing.assert_allclose(made, (scores + known.mean()) / known.std())


def test_embedding_of_a_long_clip_is_the_mean_of_its_windows():
    detector = OSSCLDetector(("log_mel",), **SMALL).fit(of(*NOISE.astype(np.float32)))
    first, second = long_noise(2).astype(np.float32).reshape(2, -1)
    parts = detector.transform(of(first, second))
    whole = detector.transform(of(np.concatenate([first, second]), first))
    np.testing.assert_allclose(whole, [parts.mean(axis=0), parts[0]], rtol=1e-4, atol=1e-6)


def test_another_way_to_score_has_its_own_distribution():
    clips = make_machine_clips(("fan", "pump"), n_train=8, n_test_normal=0, n_test_anomaly=0, duration=0.5).data
    detector = OSSCLDetector(("log_mel",), score_with="auto", **SMALL).fit(clips)
    long = clips.iloc[:2].assign(waveform=[np.tile(clip, 3) for clip in clips.waveform.iloc[:2]])
    detector.set_params(score_with="embedding").score_samples(long)
    usual = detector.score_samples(clips)
    assert len(detector._held_out_scores) > 1
    assert np.abs(detector._held_out_scores[:, None] + usual).min(axis=1).max() < 1e-4 * np.ptp(usual)


def test_short_clips_are_warned_about_once_for_each_call():
    detector = TWFRDetector().fit(of(*NOISE))
    message = (
        r"1 of 2 clips are much shorter \(0.0625 s\) than the clips that TWFRDetector was trained on \(median 0.5 s\)"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        detector.predict(of(NOISE[0], NOISE[1, :1000]))
    assert len(caught) == 1
    detector.predict(of(NOISE[0], NOISE[1, :6000]))
