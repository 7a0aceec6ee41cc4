"""Decisions with a stated false alarm rate: calibrated detectors, their p-values, and a test of what they rest on."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.decisions._calibrated import CalibratedDetector
    from skasd.decisions._exchangeability import ExchangeabilityTest
    from skasd.decisions._table import decision_table

__all__ = ["CalibratedDetector", "ExchangeabilityTest", "decision_table"]

__getattr__ = imported_when_used(
    __name__,
    {
        "CalibratedDetector": "_calibrated",
        "ExchangeabilityTest": "_exchangeability",
        "decision_table": "_table",
    },
)


def __dir__() -> list[str]:
    return __all__
