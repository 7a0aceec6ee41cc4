"""Tables of other libraries as tables of pandas."""

from typing import Any

import numpy as np
import pandas as pd


def as_pandas(X: Any) -> Any:
    """Tables and columns of polars, pyarrow and other libraries with `to_pandas` as those of pandas, all else unchanged."""
    if isinstance(X, pd.DataFrame | pd.Series | pd.Index | np.ndarray | type):
        return X
    convert = getattr(X, "to_pandas", None)
    if not callable(convert) or getattr(X, "ndim", 1) > 2:
        return X
    try:
        return convert()
    except ImportError as error:
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__}, and its to_pandas() fails: {error}. Install what it asks "
            "for, or give a pandas.DataFrame."
        ) from error
