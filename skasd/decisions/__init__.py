"""Decisions with a stated false alarm rate: calibrated detectors, their p-values, and a test of what they rest on."""

from skasd.decisions._calibrated import CalibratedDetector
from skasd.decisions._exchangeability import ExchangeabilityTest
from skasd.decisions._table import decision_table

__all__ = ["CalibratedDetector", "ExchangeabilityTest", "decision_table"]
