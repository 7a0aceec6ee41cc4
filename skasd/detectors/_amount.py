"""TrainingAmount: batch size and number of epochs that follow from the number of training clips."""

from dataclasses import dataclass
from typing import Any

from skasd._parameters import check_integer

_STEPS_PER_EPOCH = 8  # of a small training set
_SMALLEST_BATCH = 8


@dataclass(frozen=True)
class TrainingAmount:
    """Published batch size and number of epochs, and the number of steps that they must not fall below for few clips.

    With :math:`n` training clips, ``batch_size="auto"`` is :math:`n / 8` rounded up, at least 8 and at most the published
    batch size, and ``max_epochs="auto"`` is the number of epochs that gives `least_steps`, at least the published number.

    Parameters
    ----------
    batch_size, max_epochs : int
        Published values.
    least_steps : int
        Fewest training steps with ``max_epochs="auto"``.

    Examples
    --------
    >>> published = TrainingAmount(batch_size=64, max_epochs=16, least_steps=320)
    >>> published.chosen("auto", "auto", 60)
    {'batch_size': 8, 'max_epochs': 40}
    >>> published.chosen("auto", "auto", 7000)
    {'batch_size': 64, 'max_epochs': 16}
    """

    batch_size: int
    max_epochs: int
    least_steps: int

    def chosen(self, batch_size: Any, max_epochs: Any, n_clips: int) -> dict[str, int]:
        """Batch size and number of epochs for `n_clips` training clips, where the parameters of a detector are "auto".

        Raises
        ------
        TypeError, ValueError
            If a parameter is neither "auto" nor an integer in range.
        """
        if not _is_auto(batch_size):
            check_integer("batch_size", batch_size, low=2, other="'auto'")
        else:
            batch_size = min(self.batch_size, max(_SMALLEST_BATCH, -(-n_clips // _STEPS_PER_EPOCH)))
        if not _is_auto(max_epochs):
            check_integer("max_epochs", max_epochs, low=1, other="'auto'")
        else:
            steps_per_epoch = -(-n_clips // batch_size)
            max_epochs = max(self.max_epochs, -(-self.least_steps // steps_per_epoch))
        return {"batch_size": batch_size, "max_epochs": max_epochs}


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"
