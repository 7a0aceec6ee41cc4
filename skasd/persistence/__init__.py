"""Model files: what was fitted, kept in one file that is read without running anything it says."""

from skasd.persistence._description import describe
from skasd.persistence._model_file import load, save

__all__ = ["describe", "load", "save"]
