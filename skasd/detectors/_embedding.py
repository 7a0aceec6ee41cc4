"""NetworkDetector and EmbeddingDetector: base classes of detectors that train a network."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skasd._device import torch_device
from skasd._parameter_group import HasParameterGroups, refuse_idle
from skasd._parameters import check_n_jobs, check_option
from skasd._torch_state import own_torch_state
from skasd.base import BaseDetector, NormalScores
from skasd.clips import Clips, check_clips
from skasd.clips._usable import UsablePart, skips
from skasd.detectors._beside import FEWEST_HELD_OUT, StatisticsBeside, both
from skasd.detectors._machine_scores import ClipOutputs, MachineScores, warn_of_threshold
from skasd.inputs._network_fit import stacked_batches
from skasd.scoring import BackEnd
from skasd.training import TrainingOptions, TrainingPlan, evaluated
from skasd.training._batches import SAMPLINGS

_AND_STATISTICS = " and statistics"  # what score_with_ says where both are heard
_CLIPS_PER_BATCH = 32  # when scoring: large enough for speed, and always the same, so that rounding is too


class NetworkDetector(HasParameterGroups, BaseDetector):
    """Base of detectors that train networks; it combines the parameters of the training into one plan."""

    frontend: Any
    max_epochs: Any
    batch_size: Any
    learning_rate: float
    training: TrainingOptions | None
    device: str
    n_jobs: int | None
    verbose: int

    _parameter_groups: ClassVar[Mapping[str, Any]] = {"training": TrainingOptions}
    _usual_training: ClassVar[Mapping[str, Any]] = {}  # meaning of "auto" in TrainingOptions for this detector
    _idle_training: ClassVar[tuple[str, ...]] = ()  # training options without effect for this detector
    _samplings: ClassVar[tuple[str, ...]] = tuple(SAMPLINGS)

    def _as_asked(self, scores: NormalScores) -> NormalScores:
        """The scores; that none were held out is no surprise if ``calibration_fraction=0`` asked for it."""
        is_asked = self._group("training").calibration_fraction == 0
        return replace(scores, is_learnt=False) if is_asked else scores

    def _inputs(self) -> Any:
        """What makes the inputs of a network that takes whole clips; None for one that takes patches."""
        return vars(self).get("_network_fit") or vars(self).get("_attribute_fit")

    def _map_frontend(self) -> Any:
        inputs = self._inputs()
        return super()._map_frontend() if inputs is None else inputs.inputs.frontend

    def _hears_spectrograms(self, clips: Clips) -> bool:
        inputs = self._inputs()
        if inputs is not None and set(inputs.names) != {"log_mel"}:
            return False
        if clips.kind == "feature":
            return True
        beside = vars(self).get("_statistics") is not None and getattr(self, "score_with", "") == "auto"
        if beside and self.frontend is None:  # the statistics have a front end of their own
            return False
        whole = None if inputs is None else inputs.inputs.n_timepoints
        return whole is None or bool((clips.lengths(inputs.inputs.frontend.reader.sample_rate) == whole).all())

    def _plan(self, **chosen: int) -> TrainingPlan:
        """Checked hyperparameters of the training; `chosen` replaces parameters that follow from the clips."""
        options: TrainingOptions = self._group("training")
        refuse_idle(options, self._idle_training, type(self).__name__)
        check_n_jobs(self.n_jobs)
        return options.plan(
            **{"max_epochs": self.max_epochs, "batch_size": self.batch_size, **chosen},
            learning_rate=self.learning_rate,
            device=self.device,
            verbose=self.verbose,
            usual={"calibration_fraction": "auto", **self._usual_training},
            samplings=self._samplings,
        )


class _Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """A detector that is a transformer too."""

    def fit_transform(self, X: Any, y: Any = None, *, on_error: str = "raise") -> np.ndarray:
        """Fit on the clips of X that are not labelled -1, then compute the embeddings of all clips of X.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            Labels, as in ``fit``.
        on_error : {"raise", "skip"}, default="raise"
            As in ``transform``.

        Returns
        -------
        embedding : ndarray of shape (n_clips, n_features)
            Embeddings.
        """
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=True)
            return usable.table(self.fit_transform(usable.X, usable.labels(y)))  # type: ignore[return-value]
        return self.fit(X, y).transform(X)


class EmbeddingDetector(_Transformer, NetworkDetector):
    """Base of detectors whose network computes an embedding of each clip, which makes them transformers too.

    A subclass implements two hooks: ``_learn(clips)`` trains the network and returns the :class:`MachineScores` of the
    training clips; ``_outputs(clips)`` returns the outputs of the trained network. Its parameter `score_with`, one of
    `_score_withs`, may be changed by ``set_params`` after ``fit``: later scores and the threshold ``offset_`` follow it, if
    the parts that they need were fitted. ``"auto"`` has the statistics of :class:`StatisticsDetector` beside the network.
    """

    score_with: str
    _score_withs: ClassVar[Sequence[str]] = ("auto", "embedding")

    @abstractmethod
    def _learn(self, clips: Clips) -> MachineScores:
        """Train on normal clips."""

    @abstractmethod
    def _outputs(self, clips: Clips) -> ClipOutputs:
        """Outputs of the trained network."""

    @property
    def scorer_(self) -> dict[str, BackEnd]:
        """Fitted back ends by machine, and one for all clips ("")."""
        return self._scores.back_ends

    @final
    def _fit(self, clips: Clips) -> NormalScores:
        with own_torch_state():
            self._scores = self._learn(clips)
        self._n_features_out = self._scores.clips.outputs.embedding.shape[1]
        self._statistics = _fitted_statistics(self, clips)
        return self._as_asked(self._normal_scores())

    def _normal_scores(self) -> NormalScores:
        """Scores of the training clips with the current `score_with`."""
        scores, self._score_with = self._scores.of_training(self.score_with), self.score_with
        self.score_with_ = self._scores.mode_of_offset(self.score_with)
        if self.score_with != "auto" or self._statistics is None:
            return scores
        self.score_with_ += _AND_STATISTICS
        learnt, mode = self._scores.clips, self._scores.mode_of_offset(self.score_with)
        every, judged = self._scores.score(learnt.outputs, learnt.machines, mode), learnt.judged
        relative = self._statistics.learn_scale(every, learnt.machines, judged)
        return replace(scores, held_out=both(relative, self._statistics.held_out[judged]))

    @final
    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        self._follow_score_with()
        names = self._scores.names(clips, self.score_with)
        mode = self._scores.settled(self.score_with, names)
        is_known = np.isin(names, self._scores.machines).all()  # and not without a name, where several were learnt
        statistics = self._statistics if self.score_with == "auto" and is_known else None
        warn_of_threshold(mode if statistics is None else mode + _AND_STATISTICS, self.score_with_)
        with own_torch_state():
            score = self._scores.score(self._outputs(clips), names, mode)
        return score if statistics is None else statistics.combined(score, names, statistics.of_clips(clips))

    def _follow_score_with(self) -> None:
        """Recompute the threshold if `score_with` was changed after ``fit``."""
        if self.score_with != self._score_with:
            self._check_score_with()
            self._set_threshold(self._normal_scores())

    def _check_score_with(self) -> None:
        """Raise if the detector does not have this value of `score_with`."""
        check_option("score_with", self.score_with, self._score_withs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @final
    def transform(self, X: Any, *, on_error: str = "raise") -> np.ndarray:
        """Compute the embeddings of the clips, which back ends score.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their embedding is NaN. See :ref:`clips_skip`.

        Returns
        -------
        embedding : ndarray of shape (n_clips, n_features)
            Embeddings, of unit length if the network is trained with an angular margin. A clip longer than 1.1 times the
            median length of the training clips has the mean of the embeddings of its windows, see :ref:`clips_length`.
        """
        check_is_fitted(self)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=False)
            return usable.table(self.transform(usable.X))  # type: ignore[return-value]
        clips = check_clips(self, X, reset=False, feature=self.feature)
        windows = None if self._training_length is None else self._training_length.windows(clips)
        with own_torch_state():
            if windows is None:
                return self._outputs(clips).embedding
            return windows.mean(self._outputs(windows.clips).embedding)


def _fitted_statistics(detector: EmbeddingDetector, clips: Clips) -> StatisticsBeside | None:
    """Statistics to have beside a trained network, if they are asked for and clips were held out."""
    if detector.score_with != "auto" or len(detector._scores.clips.held_out) < FEWEST_HELD_OUT:
        return None
    how: dict[str, Any] = {"frontend": detector.frontend, "n_jobs": detector.n_jobs, "verbose": detector.verbose}
    return StatisticsBeside.fitted(clips, detector._scores.columns, **how)


def embeddings_of(
    network: nn.Module, inputs: Iterable[dict[str, np.ndarray] | None], names: Sequence[str], device: str
) -> np.ndarray:
    """Embeddings (n_clips, embedding_dim) that a network in evaluation mode gives for the inputs called `names` of clips."""
    batches = stacked_batches(inputs, names, _CLIPS_PER_BATCH)
    embedding = np.concatenate(list(evaluated(network, batches, torch_device(device))))
    if not np.isfinite(embedding).all():
        raise ValueError(
            "The embeddings of the network are NaN or infinite, because its training diverged; use a smaller learning_rate."
        )
    return embedding
