"""Synthetic machines: what they are made of, how they run, what breaks, and how it is recorded."""

from skasd.datasets._synthetic._machines import make_machine_clips

__all__ = ["make_machine_clips"]
