"""What each of several processes trains that were started together: its weights and losses go to a file.

python -m torch.distributed.run --nproc-per-node 2 -m tests.training.together FOLDER
"""

import os
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector
from skasd.training import TrainingOptions
from tests.detectors.cases import SMALL
from tests.training.tiny import N_TIMEPOINTS, fit, seeded_objective


class PlainObjective(nn.Module):
    """Without batch normalisation and without random numbers, so that a batch may be divided."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(N_TIMEPOINTS, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, inputs, label, generator):
        return self.validation_loss(inputs, label)

    def validation_loss(self, inputs, label):
        return functional.cross_entropy(self.network(inputs["waveform"]), label)


def plain(**options):
    """A short training in float32; 19 clips, so that the last batch cannot be divided evenly."""
    return fit(seeded_objective(PlainObjective), n_clips=19, **options)


def detector(**options):
    """A detector with batch normalisation, mixup and early stopping, and its training clips."""
    machines = make_machine_clips("fan", n_train=24, duration=1.0, random_state=0).data
    options = TrainingOptions(validation_fraction=0.25, patience=1, precision="float32", **options)
    small = {**SMALL, "batch_size": 4, "max_epochs": 3}
    train = machines[machines.split == "train"]
    return OSSCLDetector(("log_mel",), n_clusters=2, score_with="embedding", training=options, **small).fit(train)


def main(folder):
    """Save what this process has learnt."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    alone = plain(batch_size=4, accelerate=True, validation_fraction=0.2)
    whole, refusals = detector(accelerate=True), []
    try:
        fit(accelerate=True, seed=int(os.environ["RANK"]))
    except ValueError as error:
        refusals.append(str(error))
    try:
        fit(accelerate=True, n_clips=12 + int(os.environ["RANK"]))
    except ValueError as error:
        refusals.append(str(error))
    found = {
        "plain": alone.objective.state_dict(),
        "losses": [(epoch["train_loss"], epoch["valid_loss"]) for epoch in alone.history],
        "detector": whole.network_.state_dict(),
        "refusals": refusals,
        "n_epochs": len(whole.history_),
    }
    torch.save(found, Path(folder) / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(sys.argv[1])
