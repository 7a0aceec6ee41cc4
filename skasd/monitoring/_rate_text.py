"""rate_text: a number of false episodes a day, for readers."""

_LEAST = 0.005  # that is told from none


def rate_text(rate: float) -> str:
    """A number of episodes a day with two digits, or whole from 10 on.

    Parameters
    ----------
    rate : float
        Episodes per day.

    Examples
    --------
    >>> [rate_text(rate) for rate in (2.1e-9, 0.043, 1.0, 3.43, 590.2)]
    ['0', '0.043', '1', '3.4', '590']
    """
    if rate < _LEAST:
        return "0"
    return f"{rate:.2g}" if rate < 10 else f"{rate:.0f}"
