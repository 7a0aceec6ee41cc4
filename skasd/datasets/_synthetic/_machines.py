"""Make clips of synthetic machines with known faults, without a download."""

from itertools import product
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skasd._parameters import check_flag
from skasd.datasets._synthetic._parameters import (
    check_anomalies,
    check_counts,
    check_lengths,
    check_machine_types,
    check_seed,
    check_sound,
    check_target_share,
)
from skasd.datasets._synthetic._recording import make_site, record

SHUFFLE = 7  # last element of the seeds that shuffle kinds, so that they differ from the seeds of clips
COLUMNS = ["waveform", "machine_type", "section", "domain", "attributes", "split"]

DESCRIPTION = """\
Synthetic machine clips
=======================

{n_normal} normal and {n_anomaly} anomalous clips of {duration:g} s at {sample_rate} Hz, made by
skasd.datasets.make_machine_clips. Machine types: {machine_types};
kinds of anomalies: {kinds}; severity: {severity:g}; machine above background: {snr_db:g} dB.
They contain no real recordings; the user guide describes how the sounds are made.
"""


class _Group(NamedTuple):
    """Clips of one section that share a split and a label."""

    split: str
    n_clips: int
    target_share: float
    kinds: tuple[str, ...]


def make_machine_clips(
    machine_types=("fan", "pump", "slider", "valve", "gearbox"),
    *,
    n_sections=1,
    n_train=20,
    n_test_normal=10,
    n_test_anomaly=10,
    duration=2.0,
    sample_rate=16000,
    target_share=0.2,
    anomalies="all",
    severity=1.0,
    duty_cycle=None,
    snr_db=6.0,
    return_X_y=False,
    random_state=None,
):
    """Make normal and anomalous clips of synthetic machines.

    The machines are fans, pumps, sliders, valves, gearboxes and compressors like those of [1]_ and [2]_: each is a source
    of sound (blades, vanes, strokes, clicks, teeth) in a housing with resonances, recorded in factory noise. The faults
    are those of machine diagnostics [3]_. A section is one machine: section ``"00"`` of a fan is the same fan for every
    seed, and the seed draws its clips. A clip depends only on its machine type, section, split and label, and on its
    position among such clips. Requesting more clips, sections or machine types does not change it.

    Parameters
    ----------
    machine_types : str or tuple of str, default=("fan", "pump", "slider", "valve", "gearbox")
        Machine types, each at most once; ``"compressor"`` is also available.
    n_sections : int, default=1
        Number of sections per machine type, at most 100. They differ in speed, number of blades or teeth, and resonances.
    n_train, n_test_normal, n_test_anomaly : int, default=20, 10, 10
        Number of training clips (all normal), normal test clips and anomalous test clips per machine type and section.
    duration : float, default=2.0
        Length of every clip in seconds, at least 0.1.
    sample_rate : int, default=16000
        Sample rate in Hz, at least 2000.
    target_share : float or tuple of two floats, default=0.2
        Share of clips in the target domain, in [0, 1]; a tuple gives the shares of the training clips and the test
        clips. The target domain has a different background and a different speed, load or switching pattern.
    anomalies : "all" or tuple of str, default="all"
        Kinds of anomalies, which take turns: ``"bearing"``, ``"imbalance"``, ``"leak"``, ``"missing"``,
        ``"squeal"``. Each machine type can have some of them, and at least one of these must be requested.
    severity : float, default=1.0
        Factor on the amplitude of the anomalies, at least 0, dimensionless. At 0 an anomalous clip is the same as a
        normal one; at 1 good detectors find most anomalies. With the same seed, only the strength of the fault changes.
    duty_cycle : float or None, default=None
        Share of the time in which the machine sounds, in (0, 1]; anomalies sound only then. ``None`` uses the usual
        share of each machine: 1 for fan, pump, gearbox and compressor, about 0.5 for slider, about 0.15 for valve.
    snr_db : float, default=6.0
        Level of the machine, while it sounds, above the background, in dB. ``inf`` gives clips without background.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Seeds the clips; global generators stay untouched. ``None`` gives different clips in every call.

    Returns
    -------
    clips : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes

        data : DataFrame of shape (n_clips, 6)
            Clip table: ``waveform`` (float32 of shape (n_timepoints,), in [-1, 1]), ``machine_type``, ``section``
            (``"00"``, ``"01"``, ...), ``domain`` (``"source"`` or ``"target"``), ``attributes`` (operating state,
            such as ``"speed_24_load_80"``) and ``split`` (``"train"`` or ``"test"``).
        target : ndarray of shape (n_clips,)
            +1 for a normal clip, -1 for an anomaly.
        anomaly_kind : ndarray of shape (n_clips,)
            Kind of the anomaly, ``""`` for a normal clip.
        DESCR : str
            Description of the clips and parameters.
    (data, target) : tuple
        Returned instead if ``return_X_y`` is True.

    Notes
    -----
    The gain of every clip varies randomly within 10 dB, and the faults are weak in the sum over all frequencies, so
    loudness alone hardly reveals an anomaly.

    References
    ----------
    .. [1] H. Purohit et al., "MIMII dataset: sound dataset for malfunctioning industrial machine investigation and
           inspection", DCASE Workshop 2019. arXiv:1909.09347.
    .. [2] Y. Koizumi et al., "ToyADMOS: a dataset of miniature-machine operating sounds for anomalous sound
           detection", WASPAA 2019. arXiv:1908.03299.
    .. [3] R. B. Randall, "Vibration-based condition monitoring", Wiley, 2011.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> clips = make_machine_clips(("fan", "valve"), n_train=3, n_test_normal=1, n_test_anomaly=2, random_state=0)
    >>> clips.data.groupby(["machine_type", "split"]).size().to_dict()
    {('fan', 'test'): 3, ('fan', 'train'): 3, ('valve', 'test'): 3, ('valve', 'train'): 3}
    >>> clips.target
    array([ 1,  1,  1,  1, -1, -1,  1,  1,  1,  1, -1, -1])
    >>> clips.data["waveform"][0].shape
    (32000,)
    >>> X, y = make_machine_clips("fan", severity=2.0, return_X_y=True, random_state=0)
    >>> X.shape, y.shape
    ((40, 6), (40,))
    """
    check_flag("return_X_y", return_X_y)
    machine_types = check_machine_types(machine_types)
    check_counts(n_sections, n_train, n_test_normal, n_test_anomaly)
    check_sound(severity, duty_cycle, snr_db)
    n_timepoints = check_lengths(duration, sample_rate)
    train_share, test_share = check_target_share(target_share)
    kinds = {name: check_anomalies(anomalies, name) for name in machine_types}
    root = check_seed(random_state)
    rows = []
    for machine_type, section in product(machine_types, range(n_sections)):
        site = make_site(machine_type, section, n_timepoints, int(sample_rate))
        groups = (
            _Group("train", n_train, train_share, ()),
            _Group("test", n_test_normal, test_share, ()),
            _Group("test", n_test_anomaly, test_share, kinds[machine_type]),
        )
        for number, group in enumerate(groups):
            key = (crc32(machine_type.encode()), section, number)
            for clip, domain, kind in _record_group(site, root, key, group, severity, duty_cycle, snr_db):
                labels = (machine_type, f"{section:02d}", domain, clip.attributes, group.split)
                rows.append((clip.waveform, *labels, kind))
    return _bunch(rows, duration, sample_rate, severity, snr_db, return_X_y)


