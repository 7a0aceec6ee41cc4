"""Random states that never use NumPy's global generator."""

import numbers
from typing import Any

import numpy as np


def local_random_state(random_state: Any) -> np.random.RandomState:
    """Random generator of an estimator; None gives a new one, never the global one.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Seed or generator. A RandomState is used itself, so its state advances.

    Returns
    -------
    generator : RandomState
        Generator that is independent of the global one.
    """
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if random_state is None:
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence()))
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        return np.random.RandomState(int(random_state))
    raise TypeError(
        f"random_state={random_state!r} is a {type(random_state).__name__}; an int, RandomState or None is expected."
    )


def random_seed(random_state: Any) -> int:
    """One seed drawn from the generator of an estimator, see :func:`local_random_state`."""
    return local_random_state(random_state).randint(2**31 - 1)
