"""Splits that train on normal clips only and test on normal clips and anomalies."""

from skasd.model_selection._dcase import DCASESplit
from skasd.model_selection._normal_only import NormalOnlySplit

__all__ = ["DCASESplit", "NormalOnlySplit"]
