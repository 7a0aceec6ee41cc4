"""The training engine: one loop that knows no model.

An objective is an ``nn.Module`` that computes its own loss. :func:`train` moves all clips to the device once, selects
batches there, and gives back the averaged objective. What happens beside the steps are skorch callbacks.
"""

from skasd.training._averaging import Learner
from skasd.training._callbacks import (
    CosineSchedule,
    HalvingSchedule,
    KeepBest,
    NormWarmUp,
    Progress,
    StopOnNaN,
    WeightAveraging,
)
from skasd.training._data import Batches, ClipStore, Rows, TrainingClips
from skasd.training._domains import by_class, by_class_and_domain
from skasd.training._evaluate import evaluated
from skasd.training._memory import reused_memory
from skasd.training._patches import PatchClips, PatchStore
from skasd.training._precision import autocast, autocast_dtype, torch_dtype
from skasd.training._train import Training, TrainingOptions, seeded, train

__all__ = [
    "Batches",
    "ClipStore",
    "CosineSchedule",
    "HalvingSchedule",
    "KeepBest",
    "Learner",
    "NormWarmUp",
    "PatchClips",
    "PatchStore",
    "Progress",
    "Rows",
    "StopOnNaN",
    "Training",
    "TrainingClips",
    "TrainingOptions",
    "WeightAveraging",
    "autocast",
    "autocast_dtype",
    "by_class",
    "by_class_and_domain",
    "evaluated",
    "reused_memory",
    "seeded",
    "torch_dtype",
    "train",
]