def _record_group(site, root, key, group, severity, duty_cycle, snr_db):
    """Yield the clips of a group, each with its domain and its kind of anomaly."""
    for index in range(group.n_clips):
        seed = np.random.SeedSequence(root, spawn_key=(*key, index))
        domain = "target" if _takes_turn(index, group.target_share) else "source"
        kind = _kind(root, key, index, group.kinds) if group.kinds else ""
        clip = record(site, seed, domain, anomaly_kind=kind, severity=severity, duty_cycle=duty_cycle, snr_db=snr_db)
        yield clip, domain, kind


def _takes_turn(index, share):
    """Whether an index is one of a share of all indices, which are spread evenly and do not depend on their number.

    Examples
    --------
    >>> [index for index in range(10) if _takes_turn(index, 0.2)]
    [4, 9]
    """
    tiny = 1e-9  # 0.29 * 100 is a little less than 29
    return int((index + 1) * share + tiny) > int(index * share + tiny)


def _kind(root, key, index, kinds):
    """Kind of the anomaly at an index: rounds hold each kind once, in an order that is shuffled every round."""
    lap, place = divmod(index, len(kinds))
    rng = np.random.default_rng(np.random.SeedSequence(root, spawn_key=(*key, lap, SHUFFLE)))
    return kinds[rng.permutation(len(kinds))[place]]


def _bunch(rows, duration, sample_rate, severity, snr_db, return_X_y):
    """Build the result from rows that hold the cells of the clip table and the kind of anomaly."""
    data = pd.DataFrame([row[:-1] for row in rows], columns=COLUMNS)
    kind = np.array([row[-1] for row in rows], dtype=str)
    target = np.where(kind == "", 1, -1)
    if return_X_y:
        return data, target
    description = DESCRIPTION.format(
        n_normal=int(np.sum(target == 1)),
        n_anomaly=int(np.sum(target == -1)),
        duration=duration,
        sample_rate=sample_rate,
        machine_types=", ".join(data["machine_type"].unique()),
        kinds=", ".join(np.unique(kind[kind != ""])) or "none",
        severity=severity,
        snr_db=snr_db,
    )
    return Bunch(data=data, target=target, anomaly_kind=kind, DESCR=description)
