"""What several suites share: the real recordings, a front end, and a fault made up of a log-mel."""

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
