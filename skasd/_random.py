"""Random states that never use NumPy's global generator."""

from typing import Any

import numpy as np

from skasd._parameters import check_seed


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
    check_seed(random_state)
    if random_state is None:
        return np.random.RandomState(np.random.MT19937(np.random.SeedSequence()))
    return random_state if isinstance(random_state, np.random.RandomState) else np.random.RandomState(int(random_state))


def random_seed(random_state: Any) -> int:
    """One seed drawn from the generator of an estimator, see :func:`local_random_state`."""
    return local_random_state(random_state).randint(2**31 - 1)
