"""Save and load what was fitted."""

import os
import warnings
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skasd._device import torch_device
from skasd._parameters import check_path
from skasd.persistence._container import check_file, opened_arrays, read_texts, refused, write_file
from skasd.persistence._description import description, warn_of_versions
from skasd.persistence._tree import Reader, Writer


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator as a model file.

    The file holds arrays, numbers and texts, and names of classes from a closed list: nothing in it is ever run, unlike in a
    pickle. It is written under another name and renamed, so that an interrupt leaves the old file or none.

    Parameters
    ----------
    estimator : estimator or dict of str to estimator
        A fitted detector, transformer or back end of skasd, a ``Pipeline`` of them, or one of the estimators of scikit-learn
        that are used with them, such as mixtures, scalers, PCA, nearest neighbours, ``IsolationForest``, ``OneClassSVM`` and
        ``LocalOutlierFactor``. A dict holds one for each machine.
    path : str or path-like
        File to write, usually ``*.skasd``; one that exists is replaced.

    Raises
    ------
    TypeError
        If the estimator holds something that a model file cannot keep, such as a function or a network of your own. The
        message names the attribute. ``pickle`` and ``joblib`` keep those.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the estimator has more parts than a file holds, such as a forest of thousands of trees.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Load a model file.
    describe : Say what is in a model file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import skasd
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> clips = make_machine_clips("fan", n_train=20, duration=1.0, random_state=0)
    >>> train, test = (clips.data[clips.data["split"] == split] for split in ("train", "test"))
    >>> detector = TWFRDetector(contamination=0.1).fit(train)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skasd.save(detector, Path(folder) / "fan.skasd")
    ...     loaded = skasd.load(Path(folder) / "fan.skasd")
    >>> bool((loaded.score_samples(test) == detector.score_samples(test)).all())
    True
    """
    check_path("path", path)
    for name, part in _named(estimator).items():
        if not isinstance(part, BaseEstimator) or not isinstance(name, str):
            raise TypeError(f"estimator{_key(name)} is a {type(part).__name__}; a fitted estimator is expected.")
        check_is_fitted(part)
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a file name such as {path / 'model.skasd'} is expected.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: {path.absolute().parent} is not a folder.")
    writer = Writer()
    tree = writer.node(estimator, type(estimator).__name__ if isinstance(estimator, BaseEstimator) else "estimator")
    write_file(path, description(estimator), tree, writer.arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Load a fitted estimator from a model file.

    Its scores on the same machine are those of the estimator that was saved, bit for bit. Nothing that the file says is run:
    it can name only classes from a closed list, and every byte is checked before anything is made of it.

    Parameters
    ----------
    path : str or path-like
        File that :func:`save` wrote.

    Returns
    -------
    estimator : estimator or dict of str to estimator
        What was saved. Where it was fitted on a device that this machine lacks, its parameter `device` is set to
        ``"cpu"``, with a warning.

    Raises
    ------
    ValueError
        If the file is no model file, was damaged or changed, has a newer format, or names a class that is not in the list.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Save a fitted estimator.
    """
    check_path("path", path)
    path = Path(path)
    check_file(path)
    with refused(path):
        texts = read_texts(path)
        with opened_arrays(path, texts["stamp"]) as arrays:
            estimator = Reader(arrays.get_tensor).value(texts["tree"])
        for name, part in _named(estimator).items():
            if not isinstance(part, BaseEstimator) or not isinstance(name, str):
                raise ValueError(f"it holds a {type(part).__name__} in place of an estimator")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_versions(texts["about"], path)
            for part in _named(estimator).values():
                _leave_missing_device(part, path)
                _leave_cache(part, path)
    for warning in caught:
        warnings.warn(warning.message, stacklevel=2)
    return estimator


def _named(estimator: Any) -> dict[Any, Any]:
    """Estimators by machine; a single one is called ""."""
    if isinstance(estimator, dict) and not estimator:
        raise ValueError("estimator is an empty dict; a fitted estimator for each machine is expected.")
    return estimator if isinstance(estimator, dict) else {"": estimator}


def _key(name: Any) -> str:
    return f"[{name!r}]" if name else ""


def _leave_missing_device(estimator: Any, path: Path) -> None:
    """Set parameters `device` that name a device which this machine lacks to the CPU, and say so."""
    wanted = {
        name: value
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "device" and value not in ("auto", "cpu", None)
    }
    if not wanted:
        return
    missing = {name: "cpu" for name, value in wanted.items() if not _is_here(value)}
    if missing:
        warnings.warn(
            f"{path} was fitted on a device that this machine lacks; it computes on the CPU now ("
            + ", ".join(f"{name}={wanted[name]!r} became 'cpu'" for name in missing)
            + ").",
            stacklevel=3,
        )
        estimator.set_params(**missing)


def _leave_cache(estimator: Any, path: Path) -> None:
    """Set parameters `cache` to None, and say so: a model file must not name folders that are written to."""
    cached = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "cache" and value is not None
    ]
    if cached:
        warnings.warn(
            f"{', '.join(cached)} of {path} is None now, as a model file does not choose where files are written; use "
            f"set_params({cached[0]}=...) to have a cache.",
            stacklevel=3,
        )
        estimator.set_params(**dict.fromkeys(cached))


def _is_here(device: str) -> bool:
    try:
        torch_device(device)
    except ValueError:
        return False
    return True
