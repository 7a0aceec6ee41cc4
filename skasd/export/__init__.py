"""Fitted detectors as files that run without Python."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.export._check import Parity
    from skasd.export._to_onnx import to_onnx

__all__ = ["Parity", "to_onnx"]

__getattr__ = imported_when_used(__name__, {"Parity": "_check", "to_onnx": "_to_onnx"})


def __dir__() -> list[str]:
    return __all__
