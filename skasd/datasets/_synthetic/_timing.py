"""Timing of a synthetic machine: the strokes or switching events within a clip."""

from dataclasses import dataclass

import numpy as np

RAMP = 0.004  # s, fade-in and fade-out of an event


@dataclass(frozen=True)
class Timing:
    """Events of one clip, during which the machine sounds. All events are equally long.

    Attributes
    ----------
    n_timepoints, sample_rate : int
        Length of the clip and its sample rate in Hz.
    start : ndarray of shape (n_events,)
        Start of each event, in timepoints; an event may wrap around from the end of the clip to its beginning.
    length : float
        Length of every event, in timepoints.
    event : ndarray of shape (n_timepoints,)
        Index of the event that each timepoint belongs to.
    position : ndarray of shape (n_timepoints,)
        Position of each timepoint in its event: 0 at the start, 1 at the end, negative or above 1 outside.
    gate : ndarray of shape (n_timepoints,)
        1 while the machine sounds, 0 while it is silent, with short ramps in between.
    """

    n_timepoints: int
    sample_rate: int
    start: np.ndarray
    length: float
    event: np.ndarray
    position: np.ndarray
    gate: np.ndarray

    def active_rms(self, waveform):
        """Root mean square of a gated waveform (n_timepoints,) over the time in which the machine sounds."""
        active = np.sum(np.square(self.gate), dtype=np.float64)
        return float(np.sqrt(np.sum(np.square(waveform), dtype=np.float64) / active)) if active else 0.0


def make_timing(rng, n_timepoints, sample_rate, *, period, duty_cycle, pattern=(0.0,)):
    """Place events in a clip so that they cover exactly the share ``duty_cycle`` of it.

    The clip is divided into a whole number of periods of about ``period`` seconds, with one event per period. Event
    ``i`` starts after the share ``pattern[i % len(pattern)]`` of the idle time of its period, plus a small random
    delay, so that a pattern is a rhythm. The start of the first period is random.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> timing = make_timing(rng, 16_000, 8_000, period=0.5, duty_cycle=0.25)
    >>> len(timing.start), round(float(timing.gate.mean()), 2)
    (4, 0.24)
    """
    n_events = max(1, round(n_timepoints / sample_rate / period))
    span = n_timepoints / n_events
    length = duty_cycle * span
    shift = rng.random() * n_events
    wait = np.resize(pattern, n_events) + 0.1 * rng.random(n_events)
    delay = np.clip(wait, 0.0, 1.0) * (1.0 - duty_cycle)
    cycle = np.arange(n_timepoints) * (1.0 / span) + shift
    whole = np.floor(cycle)
    event = whole.astype(np.int32) % n_events
    position = ((cycle - whole - delay[event]) / duty_cycle).astype(np.float32)
    return Timing(
        n_timepoints=n_timepoints,
        sample_rate=sample_rate,
        start=(np.arange(n_events) + delay - shift) * span % n_timepoints,
        length=length,
        event=event,
        position=position,
        gate=_gate(position, length, sample_rate, always_on=duty_cycle == 1.0),
    )


def _gate(position, length, sample_rate, always_on):
    """Gate that is 1 where the position is between 0 and 1, with ramps of a few milliseconds at the ends."""
    if always_on:
        return np.ones_like(position)
    ramp = min(RAMP * sample_rate, 0.1 * length)
    return np.clip((0.5 - np.abs(position - 0.5)) * np.float32(length / ramp), 0.0, 1.0)
