"""Checks of the parameters of CalibratedDetector."""

from typing import Any

from sklearn.frozen import FrozenEstimator

from skasd._parameters import check_columns, check_integer, check_n_jobs, check_number, check_option
from skasd._random import local_random_state
from skasd.decisions._held_out import METHODS, N_FOLDS, HoldOut


def checked_hold_out(detector: Any) -> HoldOut:
    """Check all parameters but the detector inside, and return how clips are held out.

    Parameters
    ----------
    detector : CalibratedDetector
        Detector with these parameters.
    """
    check_number("alpha", detector.alpha, low=0, high=0.5, above=True)
    check_option("method", detector.method, METHODS)
    check_columns("group_columns", detector.group_columns)
    if isinstance(detector.calibration_fraction, str):
        check_option("calibration_fraction", detector.calibration_fraction, ("auto",))
    else:
        check_number("calibration_fraction", detector.calibration_fraction, low=0, high=0.9, above=True)
    if isinstance(detector.n_folds, str):
        check_option("n_folds", detector.n_folds, ("auto",))
    else:
        check_integer("n_folds", detector.n_folds, low=2)
    check_integer("learning_period", detector.learning_period, low=0)
    check_n_jobs(detector.n_jobs)
    check_integer("verbose", detector.verbose, low=0)
    return HoldOut(
        detector.method,
        detector.alpha,
        detector.learning_period,
        detector.calibration_fraction,
        N_FOLDS if isinstance(detector.n_folds, str) else int(detector.n_folds),
        local_random_state(detector.random_state),
        detector.n_jobs,
        detector.verbose,
    )


def refuse_idle(detector: Any) -> None:
    """Raise if a parameter is given that the method does not use.

    Parameters
    ----------
    detector : CalibratedDetector
        Detector whose attribute `method_` is set.
    """
    used = {"split": "calibration_fraction", "cross": "n_folds"}.get(detector.method_)
    is_frozen = isinstance(detector.detector, FrozenEstimator)
    if is_frozen or (detector.method == "auto" and getattr(detector.detector, "_leaves_out", None)):
        used = None  # all clips calibrate, or the detector makes its own folds
    for name in ("calibration_fraction", "n_folds"):
        if name != used and getattr(detector, name) != "auto":
            raise ValueError(
                f"{name}={getattr(detector, name)!r} has no effect with method={detector.method!r} around a "
                f"{type(detector.detector).__name__}, which is calibrated by {detector.method_!r}; leave it at 'auto'"
                f"{'' if is_frozen else ', or set method'}."
            )
