"""Make clips of synthetic machines with known faults, without a download."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skasd._parameters import check_flag
from skasd.datasets._synthetic._masks import fault_mask, mask_axes
from skasd.datasets._synthetic._parameters import (
    check_anomalies,
    check_counts,
    check_lengths,
    check_machine_types,
    check_seed,
    check_snr,
    check_sound,
    check_surroundings,
    check_target_share,
)
from skasd.datasets._synthetic._recording import Surroundings, make_site, record

SHUFFLE = 7  # last element of the seeds that shuffle kinds, so that they differ from the seeds of clips
COLUMNS = ["waveform", "machine_type", "section", "domain", "attributes", "split"]
KIND = "kind"  # column of a table with supplemental clips

DESCRIPTION = """\
Synthetic machine clips
=======================

{n_normal} normal and {n_anomaly} anomalous clips of {duration:g} s at {sample_rate} Hz, made by
skasd.datasets.make_machine_clips. Machine types: {machine_types};
kinds of anomalies: {kinds}; severity: {severity:g}; machine above background: {snr_db} dB.
They contain no real recordings; the user guide describes how the sounds are made.
"""


class _Group(NamedTuple):
    """Clips of one section that share a split, a label and surroundings; ``kind`` is as in names of DCASE clips."""

    split: str
    n_clips: int
    target_share: float
    surroundings: Surroundings
    kinds: tuple[str, ...] = ()
    kind: str = "clip"


def make_machine_clips(
    machine_types: str | Sequence[str] = ("fan", "pump", "slider", "valve", "gearbox"),
    *,
    n_sections: int = 1,
    n_train: int = 20,
    n_test_normal: int = 10,
    n_test_anomaly: int = 10,
    duration: float = 2.0,
    sample_rate: int = 16000,
    target_share: float | tuple[float, float] = 0.2,
    anomalies: str | Sequence[str] = "all",
    severity: float = 1.0,
    duty_cycle: float | None = None,
    snr_db: float | tuple[float, float] = 6.0,
    event_db: float | None = None,
    far_db: float | None = None,
    n_noise: int = 0,
    n_clean: int = 0,
    return_masks: bool = False,
    return_X_y: bool = False,
    random_state: Any = None,
) -> Any:
    r"""Make normal and anomalous clips of synthetic machines.

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
    snr_db : float or tuple of two floats, default=6.0
        Level of the machine, while it sounds, above the background, in dB; a tuple gives the levels in the training clips
        and in the test clips. ``inf`` gives clips without background.
    event_db : float or None, default=None
        Level of the loudest passing events above the background, in dB; ``None`` for none. Events are other sources in
        the hall: hum and noise that swell and fade within 0.2 to 1.5 s, on average one every two seconds.
    far_db : float or None, default=None
        Level of the machine in a second, far microphone, relative to the near one, in dB, such as -10. Waveforms then have
        the shape (2, n_timepoints): near, far. ``None`` records with one microphone, and the same near channel.
    n_noise, n_clean : int, default=0
        Number of supplemental clips per machine type and section, as in DCASE 2025: background (and events) without the
        machine, and the machine without background.
    return_masks : bool, default=False
        Whether the result says where in time and frequency each fault is, which takes twice the time.
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
            such as ``"speed_24_load_80"``) and ``split`` (``"train"`` or ``"test"``). With supplemental clips, whose
            split is ``"supplemental"``, there is also ``kind``, as :func:`load_dcase` gives it: ``"clip"``,
            ``"supplemental_noise"`` (whose attributes are None) or ``"supplemental_machine"``.
        target : ndarray of shape (n_clips,)
            +1 for a normal clip, -1 for an anomaly, 0 for a supplemental clip.
        anomaly_kind : ndarray of shape (n_clips,)
            Kind of the anomaly, ``""`` for a normal clip.
        masks : ndarray of shape (n_clips, n_bins, n_frames), bool
            Only with `return_masks`: True where the fault of a clip is heard; False everywhere in a normal clip.
        mask_frequencies, mask_times : ndarray of shape (n_bins,) and (n_frames,)
            Frequencies in Hz and times in s of the masks: those of an FFT of 1024 time points every 512.
        DESCR : str
            Description of the clips and parameters.
    (data, target) : tuple
        Returned instead if ``return_X_y`` is True.

    Notes
    -----
    The gain of every clip varies randomly within 10 dB, and the faults are weak in the sum over all frequencies, so
    loudness alone hardly reveals an anomaly.

    A fault is heard at a place if the power of what it changes, in the near microphone, is at least half the power of the
    quieter of the two clips with and without it, each averaged over three neighbouring frequencies and frames. Such a fault
    changes the level by about 2 dB or more. A missing stroke or click is masked where it should have been.

    The two microphones are 1.5 m apart. The far one hears the machine 4.4 ms later and with the echo of a room; the
    diffuse background has the same spectrum at both and a coherence of :math:`|\mathrm{sinc}(2 f d / c)|`, so that above
    some 100 Hz most of it is independent; events come from one place each, and reach both with the same level within
    1 dB on average, but with delays and echoes of their own. The gains of the microphones agree within 0.5 dB.

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
    >>> two = make_machine_clips("fan", far_db=-10.0, event_db=12.0, n_noise=5, random_state=0).data
    >>> two["waveform"][0].shape, two["kind"].value_counts().to_dict()
    ((2, 32000), {'clip': 40, 'supplemental_noise': 5})
    """
    _check_flags(return_X_y, return_masks)
    machine_types = check_machine_types(machine_types)
    counts = {"n_train": n_train, "n_test_normal": n_test_normal, "n_test_anomaly": n_test_anomaly}
    check_counts(n_sections, **counts, n_noise=n_noise, n_clean=n_clean)
    check_sound(severity, duty_cycle)
    check_surroundings(event_db, far_db)
    n_timepoints = check_lengths(duration, sample_rate)
    shares = check_target_share(target_share)
    train, test = (Surroundings(snr, event_db, far_db) for snr in check_snr(snr_db))
    kinds = {name: check_anomalies(anomalies, name) for name in machine_types}
    root = check_seed(random_state)
    rows: list = []
    masks: list = []
    for machine_type, section in product(machine_types, range(n_sections)):
        site = make_site(machine_type, section, n_timepoints, int(sample_rate))
        groups = (
            _Group("train", n_train, shares[0], train),
            _Group("test", n_test_normal, shares[1], test),
            _Group("test", n_test_anomaly, shares[1], test, kinds[machine_type]),
            _supplemental("noise", n_noise, shares[0], train._replace(with_machine=False)),
            _supplemental("machine", n_clean, shares[0], train._replace(with_noise=False)),
        )
        rows += _record(
            site, machine_type, section, groups, root, severity, duty_cycle, masks if return_masks else None
        )
    result = _bunch(rows, duration, sample_rate, severity, snr_db, return_X_y)
    return result if not return_masks else _with_masks(result, masks, n_timepoints, int(sample_rate))


def _check_flags(return_X_y, return_masks):
    check_flag("return_X_y", return_X_y)
    check_flag("return_masks", return_masks)
    if return_masks and return_X_y:
        raise ValueError("return_masks=True needs return_X_y=False: the masks are an attribute of the result.")


def _with_masks(result, masks, n_timepoints, sample_rate):
    """The result with the mask of each clip, and the axes of the masks."""
    result.mask_frequencies, result.mask_times = mask_axes(n_timepoints, sample_rate)
    result.masks = np.array(masks, dtype=bool).reshape(len(masks), len(result.mask_frequencies), -1)
    return result


def _supplemental(what, n_clips, target_share, surroundings):
    return _Group("supplemental", n_clips, target_share, surroundings, kind=f"supplemental_{what}")


def _record(site, machine_type, section, groups, root, severity, duty_cycle, masks):
    """Yield the cells of the table, the kind of clip and the kind of anomaly of each clip of a section.

    The mask of each clip is appended to ``masks``, if that is a list.
    """
    for number, group in enumerate(groups):
        key = (crc32(machine_type.encode()), section, number)
        for clip, domain, anomaly in _record_group(site, root, key, group, severity, duty_cycle, masks):
            labels = (machine_type, f"{section:02d}", domain, clip.attributes, group.split)
            yield (clip.waveform, *labels, group.kind, anomaly)


def _record_group(site, root, key, group, severity, duty_cycle, masks):
    """Yield the clips of a group, each with its domain and its kind of anomaly."""
    for index in range(group.n_clips):
        seed = np.random.SeedSequence(root, spawn_key=(*key, index))
        domain = "target" if _takes_turn(index, group.target_share) else "source"
        kind = _kind(root, key, index, group.kinds) if group.kinds else ""
        how = {"duty_cycle": duty_cycle, "surroundings": group.surroundings}
        clip = record(site, seed, domain, anomaly_kind=kind, severity=severity, **how)
        if masks is not None:
            seed = np.random.SeedSequence(root, spawn_key=(*key, index))  # a seed gives its streams once
            healthy = record(site, seed, domain, **how) if kind else clip
            near = [np.atleast_2d(one.waveform)[0] for one in (clip, healthy)]
            masks.append(fault_mask(*near))
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
    """Build the result from rows that hold the cells of the clip table, the kind of clip and the kind of anomaly."""
    data = pd.DataFrame([row[:-1] for row in rows], columns=[*COLUMNS, KIND])
    is_supplemental = (data[KIND] != "clip").to_numpy()
    if not is_supplemental.any():
        data = data.drop(columns=KIND)
    kind = np.array([row[-1] for row in rows], dtype=str)
    target = np.where(is_supplemental, 0, np.where(kind == "", 1, -1))
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
        snr_db=" / ".join(f"{level:g}" for level in np.atleast_1d(snr_db)),
    )
    if is_supplemental.any():
        description += f"Supplemental clips, of noise or of the clean machine: {int(is_supplemental.sum())}.\n"
    return Bunch(data=data, target=target, anomaly_kind=kind, DESCR=description)
