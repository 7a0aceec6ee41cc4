"""The training engine: one loop that knows no model.

An objective is an ``nn.Module`` that computes its own loss. :func:`train` moves all clips to the device once, selects
batches there, and returns the objective with averaged weights. What happens beside the steps are skorch callbacks.
"""

from skasd.training._data import ClipStore
from skasd.training._evaluate import evaluated
from skasd.training._options import TrainingOptions, TrainingPlan
from skasd.training._patches import PatchStore
from skasd.training._train import Training, seeded, train

__all__ = [
    "ClipStore",
    "PatchStore",
    "Training",
    "TrainingOptions",
    "TrainingPlan",
    "evaluated",
    "seeded",
    "train",
]
