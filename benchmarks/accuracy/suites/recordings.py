"""What several suites share: the real recordings, twenty synthetic machines, a front end, a fault made up of a log-mel."""

import numpy as np

from skasd.features import LogMelTransformer

TOYCAR = {
    "kind": "table",
    "year": 2020,
    "clips": "$SKASD_REAL_DATA/toycar2020_logmel/clips.csv",
    "log_mel": "log_mel.npy",
}
VALVE = {"kind": "table", "year": 2023, "clips": "$SKASD_REAL_DATA/clips.csv", "where": {"dataset": "valve2023"}}
MACHINES = ("fan", "pump", "slider", "valve", "gearbox", "compressor")
OF_THE_ZOO = {
    "kind": "synthetic",
    "n_train": 60,
    "n_test_normal": 50,
    "n_test_anomaly": 50,
    "duration": 4.0,
    "random_state": "seed",
    "seeds": (0, 1, 2),
}
ZOO = {
    **{kind: {**OF_THE_ZOO, "machine_types": kind, "n_sections": 2} for kind in MACHINES},
    **{
        f"{kind}, duty cycle {duty_cycle:g}": {**OF_THE_ZOO, "machine_types": kind, "duty_cycle": duty_cycle}
        for kind, duty_cycle in {
            "fan": 0.2, "pump": 0.2, "gearbox": 0.2, "compressor": 0.5, "slider": 0.2, "valve": 0.05
        }.items()
    },
    "fan, 0 dB": {**OF_THE_ZOO, "machine_types": "fan", "snr_db": 0.0},
    "gearbox, -3 dB": {**OF_THE_ZOO, "machine_types": "gearbox", "snr_db": -3.0},
}  # fmt: skip
MEL = LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk")


def raised_or_mixed(normal, seed):
    """Faults in turns: a band raised by 3 dB, or a second machine 10 dB below."""
    rng, faulty = np.random.default_rng(seed), []
    for index, log_mel in enumerate(normal["log_mel"]):
        if index % 2:
            band = np.arange(len(log_mel))
            change = 3 * np.exp(-0.5 * ((band - rng.uniform(0, len(band))) / 6) ** 2)[:, None]
            faulty.append((log_mel + change).astype(np.float32))
        else:
            other = normal["log_mel"].iloc[rng.integers(len(normal))]
            faulty.append((10 * np.log10(10 ** (log_mel / 10) + 0.1 * 10 ** (other / 10))).astype(np.float32))
    return normal.assign(log_mel=faulty)
