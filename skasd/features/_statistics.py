"""StatisticsTransformer: loud and quiet levels of a clip over time, and how they change, by name."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skasd._parameters import check_integer, check_n_jobs, check_option
from skasd.clips import Clips
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, equal_shapes, into_container, stacked
from skasd.features._frontend import frontend_of, twfr_frontend
from skasd.features._pooled import Pooling, statistic_names


class StatisticsTransformer(ClipTransformer):
    r"""Statistics of the spectrogram over time, by name.

    Parameters
    ----------
    statistics : sequence of str, default=("r1", "r0.5", "q0.25", "dynamics")
        Names of the statistics, which are concatenated:

        - ``"r0.95"`` and the like, with a number from 0 to 1: rank-weighted mean of the levels of each band, see
          :class:`TWFRTransformer`. ``"r1"`` is the mean, ``"r0"`` the maximum;
        - ``"q0.25"`` and the like: quantile of the levels of each band. A low one is the steady floor under events;
        - ``"dynamics"``: how much the mean level of each of sixteen groups of bands changes: the standard deviation of its
          differences from frame to frame, and its amplitude at three rates (0.4 to 2, 6 and 16 Hz at the usual 31 frames
          per second); natural logarithms;
        - ``"modulation"``: amplitudes of the power of each band relative to its mean, at five rates (0.4 to 1, 2, 4, 8 and
          16 Hz), averaged over sixteen groups of bands; natural logarithms;
        - ``"level"``: level of the whole clip, that of the mean power over time of all bands;
        - ``"spread"``: difference of the 98 % and the 25 % quantile of the level of eight groups of bands.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses that of :class:`TWFRTransformer`: 128 HTK bands without norm, window 1024 and hop 512 samples.
    feature : str, default="auto"
        Column of a clip table that holds the features. ``"auto"`` is the one that the last transformer wrote, or else the
        only feature column.
    flatten : bool, default=True
        Whether a clip table is transformed to an array (True) or gets a new column `statistics` (False).
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute statistics; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands of a feature, or of time points of a 2-D array.

    See Also
    --------
    skasd.detectors.StatisticsDetector : Compares clips by these statistics.
    skasd.scoring.ScaledKNNScorer : A back end for them.

    Notes
    -----
    With :math:`X_b(f)` the discrete Fourier transform of the :math:`T` levels :math:`S_b` of a group of bands minus their
    mean, the amplitude of ``"dynamics"`` between two rates is the square root of the mean of :math:`|X_b(f)|^2 / T` over
    the frequencies :math:`f` between them, and its logarithm :math:`\ln(\cdot + 0.01)`. ``"modulation"`` is the same for
    powers :math:`p_b / \bar{p}_b - 1`. The rates are 1/80, 1/16, 3/16 and 1/80, 1/32, 1/16, 1/8, 1/4 cycles per frame up
    to the highest one, so that they also apply to features of an unknown hop. The rank-weighted means are those of [1]_.

    References
    ----------
    .. [1] J. Guan, Y. Liu, Q. Zhu, T. Zheng, J. Han, W. Wang, "Time-weighted frequency domain audio representation with
           GMM estimator for anomalous sound detection", ICASSP 2023. arXiv:2305.03328.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.features import StatisticsTransformer
    >>> feature = np.array([[[1.0, 4.0, 2.0, 3.0]]])
    >>> StatisticsTransformer(("r0", "r1", "q0.5")).fit_transform(feature)
    array([[4. , 2.5, 2.5]])
    """

    def __init__(
        self,
        statistics: Sequence[str] = ("r1", "r0.5", "q0.25", "dynamics"),
        *,
        frontend: Any = None,
        feature: str = "auto",
        flatten: bool = True,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.statistics = statistics
        self.frontend = frontend
        self.feature = feature
        self.flatten = flatten
        self.n_jobs = n_jobs
        self.verbose = verbose

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Compute the statistics of each clip.

        Parameters
        ----------
        X : array of shape (n_clips, n_mels, n_frames) or (n_clips, n_timepoints), list of paths, or clip table
            Features or waveforms.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning. With
            "skip", their feature cell in a clip table is None, and the new column ``error`` has the reason; their values in
            an array are NaN. See :ref:`clips_skip`.

        Returns
        -------
        statistics : ndarray of shape (n_clips, n_values), or DataFrame
            The statistics one after another. A clip table with ``flatten=False`` is returned with a new column
            `statistics`.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        pooling = partial(_row, pooling=self._pooling())
        rows = self._frontend.map(clips, pooling, n_jobs=self.n_jobs, verbose=self.verbose)
        values = equal_shapes(stacked(rows, len(clips)))
        return values if self.flatten else into_container(values, clips, "statistics")

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns; available if `flatten` is True.

        Parameters
        ----------
        input_features : Ignored
            Not used, present by convention.

        Returns
        -------
        names : ndarray of shape (n_values,), dtype object
            Names of the form ``{statistic}_{position}``, counted from 0 within each statistic: the band for ``"r"`` and
            ``"q"``.
        """
        check_is_fitted(self)
        pooling = self._pooling()
        names = [f"{name}_{place}" for name in pooling.names for place in range(pooling.size(name, self._n_bands))]
        return np.array(names, dtype=object)

    def _pooling(self) -> Pooling:
        return Pooling(statistic_names(self.statistics), self._frontend.log_unit)

    def _remember(self, clips: Clips) -> None:
        first = clips.items[0]
        frontend = self._frontend = frontend_of(self.frontend, twfr_frontend())
        is_feature = clips.kind == "feature"
        self._n_bands = np.shape(first)[0] if is_feature else frontend.size(frontend.reader.sample_rate)[0]

    def _check_parameters(self) -> None:
        statistic_names(self.statistics)
        check_option("flatten", self.flatten, (True, False))
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        frontend_of(self.frontend, twfr_frontend())


def _row(spectrogram: np.ndarray, *, pooling: Pooling) -> np.ndarray:
    return np.concatenate(list(pooling(spectrogram).values()))
