"""What two microphones, clips of noise alone and clips of the clean machine are worth, on machines whose truth is known.

Four synthetic machines in lasting noise and beside passing events, with three seeds that no setting was chosen on. `Heard`
makes the spectrograms of a detector: of one channel, of both by the residual of skasd or by what could be used in its place,
or with supplemental clips.
"""

import numpy as np
import pandas as pd
import scipy.fft
from scipy.ndimage import uniform_filter1d
from scipy.signal import fftconvolve
from sklearn.base import BaseEstimator, OutlierMixin, clone

from skasd.benchmark import Entry, Suite
from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, NoiseReducedLogMel

SCENES = {
    "lasting noise, 6 dB": {"snr_db": 6.0},
    "lasting noise, -3 dB": {"snr_db": -3.0},
    "lasting noise, 6 dB, tested at 0 dB": {"snr_db": (6.0, 0.0)},
    "events, 6 dB": {"snr_db": 6.0, "event_db": 15.0},
    "events, 0 dB": {"snr_db": 0.0, "event_db": 15.0},
    "no noise": {"snr_db": np.inf},
}
MACHINES = {
    "kind": "synthetic",
    "machine_types": ("fan", "gearbox", "slider", "valve"),
    "n_train": 40,
    "n_test_normal": 30,
    "n_test_anomaly": 30,
    "duration": 4.0,
    "far_db": -10.0,
    "random_state": "seed",
    "seeds": (10, 11, 12),
}
CLOSE = "events, 6 dB, far microphone at -5 dB"
DATA = {name: {**MACHINES, **scene} for name, scene in SCENES.items()}
DATA[CLOSE] = {**DATA["events, 6 dB"], "far_db": -5.0}
BANDS = LogMelTransformer(norm=None, mel_scale="htk", n_jobs=1)  # the default of both detectors
FLOOR = 0.1
N_SUPPLEMENTAL = 40
SUPPLEMENTAL_SEED = 1000  # added to the seed of the clips


def in_time(near, far):
    return near - far


def wiener(near, far, n_fft=4096, half=1024):
    """Near without the far waveform through the filter that explains most of it: what an adaptive filter converges to."""
    of_near, of_far = (frames_spectrum(waveform, n_fft) for waveform in (near, far))
    cross, power = (of_near * of_far.conj()).mean(axis=0), (np.abs(of_far) ** 2).mean(axis=0)
    response = np.roll(scipy.fft.irfft(cross / (power + 1e-12)), half)[: 2 * half]
    return (near - fftconvolve(far, response)[half:][: len(near)]).astype(near.dtype)


def frames_spectrum(waveform, n_fft):
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, n_fft), n_fft)[:: n_fft // 4]
    return scipy.fft.rfft(frames * np.hanning(n_fft).astype(waveform.dtype), axis=1)


def of_levels(near, far):
    """Difference of log-mels: half of the far one, the best factor of 0.5 and 1."""
    return near - 0.5 * far


def of_mel_powers(near, far):
    smooth = [uniform_filter1d(10 ** (levels / 10), 5, axis=1, mode="nearest") for levels in (near, far)]
    return near + 10 * np.log10(np.maximum(1 - smooth[1] / smooth[0], FLOOR))


WAVEFORMS = {"near minus far in time": in_time, "Wiener filter of the far one": wiener}
LEVELS = {"log-mels, near minus half of far": of_levels, "mel powers, near minus far": of_mel_powers}
CHANNELS = {"near": 0, "mean": "mean", "residual": "residual"}
SUPPLEMENTAL = {
    "noise clips": {"n_noise": N_SUPPLEMENTAL},
    "clean clips": {"n_clean": N_SUPPLEMENTAL},
    "clean clips alone": {"n_clean": N_SUPPLEMENTAL},
    "more noisy clips": {"n_train": N_SUPPLEMENTAL},
}


class Heard(OutlierMixin, BaseEstimator):
    """A detector on spectrograms that are made in some way of two microphones or with supplemental clips.

    The supplemental clips are as if recorded with the training clips of a scene, from a seed of their own. Clean ones, and
    more noisy ones, are learnt from with the training clips, or in their place.
    """

    def __init__(self, detector, way="near", scene=None, random_state=0):
        self.detector = detector
        self.way = way
        self.scene = scene
        self.random_state = random_state

    def fit(self, X, y=None):
        self.bands_, more = BANDS, None
        if self.way in SUPPLEMENTAL:
            more = pd.concat([self._supplemental(machine) for machine in X["machine_type"].unique()])
        if self.way == "noise clips":
            self.bands_ = {
                machine: NoiseReducedLogMel(noise, BANDS, n_jobs=1) for machine, noise in more.groupby("machine_type")
            }
            more = None
        clips = self._log_mels(X)
        if more is not None:
            of_more = BANDS.fit_transform(more.drop(columns="kind", errors="ignore")).drop(columns="waveform")
            parts = [of_more[clips.columns]] if self.way == "clean clips alone" else [clips, of_more[clips.columns]]
            clips = pd.concat(parts, ignore_index=True)
        self.detector_ = clone(self.detector).fit(clips)
        return self

    def score_samples(self, X):
        return self.detector_.score_samples(self._log_mels(X))

    def _supplemental(self, machine):
        nothing = {"n_train": 0, "n_test_normal": 0, "n_test_anomaly": 0}
        snr_db = np.atleast_1d(self.scene["snr_db"])[0]
        of_training = {**self.scene, "snr_db": float(snr_db)}
        seed = self.random_state + SUPPLEMENTAL_SEED
        options = {**of_training, **nothing, **SUPPLEMENTAL[self.way], "duration": MACHINES["duration"]}
        return make_machine_clips(machine, random_state=seed, **options).data

    def _log_mels(self, X):
        if self.way == "noise clips":
            parts = [self.bands_[machine].fit_transform(of_one) for machine, of_one in X.groupby("machine_type")]
            return pd.concat(parts).loc[X.index].drop(columns="waveform")
        if self.way in WAVEFORMS:
            mixed = [WAVEFORMS[self.way](*waveform) for waveform in X["waveform"]]
            X = X.assign(waveform=pd.Series(mixed, index=X.index, dtype=object))
        if self.way in LEVELS:
            near, far = (clone(BANDS).set_params(channel=channel).fit_transform(X) for channel in (0, 1))
            mixed = list(map(LEVELS[self.way], near["log_mel"], far["log_mel"]))
            return near.assign(log_mel=pd.Series(mixed, index=X.index, dtype=object)).drop(columns="waveform")
        bands = clone(BANDS).set_params(channel=CHANNELS.get(self.way, 0))
        return bands.fit_transform(X).drop(columns="waveform")


def entries():
    """Entries by name: each way for each detector, and those with supplemental clips for each scene."""
    made = {}
    for of, detector in {"StatisticsDetector": StatisticsDetector(), "TWFRDetector": TWFRDetector()}.items():
        for way in (*CHANNELS, *WAVEFORMS, *LEVELS):
            data = tuple(DATA) if way in ("near", "residual") else tuple(SCENES)
            made[f"{of}, {way}"] = Entry(Heard(detector, way), data=data, tags={"of": of, "way": way})
        for way in SUPPLEMENTAL:
            for name, scene in SCENES.items():
                if way == "noise clips" and name == "no noise":
                    scene = {"snr_db": 6.0}  # without background there is nothing to record
                entry = Entry(Heard(detector, way, scene), data=(name,), tags={"of": of, "way": way})
                made[f"{of}, {way}, {name}"] = entry
    return made


suite = Suite("channels", DATA, entries())
