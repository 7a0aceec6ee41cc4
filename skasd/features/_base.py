"""Base class of the feature transformers: clips in, array or table out."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skasd._atomic import restored_on_failure
from skasd.clips import Clips, check_clips, note_feature
from skasd.clips._usable import UsablePart, skips


class ClipTransformer(TransformerMixin, BaseEstimator):
    """Base of transformers that accept every kind of X and learn only its size."""

    feature: str | None = None  # feature column of a clip table to read; None reads waveforms only

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = self.feature is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None, *, on_error: str = "raise") -> Self:
        """Check the parameters and the kind of X; nothing is learnt from the clips.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : Ignored
            Not used, present by convention.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error, or a warning that lists them. See
            :ref:`clips_skip`.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._check_parameters()
        if skips(on_error):
            return self.fit(UsablePart.of(self, X, reset=True).X)
        with restored_on_failure(self):
            self._remember(self._check_clips(X, reset=True))
            self.fitted_ = True
        return self

    def fit_transform(self, X: Any, y: Any = None, *, on_error: str = "raise") -> np.ndarray | pd.DataFrame:
        """Fit to the clips, then transform them.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            Passed to ``fit``.
        on_error : {"raise", "skip"}, default="raise"
            As in ``transform``.

        Returns
        -------
        features : ndarray or DataFrame
            What ``transform`` returns.
        """
        if skips(on_error):
            self._check_parameters()
            usable = UsablePart.of(self, X, reset=True)
            return usable.table(self.fit_transform(usable.X, usable.labels(y)))
        return self.fit(X, y).transform(X)

    def _transform_usable(self, X: Any) -> np.ndarray | pd.DataFrame:
        """``transform`` with ``on_error="skip"``."""
        check_is_fitted(self)
        usable = UsablePart.of(self, X, reset=False)
        return usable.table(self.transform(usable.X))

    def _check_parameters(self) -> None:
        """Raise if a parameter is out of range."""

    def _remember(self, clips: Clips) -> None:
        """Store what determines the names of the output columns."""

    def _check_clips(self, X: Any, *, reset: bool) -> Clips:
        if not reset:
            check_is_fitted(self)
        return check_clips(self, X, reset=reset, feature=self.feature)


def stacked(results: Iterable[np.ndarray | None], n_clips: int) -> np.ndarray | list:
    """Results of equal shape as one array of shape (n_clips, ...), or else as a list.

    The array is filled as the results arrive, so that memory never holds them twice.
    """
    array: np.ndarray | None = None
    unequal: list = []
    for position, result in enumerate(results):
        if array is None and not unequal and result is not None:
            array = np.empty((n_clips, *result.shape), result.dtype)
        if array is not None and result is not None and result.shape == array.shape[1:]:
            array[position] = result
        else:
            unequal += [*([] if array is None else array[:position]), result]
            array = None
    return unequal if array is None else array


def into_container(values: np.ndarray | list[np.ndarray], clips: Clips, column: str) -> np.ndarray | pd.DataFrame:
    """Output of a transformer: the clip table with the values as a new column, or an array if there is no table.

    Raises
    ------
    ValueError
        If there is no table and the clips differ in length.
    """
    if clips.table is not None:
        cells = pd.Series(list(values), index=clips.table.index, dtype=object)
        table = clips.table.assign(**{column: cells})
        return note_feature(table, column)
    return equal_shapes(values)


def equal_shapes(values: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """The array; a list raises a ValueError that names two clips of different shape."""
    if isinstance(values, np.ndarray):
        return values
    shapes = [value.shape for value in values]
    other = next(position for position, shape in enumerate(shapes) if shape != shapes[0])
    raise ValueError(
        f"The clips differ in shape: clip 0 gives {shapes[0]}, clip {other} gives {shapes[other]}, so they do not fit into "
        "one array. Give a clip table (each row keeps its own length), or set duration= to cut or fill clips to one length."
    )
