"""The rule: a ValueError or TypeError that names the culprit, or a finite result that is not constant, in bounded time."""

import contextlib
import io
import numbers
import re
import signal
import time
import warnings

import numpy as np

SECONDS = 20  # the slowest case takes less than one on an idle core
_OF_X = r"\bX\b|[Cc]lip|[Cc]olumn|[Ff]eature|DataFrame|array with 0|sparse|normal|sample|embedding"
_WORDS = {
    "X": _OF_X,
    "y": r"\by\b|[Ll]abel",
    "y_true": r"y_true|[Ll]abel|\by\b",
    "table": r"table|[Cc]olumn",
    "domain": "domain",
    "frontend": "front ?end",
    "stratify_by": "stratify_by|column",
    "group_columns": "group_columns|column",
    "label_columns": "label_columns|column",
}


class Stuck(BaseException):
    """A case that takes too long."""


@contextlib.contextmanager
def limited(seconds):
    """Raise Stuck after some seconds; a timer that runs already goes on afterwards."""

    def stop(*_):
        raise Stuck

    started, handler = time.monotonic(), signal.signal(signal.SIGALRM, stop)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(0.1, remaining - (time.monotonic() - started)), interval)


def breach(entry, parameter, value):
    """What is wrong with the answer to a bad value; None if nothing is."""
    with warnings.catch_warnings(record=True) as given, np.errstate(all="ignore"), limited(SECONDS):
        warnings.simplefilter("always")
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                result = entry(**{parameter: value})
        except (ValueError, TypeError) as error:
            return _unnamed(str(error), parameter, value)
        except (OSError, KeyError) as error:
            return (
                _unnamed(str(error), parameter, value)
                if isinstance(error, FileNotFoundError | NotADirectoryError)
                else _shown(error)
            )
        except Stuck:
            return f"takes more than {SECONDS} seconds"
        except Exception as error:
            return _shown(error)
    return _strange(result, " ".join(str(warning.message) for warning in given))


def _shown(error):
    return f"{type(error).__name__}: {error}"[:300]


def _unnamed(message, parameter, value):
    own = parameter.rpartition("__")[2]
    if "The loss became" in message and isinstance(value, numbers.Real):
        return None  # a weight or a margin that is too large for a training
    if own == "metric" and callable(value):
        return None  # what a function of the caller raises is passed on
    pattern = _WORDS.get(own, rf"(?<![a-z]){re.escape(own)}")
    named = re.search(pattern, message) or (isinstance(value, str) and len(value) > 3 and value in message)
    return None if named else f"does not name {parameter}: {message[:300]}"


def _strange(result, warned):
    if not isinstance(result, np.ndarray | float | list):
        return None
    if isinstance(result, list) and not (
        result and all(isinstance(part, int | float | np.number | np.ndarray) for part in result)
    ):
        return None
    values = np.concatenate([np.ravel(part) for part in result]) if isinstance(result, list) else np.ravel(result)
    if not np.isfinite(values).all():
        return "returns NaN or infinity" if "nan" not in warned.lower() else None
    constant = isinstance(result, np.ndarray) and len(values) > 1 and np.ptp(values) <= 1e-9 * np.abs(values).max()
    return "returns constant scores without a warning" if constant and "onstant" not in warned else None
