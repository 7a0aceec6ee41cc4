"""Networks: tensors in, tensors out."""

from skasd.networks._mel import LogMelNet

__all__ = ["LogMelNet"]
