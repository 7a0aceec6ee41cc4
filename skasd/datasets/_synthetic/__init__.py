"""Synthetic machines: machine types, sources of sound, operating states, faults and recording."""

from skasd.datasets._synthetic._machines import make_machine_clips

__all__ = ["make_machine_clips"]
