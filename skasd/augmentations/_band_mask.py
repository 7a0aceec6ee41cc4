"""Masks that restrict an augmentation to the bands above a frequency."""

import numpy as np
import torch
from torch import Tensor

from skasd._typing import Float

_LEAST_HZ, _MOST_HZ = 1000.0, 4000.0  # range of the automatic split frequency
_SHARE_BELOW = 0.8


def band_mask(
    frequency: np.ndarray, split_frequency: float, width: float = 0.0, *, invert: bool = False
) -> Float[Tensor, " bands"]:
    r"""Weight of each band: 0 well below a frequency, 1 well above it.

    Parameters
    ----------
    frequency : ndarray of shape (bands,)
        Centre frequencies of the bands in Hz, ascending.
    split_frequency : float
        Split frequency in Hz. 0 gives all bands a weight of 1.
    width : float, default=0.0
        Width :math:`w`, in bands, of the transition :math:`1 / (1 + e^{-(b - b_s) / w})` around the first band :math:`b_s`
        at or above `split_frequency`. 0 gives a step.
    invert : bool, default=False
        Whether each weight is replaced by 1 minus the weight.

    Returns
    -------
    mask : Tensor of shape (bands,), float64
        Weights in [0, 1].

    Examples
    --------
    >>> band_mask(np.array([500.0, 1500.0, 2500.0, 3500.0]), 2000.0)
    tensor([0., 0., 1., 1.], dtype=torch.float64)
    """
    first = int(np.searchsorted(frequency, split_frequency))
    distance = torch.arange(len(frequency), dtype=torch.float64) - first
    if width and split_frequency > 0:
        mask = torch.sigmoid(distance / width)
    else:
        mask = (distance >= 0).double()
    return 1 - mask if invert else mask


def power_split(frequency: np.ndarray, power: np.ndarray) -> float:
    """Lowest frequency below which 80 % of the power lies, clipped to the range from 1 to 4 kHz.

    Parameters
    ----------
    frequency : ndarray of shape (bands,)
        Centre frequencies of the bands in Hz, ascending.
    power : ndarray of shape (bands,)
        Mean power of each band, in any unit.

    Returns
    -------
    split_frequency : float
        Centre frequency in Hz of the first band up to which 80 % of the power lies, or the nearest end of the range.

    Examples
    --------
    >>> power_split(np.array([900.0, 1800.0, 2700.0, 3600.0]), np.array([4.0, 3.0, 2.0, 1.0]))
    2700.0
    """
    below = np.cumsum(power) / np.sum(power)
    return float(np.clip(frequency[np.argmax(below >= _SHARE_BELOW)], _LEAST_HZ, _MOST_HZ))
