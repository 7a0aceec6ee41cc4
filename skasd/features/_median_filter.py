"""MedianFilter: removes events shorter than half the window from a spectrogram."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from skasd._parameters import check_integer, check_n_jobs, check_option
from skasd.clips import ClipReader
from skasd.clips._usable import skips
from skasd.features._base import ClipTransformer, equal_shapes, into_container, stacked

_AXES = {"frequency": 0, "time": 1}


class MedianFilter(ClipTransformer):
    """Running median over the frames or bands of each clip.

    A median filter over time removes events shorter than half the window. For stationary machines these are background
    events; for impulsive machines they are the sound of the machine itself. Reference [1]_ uses 31 frames.

    Parameters
    ----------
    size : int, default=31
        Length of the window, in frames or bands; must be odd.
    axis : {"time", "frequency"}, default="time"
        Whether to filter along the frames of each band or along the bands of each frame.
    patch_length : int or None, default=None
        Length of patches that are filtered separately, in frames; None filters each clip as a whole.
    feature : str, default="auto"
        Column of a clip table to replace. ``"auto"`` is the one that the last transformer wrote, or the only one that holds
        features.
    n_jobs : int or None, default=-1
        Number of threads; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if at least 1.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands of a feature, or of time points of a 2-D array.

    See Also
    --------
    LogMelTransformer : Computes the spectrograms.

    Notes
    -----
    Both ends are padded by reflection without repeating the outermost frame. 2-D arrays are filtered along their rows.

    References
    ----------
    .. [1] X. Cai, H. Dinkel, Z. Yan, Y. Wang, J. Zhang, Z. Wu, Y. Wang, "A contrastive semi-supervised learning framework
           for anomaly sound detection", DCASE Workshop 2021. Code: github.com/bibiaaaa/SmallRice_DCASE2021Challenge.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.features import MedianFilter
    >>> click = np.zeros((1, 2, 9))
    >>> click[0, :, 4] = 1.0
    >>> float(MedianFilter(size=3).fit_transform(click).max())
    0.0
    """

    def __init__(
        self,
        size: int = 31,
        *,
        axis: str = "time",
        patch_length: int | None = None,
        feature: str = "auto",
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.size = size
        self.axis = axis
        self.patch_length = patch_length
        self.feature = feature
        self.n_jobs = n_jobs
        self.verbose = verbose

    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Filter the features of clips.

        Parameters
        ----------
        X : array of shape (n_clips, n_mels, n_frames), or clip table with the column `feature`
            Features of the clips. A 2-D array (n_clips, n_timepoints) is filtered along time.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning. With
            "skip", their feature cell in a clip table is None, and the new column ``error`` has the reason; their values in
            an array are NaN. See :ref:`clips_skip`.

        Returns
        -------
        filtered : ndarray of the shape of X, or DataFrame
            Filtered features. For a clip table, the table with the column `feature` replaced.
        """
        if skips(on_error):
            return self._transform_usable(X)
        clips = self._check_clips(X, reset=False)
        if clips.kind != "feature" and not isinstance(clips.items, np.ndarray):
            held = (
                "X contains waveforms or files"
                if clips.table is None
                else f"X has the columns {list(clips.table.columns)}"
            )
            raise ValueError(
                f"There are no features to filter: {held}. Use a LogMelTransformer before the MedianFilter."
            )
        results = clips.map(
            partial(filtered, size=self.size, axis=self.axis, patch_length=self.patch_length),
            ClipReader(),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            title="median filter",
        )
        values = stacked(results, len(clips))
        return (
            into_container(values, clips, str(clips.column)) if clips.kind == "feature" else equal_shapes(values)[:, 0]
        )

    def _check_parameters(self) -> None:
        check_window("size", self.size)
        check_option("axis", self.axis, _AXES)
        if self.patch_length is not None:
            check_integer("patch_length", self.patch_length, low=1)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)


def check_window(name: str, size: int) -> None:
    """Raise unless `size` is a valid, odd window length; `name` is the parameter for the message."""
    check_integer(name, size, low=1)
    if size % 2 == 0:
        raise ValueError(f"{name}={size} is even; a median filter needs an odd window.")


def filtered(values: np.ndarray, *, size: int, axis: str = "time", patch_length: int | None = None) -> np.ndarray:
    """Running median of a spectrogram (n_mels, n_frames) over frames or bands, as a whole or in patches."""
    values = np.atleast_2d(values)  # a waveform is treated as one band
    window = (1, size) if _AXES[axis] == 1 else (size, 1)
    n_frames = values.shape[1]
    edges = range(0, n_frames, patch_length or n_frames)
    patches = [values[:, start : start + (patch_length or n_frames)] for start in edges]
    # SciPy calls "mirror" what NumPy and torch call "reflect"
    return np.concatenate([median_filter(patch, size=window, mode="mirror") for patch in patches], axis=1)
