"""Random states that never use NumPy's global generator."""

import numbers
from typing import Any

import numpy as np

_LARGEST_SEED = 2**32 - 1


def check_seed(random_state: Any) -> None:
    """Raise unless `random_state` is an integer that seeds a generator, a RandomState or None."""
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return
    if isinstance(random_state, bool | np.bool_) or not isinstance(random_state, numbers.Integral):
        raise TypeError(
            f"random_state={random_state!r} is a {type(random_state).__name__}; an int, RandomState or None is expected."
        )
    if not 0 <= int(random_state) <= _LARGEST_SEED:
        raise ValueError(f"random_state={random_state!r} is out of range; 0 to {_LARGEST_SEED} seed a generator.")


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
