"""TWFRTransformer: one spectrum per clip, pooled over time with weights that depend on the rank of each frame.

Axes: F mel bands, T frames, R decay values.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skasd._parameters import check_integer, check_n_jobs, check_option
from skasd._rank_pooling import decay_values, twfr
from skasd.clips import Clips
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, equal_shapes, into_container, stacked
from skasd.features._frontend import frontend_of, twfr_frontend


class TWFRTransformer(ClipTransformer):
    r"""Time-weighted frequency representation (TWFR) of [1]_: global weighted ranking pooling over time.

    In each band the frames are sorted from loud to quiet and averaged with weights that decay with the rank: r = 1 is the
    mean over time, which suits machines with a steady sound; r = 0 is the maximum; values in between emphasise the loudest
    frames, which suits machines that operate intermittently.

    Parameters
    ----------
    r : float or sequence of float, default=(1.0, 0.9, 0.5)
        Decay of the weights, in [0, 1], dimensionless. The spectra of several values are concatenated.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses the front end of [1]_: 128 HTK bands without norm, window 1024 and hop 512 samples.
    feature : str, default="auto"
        Column of a clip table that holds the features. ``"auto"`` is the one that the last transformer wrote, or else the
        only feature column.
    flatten : bool, default=True
        Whether a clip table is transformed to an array (True) or gets a new column `twfr` (False).
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectra; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands of a feature, or of time points of a 2-D array.

    See Also
    --------
    skasd.detectors.TWFRDetector : Scores clips by a Gaussian mixture on these spectra.

    Notes
    -----
    With :math:`S_b(0) \ge S_b(1) \ge \dots` the sorted levels of the frames of band :math:`b`, [1]_ pools them to

    .. math:: v_b(r) = \frac{\sum_n r^n S_b(n)}{\sum_n r^n}, \qquad 0^0 = 1.

    References
    ----------
    .. [1] J. Guan, Y. Liu, Q. Zhu, T. Zheng, J. Han, W. Wang, "Time-weighted frequency domain audio representation with
           GMM estimator for anomalous sound detection", ICASSP 2023. arXiv:2305.03328.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.features import TWFRTransformer
    >>> TWFRTransformer(r=(0.0, 0.5, 1.0)).fit_transform(np.array([[[1.0, 4.0, 2.0]]])).round(4)
    array([[4.    , 3.    , 2.3333]])
    """

    def __init__(
        self,
        r: float | Sequence[float] = (1.0, 0.9, 0.5),
        *,
        frontend: Any = None,
        feature: str = "auto",
        flatten: bool = True,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.r = r
        self.frontend = frontend
        self.feature = feature
        self.flatten = flatten
        self.n_jobs = n_jobs
        self.verbose = verbose

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Pool each clip into one spectrum per value of r.

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
        twfr : ndarray of shape (n_clips, n_r * n_mels), or DataFrame
            Spectra in the unit of the features. A clip table with ``flatten=False`` is returned with a new column `twfr`.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        pooled = self._frontend.map(
            clips, partial(_pooled_flat, r=decay_values(self.r)), n_jobs=self.n_jobs, verbose=self.verbose
        )
        values = equal_shapes(stacked(pooled, len(clips)))
        return values if self.flatten else into_container(values, clips, "twfr")

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns; available if `flatten` is True.

        Parameters
        ----------
        input_features : Ignored
            Not used, present by convention.

        Returns
        -------
        names : ndarray of shape (n_r * n_mels,), dtype object
            Names of the form ``twfr{r}_mel{band}``.
        """
        check_is_fitted(self)
        names = [f"twfr{r:g}_mel{band}" for r in decay_values(self.r) for band in range(self._n_mels)]
        return np.array(names, dtype=object)

    def _remember(self, clips: Clips) -> None:
        first = clips.items[0]
        is_feature = clips.kind == "feature"
        frontend = self._frontend = frontend_of(self.frontend, twfr_frontend())
        self._n_mels = np.shape(first)[0] if is_feature else frontend.size(frontend.reader.sample_rate)[0]

    def _check_parameters(self) -> None:
        decay_values(self.r)
        check_option("flatten", self.flatten, (True, False))
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        frontend_of(self.frontend, twfr_frontend())


def _pooled_flat(spectrogram: np.ndarray, *, r: tuple[float, ...]) -> np.ndarray:
    return twfr(spectrogram, r).ravel()
