"""to_onnx: a fitted detector as one ONNX graph, from the waveform to the score and the decision."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skasd._torch_state import own_torch_state
from skasd.base import BaseDetector
from skasd.detectors import EnsembleDetector
from skasd.export._calibrated import inside, scoring_of
from skasd.export._check import Parity, checked, waveforms_to_check
from skasd.export._graph import Decision, score_module
from skasd.export._machine import chosen_machine
from skasd.export._metadata import Usual, metadata
from skasd.export._pipeline import pipeline_module
from skasd.export._refusal import refused
from skasd.scoring._scorer import BaseScorer

_OPSET = 17
_EXAMPLE = 16000  # time points of the clips that the graph is traced with, if the training length is not known


def to_onnx(estimator: Any, path: str | os.PathLike, *, machine: str | None = None, check_on: Any = None) -> Parity:
    """Write a fitted detector as an ONNX file that needs no Python.

    The graph has the input ``waveform``, float32 of shape (n_clips, n_timepoints), and the outputs ``anomaly_score``,
    float32 of shape (n_clips,) and high for anomalous clips, and ``is_anomaly``, bool of shape (n_clips,). A calibrated
    detector has the output ``p_value`` too, float32 of shape (n_clips,), unless its decisions are provisional. Both axes are
    dynamic: a clip may have any length, and is cut, filled, or heard in windows as the detector does it. The score is that
    of ``-estimator.score_samples``, the decision that of ``estimator.predict``.

    Parameters
    ----------
    estimator : detector or Pipeline
        Fitted detector of :mod:`skasd.detectors`, or a pipeline that ends with one or with a back end of
        :mod:`skasd.scoring`; or one of these inside a :class:`skasd.decisions.CalibratedDetector`.
    path : path-like
        File to write. It is written under another name, checked, and then put in its place.
    machine : str or None, default=None
        Machine whose model is exported, such as ``"fan/00"``; None for a model of a single machine.
    check_on : array, list of paths, clip table or None, default=None
        Clips on which ONNX Runtime and the estimator must agree; None makes synthetic ones. Columns that name machines are
        not used.

    Returns
    -------
    parity : Parity
        Number of clips, largest difference of the anomaly scores, their spread, and number of decisions that differ.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    FileNotFoundError
        If the folder of the file does not exist.
    TypeError
        If `estimator` is no detector and no pipeline.
    ValueError
        If it is not fitted, has several machines and none is named, has parts that cannot be exported, or if scores differ
        by more than 0.001 of their spread, or decisions of clips that are further from the threshold than that.

    Notes
    -----
    The file says in its metadata what it expects: ``sample_rate`` in Hz, ``n_timepoints``, the length of the training clips,
    ``channel``, ``machine``, ``threshold``, ``detector``, and the versions of skasd, torch and scikit-learn; of a calibrated
    detector also ``alpha``, ``calibration``, the method, ``n_calibration``, and ``is_provisional``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.export import to_onnx
    >>> clips = make_machine_clips("fan", duration=1.0, random_state=0).data
    >>> detector = TWFRDetector().fit(clips[clips["split"] == "train"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parity = to_onnx(detector, Path(folder) / "fan.onnx")
    >>> parity.n_decisions
    0
    """
    _refuse_missing_packages()
    _check_estimator(estimator)
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is in a folder that does not exist; make it first.")
    chosen, usual = chosen_machine(inside(estimator), machine), Usual.of(inside(estimator))
    scoring = scoring_of(estimator, chosen)
    with own_torch_state(), torch.no_grad():
        graph = Decision(_module(scoring.estimator, chosen), scoring.threshold, scoring.calibration).eval()
        with _put_in_place(Path(path)) as unchecked:
            _write(graph, unchecked, usual.n_timepoints or _EXAMPLE)
            _describe(unchecked, metadata(scoring, chosen, usual))
            return checked(unchecked, scoring, chosen, waveforms_to_check(check_on, usual), usual)


def _module(estimator: Any, chosen: Any) -> nn.Module:
    if isinstance(estimator, Pipeline):
        return pipeline_module(estimator, chosen)
    members = estimator.estimators_ if isinstance(estimator, EnsembleDetector) else [estimator]
    if any(vars(member).get("_clip_kind") == "feature" for member in members):
        raise refused(
            f"a {type(estimator).__name__} that was fitted on features, as the graph begins with waveforms",
            "give the fitted pipeline that computes the features, or fit on waveforms with frontend=",
        )
    return score_module(estimator, chosen)


def _check_estimator(estimator: Any) -> None:
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, type) or not isinstance(last, BaseDetector | BaseScorer):
        what = f"the class {last.__name__}" if isinstance(last, type) else f"a {type(last).__name__}"
        raise TypeError(
            f"estimator={estimator!r} is or ends with {what}; a fitted detector of skasd, or a pipeline that ends with one "
            "or with a back end of skasd, is expected."
        )
    if isinstance(estimator, BaseScorer):
        raise refused(
            f"a {type(estimator).__name__} alone, which scores no waveforms",
            "give the fitted pipeline that computes its features",
        )
    check_is_fitted(last)
    if inside(estimator) is not estimator:
        _check_estimator(inside(estimator))


def _refuse_missing_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(f"to_onnx needs the package {error.name}: pip install 'skasd[onnx]'.") from error


@contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    """Another name for a file, which gets its own one if the ``with`` block succeeds and is removed if it does not."""
    other = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield other
        other.replace(path)
    finally:
        other.unlink(missing_ok=True)


def _write(graph: Decision, path: Path, n_timepoints: int) -> None:
    """Trace the module and write it."""
    example = torch.zeros(2, n_timepoints) + 0.1 * torch.sin(torch.arange(n_timepoints, dtype=torch.float32))
    axes = {0: "n_clips"}
    with warnings.catch_warnings(), _plain_attention():
        warnings.simplefilter("ignore")  # sizes that a trace keeps, and the age of the exporter
        _traced(
            graph,
            (example,),
            str(path),
            input_names=["waveform"],
            output_names=list(graph.outputs),
            dynamic_axes={"waveform": {0: "n_clips", 1: "n_timepoints"}} | dict.fromkeys(graph.outputs, axes),
            opset_version=_OPSET,
            dynamo=False,  # the other exporter neither keeps these conditions nor does without onnxscript
        )


def _traced(graph: nn.Module, *arguments: Any, **options: Any) -> None:
    try:
        torch.onnx.export(graph, *arguments, **options)
    except RuntimeError as error:  # such as an operation of a module that users brought
        reason = str(error).partition("\n")[0]
        raise refused(f"a part of this detector: {reason}", "use parts of skasd instead") from error


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Within a ``with`` block, attention consists of operations that ONNX has, and not of one of torch's own."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _describe(path: Path, properties: dict[str, str]) -> None:
    """Add metadata to a file."""
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, properties)
    model.producer_name, model.producer_version = "skasd", properties["skasd"]
    onnx.save(model, str(path))
