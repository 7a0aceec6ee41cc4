"""Log-mel of ten-second clips: rate against librosa and torchaudio, and memory; synthetic clips: all in one run.

    python benchmarks/speed/features.py --out benchmarks/speed/features.jsonl

Each row is one JSON line: what, the median seconds of ours and of the peer, their ratio, versions and machine. Sides
take turns, so that a busy machine slows both. Peers that are not installed give no row. With an accelerator, a row
compares the device path with the CPU path.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from measuring import installed, write

from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer

N_CLIPS, SECONDS, RATE = 256, 10, 16000
MEL = {"n_fft": 2048, "hop_length": 512, "n_mels": 128}


_REST = 0.3  # s; threads of BLAS wait busily for more work, and would slow the side whose turn is next


def paired(ours, peer, rounds=9):
    """Median seconds of two functions that take turns, after one round to warm up."""
    times = []
    for _ in range(rounds + 1):
        row = []
        for function in (ours, peer):
            time.sleep(_REST)
            start = time.perf_counter()
            function()
            row.append(time.perf_counter() - start)
        times.append(row)
    return np.median(times[1:], axis=0)


def librosa_log_mel(waveform):
    import librosa

    return librosa.power_to_db(librosa.feature.melspectrogram(y=waveform, sr=RATE, **MEL), top_db=None)


def torchaudio_log_mel():
    import torchaudio

    mel = torchaudio.transforms.MelSpectrogram(RATE, norm="slaney", mel_scale="slaney", **MEL)
    return torch.nn.Sequential(mel, torchaudio.transforms.AmplitudeToDB("power"))


def peers(waveforms, transformer):
    """Name and (ours, peer) functions of each comparison."""
    tensor = torch.from_numpy(waveforms)
    if installed("librosa"):
        yield "log-mel, librosa one by one", lambda: [librosa_log_mel(waveform) for waveform in waveforms]
    if installed("torchaudio"):
        theirs = torchaudio_log_mel()
        with torch.inference_mode():
            yield "log-mel, torchaudio one by one", lambda: [theirs(clip) for clip in tensor]
            yield "log-mel, torchaudio batch of 64", lambda: [theirs(batch) for batch in tensor.split(64)]
    if torch.accelerator.is_available():
        on_device = LogMelTransformer(device="auto", **MEL)
        yield "log-mel, our device path", lambda: on_device.fit_transform(waveforms)


def reading(folder, waveforms):
    """Paths of wav files with the waveforms, and librosa's way of reading them."""
    paths = [str(Path(folder) / f"{index}.wav") for index in range(len(waveforms))]
    for path, waveform in zip(paths, waveforms, strict=True):
        soundfile.write(path, waveform, RATE)
    return paths


def peak_memory(n_paths):
    """Bytes beyond the output at the peak of transforming so many paths, in a process of its own."""
    code = f"""
import tempfile, numpy as np, soundfile
from pathlib import Path
from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer

def peak_kib():  # of this process since its start; ru_maxrss would remember the parent's
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(0)
    paths = [str(Path(folder) / f"{{index}}.wav") for index in range(100)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal({SECONDS * RATE}).astype("float32"), {RATE})
    before = peak_kib()
    out = LogMelTransformer(**{MEL!r}).fit_transform(paths * ({n_paths} // 100))
    print((peak_kib() - before) * 1024 - out.nbytes, out.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def rows():
    rng = np.random.default_rng(0)
    waveforms = 0.1 * rng.standard_normal((N_CLIPS, SECONDS * RATE)).astype(np.float32)
    transformer = LogMelTransformer(**MEL)
    for name, peer in peers(waveforms, transformer):
        ours, theirs = paired(lambda: transformer.fit_transform(waveforms), peer)
        yield {"what": name, "n_clips": N_CLIPS, "ours_s": ours, "peer_s": theirs, "ratio": theirs / ours}
    if installed("librosa"):
        import librosa

        with tempfile.TemporaryDirectory() as folder:
            paths = reading(folder, waveforms)
            ours, theirs = paired(
                lambda: transformer.fit_transform(pd.DataFrame({"path": paths})),
                lambda: [librosa_log_mel(librosa.load(path, sr=RATE)[0]) for path in paths],
            )
            what = "reading wav + log-mel, librosa.load one by one"
            yield {"what": what, "n_clips": N_CLIPS, "ours_s": ours, "peer_s": theirs, "ratio": theirs / ours}
    machine = {"n_train": 50, "n_test_normal": 25, "n_test_anomaly": 25, "duration": 10.0, "random_state": 0}
    for name in ("fan", "pump", "slider", "valve", "gearbox"):
        start = time.perf_counter()
        make_machine_clips(name, **machine)
        yield {"what": f"make_machine_clips, {name}", "n_clips": 100, "ours_s": time.perf_counter() - start}
    beyond, output = peak_memory(5000)
    yield {"what": "peak memory of 5000 paths", "beyond_output_bytes": beyond, "output_bytes": output}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    out = parser.parse_args().out
    write(rows(), out, "scipy", "librosa", "torchaudio", "soundfile")


if __name__ == "__main__":
    main()
