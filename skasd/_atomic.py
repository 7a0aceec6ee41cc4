"""A fit that fails leaves its estimator as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator if the ``with`` block raises, be it an interrupt.

    An estimator that was fitted keeps its model as a whole, and one that was not stays unfitted. Objects in attributes are
    kept and not copied: a fit makes new ones.

    Parameters
    ----------
    estimator : object
        Estimator that the block fits.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
