"""TrainingOptions: the rarely changed settings of a training; TrainingPlan: all hyperparameters of one training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skasd._device import check_device
from skasd._parameter_group import ParameterGroup, check_flags, refuse_idle
from skasd._parameters import check_integer, check_number, check_option
from skasd.training._batches import SAMPLINGS

_PRECISIONS = ("auto", "float32", "bfloat16")
_SCHEDULES = ("cosine", "halved_epochs", "halved_steps", "constant")
_OWN_SAMPLINGS = ("class_and_domain",)  # implemented by a detector that brings its own sampler


@dataclass(frozen=True)
class TrainingPlan:
    """All hyperparameters of one training: the input of :func:`train`, and the attribute ``training_`` of fitted detectors.

    Parameters
    ----------
    max_epochs : int, default=300
        Number of passes over the training clips.
    batch_size : int, default=64
        Number of clips, or patches, per training step; at least 2.
    learning_rate : float, default=1e-4
        Initial learning rate of AdamW.
    schedule : {"cosine", "halved_epochs", "halved_steps", "constant"}, default="cosine"
        Learning rate schedule: half a cosine; halved after 30, 60 and 90 epochs, or steps; or constant.
    min_learning_rate : float or None, default=None
        Final learning rate of the cosine schedule. None uses a tenth of `learning_rate`.
    schedule_start : int, default=0
        Number of epochs before the cosine schedule starts to lower the learning rate; at most ``max_epochs - 2``.
    weight_decay : float, default=0.01
        Weight decay of AdamW; 0 makes it Adam.
    ema_decay : float or None, default=0.9999
        Decay of the exponential moving average (EMA) of the weights. None uses the weights of the last step.
    batch_norm_warmup : bool, default=True
        Whether the running statistics of batch normalisation are plain means over the first ten steps, so that a short
        training forgets the initial mean 0 and variance 1. False uses the momentum of the layers, as the publications do.
    sampling : {"shuffled", "balanced", "class_and_domain"}, default="shuffled"
        Sampling of the clips of an epoch, see :class:`TrainingOptions`.
    validation_fraction : float, default=0.0
        Share of the clips of each class in the validation set, in [0, 0.5].
    calibration_fraction : float or "auto", default=0.0
        Share of the clips of each machine held out for the threshold, see :class:`TrainingOptions`.
    patience : int or None, default=None
        Early stopping: training ends after this many epochs without a lower validation loss. None trains all epochs.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the convolutions, see :class:`TrainingOptions`.
    channels_last : bool, default=True
        Memory layout of the tensors, see :class:`TrainingOptions`.
    compile : bool, default=False
        Whether the network is compiled by ``torch.compile``.
    accelerate : bool, default=False
        Whether processes that were started together train one network, see :class:`TrainingOptions`.
    memory_budget : float, default=8e9
        Memory for the training clips, in bytes.
    callbacks : list of skorch callbacks or None, default=None
        Further callbacks, called after those of skasd.
    device : str, default="auto"
        Name of a torch device; ``"auto"`` uses an accelerator (GPU) if there is one.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Raises
    ------
    TypeError, ValueError
        If a value has the wrong type, is out of range, or has no effect given the others.
    """

    max_epochs: int = 300
    batch_size: int = 64
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    min_learning_rate: float | None = None
    schedule_start: int = 0
    weight_decay: float = 0.01
    ema_decay: float | None = 0.9999
    batch_norm_warmup: bool = True
    sampling: str = "shuffled"
    validation_fraction: float = 0.0
    calibration_fraction: float | str = 0.0
    patience: int | None = None
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    accelerate: bool = False
    memory_budget: float = 8e9
    callbacks: Any = None
    device: str = "auto"
    verbose: int = 0

    def __post_init__(self) -> None:
        check_integer("max_epochs", self.max_epochs, low=1)
        check_integer("batch_size", self.batch_size, low=2)
        check_integer("verbose", self.verbose, low=0)
        for name in ("learning_rate", "memory_budget"):
            check_number(name, getattr(self, name), low=0, above=True)
        check_number("weight_decay", self.weight_decay, low=0)
        if self.ema_decay is not None:
            check_number("ema_decay", self.ema_decay, low=0, high=1)
        check_option("sampling", self.sampling, (*SAMPLINGS, *_OWN_SAMPLINGS))
        check_option("precision", self.precision, _PRECISIONS)
        check_flags(self, "batch_norm_warmup", "channels_last", "compile", "accelerate")
        check_device(self.device)
        if self.callbacks is not None and not isinstance(self.callbacks, list | tuple):
            what = type(self.callbacks).__name__
            raise TypeError(f"callbacks={self.callbacks!r} is a {what}; a list of skorch callbacks is expected.")
        self._check_schedule()
        self._check_validation()

    def _check_schedule(self) -> None:
        check_option("schedule", self.schedule, _SCHEDULES)
        check_integer("schedule_start", self.schedule_start, low=0)
        if self.min_learning_rate is not None:
            check_number("min_learning_rate", self.min_learning_rate, low=0, high=self.learning_rate)
        if self.schedule != "cosine":
            refuse_idle(self, ("min_learning_rate", "schedule_start"), f"schedule={self.schedule!r}")
        elif self.schedule_start and self.schedule_start >= self.max_epochs - 1:
            raise ValueError(
                f"schedule_start={self.schedule_start} has no effect with max_epochs={self.max_epochs}, since the learning "
                f"rate decreases after that many epochs; use at most {max(self.max_epochs - 2, 0)}, or more epochs."
            )

    def _check_validation(self) -> None:
        check_number("validation_fraction", self.validation_fraction, low=0, high=0.5)
        if not _is_auto(self.calibration_fraction):
            check_number("calibration_fraction", self.calibration_fraction, low=0, high=0.5)
        if self.patience is None:
            return
        check_integer("patience", self.patience, low=1, other="None")
        if not self.validation_fraction:
            raise ValueError(
                f"patience={self.patience} stops early by the loss on the validation set, but validation_fraction=0 holds "
                "out no clips; set validation_fraction=0.05, for example."
            )


@dataclass(repr=False)
class TrainingOptions(ParameterGroup):
    """Rarely changed settings of a training: the parameter `training` of detectors.

    ``"auto"`` is the value that the detector's publication uses; the guide page of the detector gives it, and the
    attribute ``training_`` of a fitted detector has all values. In a grid search, a setting is named like
    ``osscldetector__training__weight_decay``.

    Parameters
    ----------
    schedule : {"auto", "cosine", "halved_epochs", "halved_steps", "constant"}, default="auto"
        Learning rate schedule: half a cosine; halved after 30, 60 and 90 epochs, or steps; or constant.
    min_learning_rate : float or None, default=None
        Final learning rate of the cosine schedule. None uses a tenth of the initial learning rate.
    schedule_start : int, default=0
        Number of epochs before the cosine schedule starts to lower the learning rate; at most ``max_epochs - 2``.
    weight_decay : float or "auto", default="auto"
        Weight decay of AdamW; 0 makes it Adam.
    ema_decay : float, None or "auto", default="auto"
        Decay of the exponential moving average (EMA) of the weights. None uses the weights of the last step.
    batch_norm_warmup : bool, default=True
        Whether the running statistics of batch normalisation are plain means over the first ten steps, so that a short
        training forgets the initial mean 0 and variance 1. False uses the momentum of the layers, as the publications do.
    sampling : {"auto", "shuffled", "balanced", "class_and_domain"}, default="auto"
        Sampling of the clips of an epoch: each clip once (``"shuffled"``); clips drawn so that all classes are equally
        likely (``"balanced"``); or, only in :class:`~skasd.detectors.ContrastiveSpectrumDetector`, batches with equally many
        clips of each of their classes, from both domains if the class has both (``"class_and_domain"``).
    validation_fraction : float or "auto", default="auto"
        Share of the clips of each class that are held out as a validation set, in [0, 0.5]. The epoch with the lowest
        validation loss is kept, and the threshold is set on these clips.
    calibration_fraction : float or "auto", default="auto"
        Share of the clips of each machine that are not trained on, so that the threshold can be set on them, in [0, 0.5];
        they do not choose the epoch. Without a validation set, ``"auto"`` is a tenth of the clips, but at least nine where
        that is no more than a quarter of them, and none of fewer than ten clips. 0 trains on all clips, as publications do:
        the threshold is then set on clips that were learnt, and nearly all new normal clips may be false alarms. It cannot
        be combined with `validation_fraction`, whose clips serve for both.
    patience : int or None, default=None
        Early stopping: training ends after this many epochs without a lower validation loss. None trains all epochs.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the convolutions in training. ``"auto"`` uses float64 if X is float64, else bfloat16 if the processor
        supports it (never in AutoencoderDetector), else float32. Scores are always computed in float32 or float64.
    channels_last : bool, default=True
        Whether tensors use torch's channels-last memory format, which makes convolutions faster.
    compile : bool, default=False
        Whether the network is compiled by ``torch.compile`` for training, which needs a C++ compiler and, before the first
        step, seconds to minutes; the logger ``skasd`` says so.
    accelerate : bool, default=False
        Whether processes that were started together, by ``accelerate launch`` of Hugging Face Accelerate for example, train
        one network on several accelerators. The batch size is that of each process. Batch normalisation and contrastive
        losses see the share of one process.
    memory_budget : float, default=8e9
        Memory for the training clips, in bytes. Larger training sets are written to a temporary file and read from there.
    callbacks : list of skorch callbacks or None, default=None
        Further callbacks during training; ``Checkpoint`` and ``LoadInitState`` of skorch resume a training that was killed.

    Examples
    --------
    >>> from skasd.training import TrainingOptions
    >>> TrainingOptions(validation_fraction=0.1, patience=5)
    TrainingOptions(validation_fraction=0.1, patience=5)
    """

    schedule: str = "auto"
    min_learning_rate: float | None = None
    schedule_start: int = 0
    weight_decay: float | str = "auto"
    ema_decay: float | str | None = "auto"
    batch_norm_warmup: bool = True
    sampling: str = "auto"
    validation_fraction: float | str = "auto"
    calibration_fraction: float | str = "auto"
    patience: int | None = None
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    accelerate: bool = False
    memory_budget: float = 8e9
    callbacks: Any = None

    def plan(
        self,
        *,
        max_epochs: int,
        batch_size: int,
        learning_rate: float,
        device: str,
        verbose: int,
        usual: Mapping[str, Any],
        samplings: Sequence[str] = tuple(SAMPLINGS),
    ) -> TrainingPlan:
        """Checked hyperparameters of one training.

        Parameters
        ----------
        max_epochs, batch_size, learning_rate, device, verbose : int, float or str
            Parameters of the detector, see :class:`TrainingPlan`.
        usual : mapping of str to value
            Values of the detector for settings that are ``"auto"``.
        samplings : sequence of str, default=("shuffled", "balanced")
            Values of `sampling` that the detector supports.

        Returns
        -------
        plan : TrainingPlan
            These settings and the parameters of the detector, with all ``"auto"`` replaced.
        """
        check_option("sampling", self.sampling, ("auto", *samplings))
        given = {name: value for name, value in self.get_params().items() if not _is_auto(value)}
        plan = TrainingPlan(
            max_epochs=max_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            device=device,
            verbose=verbose,
            **{**usual, **given},
        )
        if plan.validation_fraction and not _is_auto(self.calibration_fraction):
            raise ValueError(
                f"calibration_fraction={self.calibration_fraction} has no effect with "
                f"validation_fraction={plan.validation_fraction}, since the threshold is set on the clips of the validation "
                "set; leave calibration_fraction at 'auto', or set validation_fraction=0."
            )
        return plan


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"
