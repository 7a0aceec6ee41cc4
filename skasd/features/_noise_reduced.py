"""NoiseReducedLogMel: log-mel spectrograms without the mean noise that recordings of noise alone show.

Axes: F mel bands, T frames.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import toeplitz
from scipy.stats import gamma

from skasd._mel import MelDefinition
from skasd._parameters import check_integer, check_n_jobs, check_number, naming
from skasd.clips import Clips, as_clips
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, into_container, stacked
from skasd.features._log_mel import LogMelTransformer
from skasd.inputs._frontend import Frontend

QUIET = 0.25  # quantile over the frames of a band: its level in the quiet quarter of a clip
QUIET_BANDS = 0.1  # quantile over the bands: those that the machine leaves to the noise
_HANN_CORRELATION = (1.0, 4 / 9, 1 / 36)  # of the powers of noise at neighbouring frequencies of a Hann window
_MARGIN = 1.001  # relative; a band whose noise is no louder than this times the lowest level holds none


class NoiseReducedLogMel(ClipTransformer):
    r"""Log-mel spectrogram from which the noise of the surroundings is taken away, as known from clips of noise alone.

    The power of the noise in each band is learnt from recordings without the machine, such as the supplemental clips of
    DCASE 2025. How loud the noise is in a clip is estimated from the quiet frames and bands of that clip, so that a louder
    day does not leave noise. Use it as the `frontend` of a detector, or as the first step of a pipeline.

    Parameters
    ----------
    noise : array, list of paths or waveforms, or clip table
        Clips of noise alone, recorded where the machine is.
    frontend : LogMelTransformer or None, default=None
        Spectrogram that the noise is taken from; it also says how clips are read. None uses ``LogMelTransformer()``. For the
        front end of another publication, see :ref:`features_log_mel`.
    over_subtraction : float, default=1.0
        Factor on the power of the noise, above 0, dimensionless [1]_.
    floor_db : float, default=-10.0
        Largest attenuation of a value, in dB, from -100 to 0 [1]_.
    n_jobs : int or None, default=-1
        Number of threads that read and transform clips; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if at least 1.

    Attributes
    ----------
    noise_power_ : ndarray of shape (n_mels,)
        Mean power of the noise in each band, in the units of the mel spectrogram; 0 in bands without noise.
    n_features_in_ : int
        Number of time points per clip, if fitted on a 2-D array.

    See Also
    --------
    LogMelTransformer : The spectrogram without noise reduction.
    skasd.clips.Residual : Takes away noise that a second, far microphone hears.

    Notes
    -----
    With :math:`Q_b` the 25 % quantile over the frames of the power in band :math:`b`, a mean over the noise clips, and
    :math:`\kappa_b` the ratio of mean and quantile that stationary noise has, the noise has the mean power
    :math:`N_b = \kappa_b Q_b`. In contrast to the mean itself, it does not grow with single loud events among the noise,
    which no mean can take away. A clip with the power :math:`P_{b,t}` and its own quantiles :math:`q_b` becomes

    .. math:: P'_{b,t} = P_{b,t} \max\left( 1 - \beta c \frac{N_b}{P_{b,t}},\; \phi \right), \qquad
              c = \operatorname{quantile}_{10\,\%} \{ q_b / Q_b \},

    with :math:`\beta` = `over_subtraction` and :math:`\phi = 10^{\text{floor} / 10}`: the spectral subtraction of [1]_ in
    mel bands, with a level of the noise that is found in the bands where the clip is closest to it. The power of Gaussian
    noise in a band is taken to have a gamma distribution, whose shape follows from the filter and a Hann window, and gives
    :math:`\kappa_b`.

    References
    ----------
    .. [1] M. Berouti, R. Schwartz, J. Makhoul, "Enhancement of speech corrupted by acoustic noise", ICASSP 1979.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.features import NoiseReducedLogMel
    >>> clips = make_machine_clips("fan", snr_db=0.0, n_noise=10, random_state=0).data
    >>> noise = clips[clips["kind"] == "supplemental_noise"]
    >>> detector = TWFRDetector(frontend=NoiseReducedLogMel(noise)).fit(clips[clips["split"] == "train"])
    >>> detector.score_samples(clips[clips["split"] == "test"]).shape
    (20,)
    """

    def __init__(
        self,
        noise: Any,
        frontend: LogMelTransformer | None = None,
        *,
        over_subtraction: float = 1.0,
        floor_db: float = -10.0,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.noise = noise
        self.frontend = frontend
        self.over_subtraction = over_subtraction
        self.floor_db = floor_db
        self.n_jobs = n_jobs
        self.verbose = verbose

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Compute the log-mel spectrograms of clips, and take the noise away.

        Parameters
        ----------
        X : array of shape (n_clips, n_timepoints), list of paths or waveforms, or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing, as in :meth:`LogMelTransformer.transform`.

        Returns
        -------
        log_mel : ndarray of shape (n_clips, n_mels, n_frames), or DataFrame
            Spectrograms. For a clip table, the table with the column `log_mel` added.

        Raises
        ------
        ValueError
            If clips cannot be read, listing all of them, or have unequal lengths where an array is needed.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        spectrograms = self._fitted_frontend.map(clips, np.asarray, n_jobs=self.n_jobs, verbose=self.verbose)
        return into_container(stacked(spectrograms, len(clips)), clips, "log_mel")

    @property
    def sample_rate(self) -> int:
        """Sample rate of the waveforms, in Hz: that of the front end."""
        return self._log_mel().sample_rate

    @property
    def channel(self) -> Any:
        """Channel that is used of multichannel clips: that of the front end."""
        return self._log_mel().channel

    def _remember(self, clips: Clips) -> None:
        self._fitted_frontend, self.noise_power_ = self._learnt()

    def _as_frontend(self) -> Frontend:
        """What a detector makes its spectrograms with; the noise is learnt anew, and this object is not changed."""
        return self._learnt()[0]

    def _learnt(self) -> tuple[Frontend, np.ndarray]:
        """Front end that takes the noise away, and the power of the noise (F,)."""
        self._check_parameters()
        transformer = self._log_mel()
        plain = transformer._as_frontend()
        definition = transformer._definition()
        with naming("noise"):
            clips = as_clips(self.noise, feature=None)
            if clips.kind != "waveform" or not len(clips):
                raise ValueError(f"noise holds {len(clips)} {clips.kind}s; waveforms or files are expected.")
            quantiles = plain.map(
                clips, partial(_quiet_power, log_unit=plain.log_unit), n_jobs=self.n_jobs, verbose=self.verbose
            )
            quiet = np.mean(list(quantiles), axis=0)
        lowest = np.exp(np.log(definition.amin) * definition.log_scale * plain.log_unit)
        if not (quiet > _MARGIN * lowest).any():
            raise ValueError(
                "noise is silent in the quiet quarter of its clips, so there is nothing to take away; give recordings of "
                "the surroundings while the machine is off."
            )
        quiet[quiet <= _MARGIN * lowest] = 0.0
        noise = quiet * _mean_over_quantile(definition, QUIET)
        floor = 10 ** (self.floor_db / 10)
        return plain.then(_Reduction(quiet, self.over_subtraction * noise, plain.log_unit, floor)), noise

    def _log_mel(self) -> LogMelTransformer:
        return LogMelTransformer() if self.frontend is None else self.frontend

    def _check_parameters(self) -> None:
        if not isinstance(self.frontend, LogMelTransformer | None):
            raise TypeError(
                f"frontend={self.frontend!r} is a {type(self.frontend).__name__}; a LogMelTransformer or None is expected."
            )
        check_number("over_subtraction", self.over_subtraction, low=0, high=1e6, above=True)
        check_number("floor_db", self.floor_db, low=-100, high=0)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)


def _quiet_power(levels: np.ndarray, log_unit: float) -> np.ndarray:
    """Power (F,) that a quarter of the frames of levels (F, T) stays below, in each band."""
    return np.exp(np.quantile(levels.astype(np.float64), QUIET, axis=1) * log_unit)


def _mean_over_quantile(definition: MelDefinition, share: float) -> np.ndarray:
    r"""Ratio (F,) of the mean and a quantile of the power of stationary Gaussian noise in each band.

    The power is a weighted sum of correlated powers. A gamma distribution of the same mean and variance has the shape
    :math:`(\sum_i w_i)^2 / \sum_{ij} w_i w_j \rho_{ij}`.
    """
    weights = definition.filterbank()
    correlation = np.zeros(weights.shape[1])
    correlation[: len(_HANN_CORRELATION)] = _HANN_CORRELATION[: len(correlation)]
    variance = np.einsum("bi,bi->b", weights @ toeplitz(correlation), weights)
    shape = np.divide(np.square(weights.sum(axis=1)), variance, out=np.ones(len(weights)), where=variance > 0)
    return shape / gamma.ppf(share, shape)


@dataclass(frozen=True)
class _Reduction:
    """Spectral subtraction from levels (F, T): a function of them, with the learnt `quiet` power and `noise` (F,)."""

    quiet: np.ndarray
    noise: np.ndarray
    log_unit: float
    floor: float

    def __call__(self, levels: np.ndarray) -> np.ndarray:
        sounding = self.quiet > 0
        ratio = _quiet_power(levels[sounding], self.log_unit) / self.quiet[sounding]
        noise = np.quantile(ratio, QUIET_BANDS) * self.noise
        share = np.minimum(noise[:, None] * np.exp(-self.log_unit * levels.astype(np.float64)), 1.0)
        return levels + (np.log(np.maximum(1.0 - share, self.floor)) / self.log_unit).astype(levels.dtype)
