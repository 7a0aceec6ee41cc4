"""Peers that a user would pick, and the log-mel beside the limits of the machine: all in one run.

    python benchmarks/speed/peers.py --out benchmarks/speed/peers.jsonl

Clips are ten seconds of noise at 16 kHz in memory. A row is one JSON line: what, processor seconds of one thread of ours and
of the peer, their ratio, and the load of the machine. Fits are compared by seconds per clip, as the autoencoder of PyOD is
fitted to fewer clips; it has its own 40 epochs. Each side has a process of its own, and figures are the smallest of rounds,
but for fits, which run once. The peers are

- the audio autoencoder of PyOD, `AudioAE`: log-mel windows by librosa, a dense autoencoder on torch;
- means and standard deviations of 20 MFCCs by librosa, and an isolation forest of scikit-learn;
- the log-mel by torchaudio in batches of 64, where it can be imported, and the same by `torch.stft`.

The last rows hold what the log-mel of one clip takes, by the formulas below, beside what this machine reaches in the same
run: bytes that have to be moved once, beside a copy of a large array, and floating-point operations, beside a product of
matrices. `of_fft` is the share of its time that the Fourier transforms alone take, with nothing else.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from measuring import in_process, write

RATE, SECONDS = 16000, 10
MEL = {"n_fft": 2048, "hop_length": 512, "n_mels": 128}
N_CLIPS, N_PEER_CLIPS, BATCH = 1000, 100, 64
ROUNDS = 3
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
COPIED, WIDTH = 2**26, 2048  # floats that are copied, rows and columns of matrices


def noise(n_clips):
    return 0.1 * np.random.default_rng(0).standard_normal((n_clips, RATE * SECONDS), dtype=np.float32)


def seconds(function, rounds=ROUNDS):
    """Smallest processor seconds of a function."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


# Sides: seconds per clip of a fit, of scoring many clips, and of one


def side(fit, score, n_clips, clips=None):
    clips = noise(N_CLIPS) if clips is None else clips
    return {
        "fit": seconds(lambda: fit(clips[:n_clips]), 1) / n_clips,
        "many": seconds(lambda: score(clips), 1) / len(clips),
        "one": seconds(lambda: [score(clips[:1]) for _ in range(10)]) / 10,
    }


def our(name):
    def measured(n_clips):
        from skasd import detectors

        detector = getattr(detectors, name)(n_jobs=1)
        return side(detector.fit, detector.score_samples, n_clips)

    return measured


def audio_ae(n_clips):
    import torch
    from pyod.models.audio_ae import AudioAE

    torch.set_num_threads(1)
    detector = AudioAE(sr=RATE, device="cpu")
    clips = [(clip, RATE) for clip in noise(N_CLIPS)]
    return side(detector.fit, detector.decision_function, n_clips, clips)


def mfcc_forest(n_clips):
    import librosa
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=0)

    def features(clips):
        coefficients = [librosa.feature.mfcc(y=clip, sr=RATE, **MEL) for clip in clips]
        return np.array([np.r_[of_clip.mean(axis=1), of_clip.std(axis=1)] for of_clip in coefficients])

    return side(lambda clips: forest.fit(features(clips)), lambda clips: forest.score_samples(features(clips)), n_clips)


# Log-mel


def our_log_mel(n_clips):
    from skasd.features import LogMelTransformer

    clips, transformer = noise(n_clips), LogMelTransformer(n_jobs=1, **MEL)
    return {"many": seconds(lambda: transformer.fit_transform(clips)) / n_clips}


def batched_log_mel(mel, n_clips):
    import torch

    torch.set_num_threads(1)
    clips = torch.from_numpy(noise(n_clips))
    with torch.inference_mode():
        return {
            "many": seconds(lambda: [10 * mel(part).clamp(min=1e-10).log10() for part in clips.split(BATCH)]) / n_clips
        }


def stft_log_mel(n_clips):
    from yardstick import StftMelSpectrogram

    return batched_log_mel(StftMelSpectrogram(), n_clips)


def torchaudio_log_mel(n_clips):
    try:
        from torchaudio.transforms import MelSpectrogram
    except (ImportError, OSError, RuntimeError) as error:
        return {"many": None, "reason": f"torchaudio cannot be imported: {str(error).splitlines()[0]}"}
    return batched_log_mel(MelSpectrogram(RATE, norm="slaney", mel_scale="slaney", **MEL), n_clips)


def work_of_log_mel():
    """Floating-point operations and bytes of the log-mel of one clip.

    Of each frame: a product with the window; 2.5 N log2 N operations of a real Fourier transform; three for the power of a
    bin; two for each weight of the filterbank that is not 0; three for the floor, the logarithm and its scale of a band. The
    waveform is read and the spectrogram written once; frames, spectra and energies stay in the cache.
    """
    from skasd.features import LogMelTransformer

    n_frames, n_fft = 1 + RATE * SECONDS // MEL["hop_length"], MEL["n_fft"]
    definition = LogMelTransformer(**MEL)._definition()
    weights = np.count_nonzero(definition.filterbank())
    per_frame = n_fft + 2.5 * n_fft * np.log2(n_fft) + 3 * (n_fft // 2 + 1) + 2 * weights + 3 * MEL["n_mels"]
    return float(n_frames * per_frame), 4.0 * (RATE * SECONDS + MEL["n_mels"] * n_frames)


def limits(n_clips):
    """What this machine reaches on one thread, and what the log-mel takes."""
    import scipy.fft
    import torch

    torch.set_num_threads(1)
    source, target = np.ones(COPIED, dtype=np.float32), np.empty(COPIED, dtype=np.float32)
    one, other = torch.from_numpy(source), torch.from_numpy(target)
    copies = seconds(lambda: np.copyto(target, source), 5), seconds(lambda: other.copy_(one), 5)
    matrix = np.ones((WIDTH, WIDTH), dtype=np.float32)
    products = seconds(lambda: matrix @ matrix, 5), seconds(lambda: torch.mm(*2 * (torch.from_numpy(matrix),)), 5)
    clip = np.pad(noise(1)[0], MEL["n_fft"] // 2)
    frames = np.lib.stride_tricks.sliding_window_view(clip, MEL["n_fft"])[:: MEL["hop_length"]]
    blocks = [np.ascontiguousarray(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH)]
    flops, moved = work_of_log_mel()
    return {
        "bandwidth": 2 * source.nbytes / min(copies),
        "flops": 2 * WIDTH**3 / min(products),
        "fft": seconds(lambda: [scipy.fft.rfft(block, axis=1) for _ in range(20) for block in blocks]) / 20,
        "many": our_log_mel(n_clips)["many"],
        "flops_of_clip": flops,
        "bytes_of_clip": moved,
    }


SIDES = {
    "StatisticsDetector": our("StatisticsDetector"),
    "TWFRDetector": our("TWFRDetector"),
    "AudioAE of PyOD": audio_ae,
    "MFCC of librosa + isolation forest": mfcc_forest,
    "LogMelTransformer": our_log_mel,
    "torch.stft, batches of 64": stft_log_mel,
    "torchaudio, batches of 64": torchaudio_log_mel,
    "limits": limits,
}
STEPS = {"fit": "fit, per clip", "many": "score of 1000, per clip", "one": "score of one"}


def compared(what, ours, peer, sides):
    """Rows of one of ours beside a peer."""
    for step, title in STEPS.items():
        if step in sides[ours] and step in sides[peer]:
            mine, theirs = sides[ours][step], sides[peer][step]
            ratio = None if theirs is None else theirs / mine
            row = {"what": what or title, "ours": ours, "peer": peer, "ours_s": mine, "peer_s": theirs, "ratio": ratio}
            yield {**row, "load": sides[ours]["load"]} | ({"reason": sides[peer]["reason"]} if theirs is None else {})


def rows(n_clips, n_peer_clips):
    sizes = {"AudioAE of PyOD": n_peer_clips}
    sides = {name: in_process(__file__, name, sizes.get(name, n_clips), settings=ONE_THREAD) for name in SIDES}
    for ours in ("StatisticsDetector", "TWFRDetector"):
        for peer in ("AudioAE of PyOD", "MFCC of librosa + isolation forest"):
            yield from compared(None, ours, peer, sides)
    for peer in ("torch.stft, batches of 64", "torchaudio, batches of 64"):
        yield from compared("log-mel, per clip", "LogMelTransformer", peer, sides)
    machine = sides["limits"]
    clip_seconds, load = machine["many"], machine["load"]
    for what, work, limit in (
        ("log-mel, of memory bandwidth", "bytes_of_clip", "bandwidth"),
        ("log-mel, of flops of a matrix product", "flops_of_clip", "flops"),
    ):
        reached = machine[work] / clip_seconds
        row = {
            "what": what,
            "ours": "LogMelTransformer",
            "peer": limit,
            "work_of_clip": machine[work],
            "reached": reached,
        }
        row |= {"limit": machine[limit]}
        yield {**row, "share": reached / machine[limit], "seconds_of_clip": clip_seconds, "load": load}
    share = machine["fft"] / clip_seconds
    yield {
        "what": "log-mel, of_fft",
        "ours": "LogMelTransformer",
        "peer": "rfft",
        "share": share,
        "seconds_of_clip": clip_seconds,
        "load": load,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=N_CLIPS)
    parser.add_argument(
        "--peer-clips", type=int, default=N_PEER_CLIPS, help="to which the autoencoder of PyOD is fitted"
    )
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, n_clips = arguments.worker
        print(json.dumps({**SIDES[name](int(n_clips)), "load": os.getloadavg()[0]}))
        return
    write(
        rows(arguments.clips, arguments.peer_clips),
        arguments.out,
        "scipy",
        "librosa",
        "pyod",
        "scikit-learn",
        "torchaudio",
    )


if __name__ == "__main__":
    main()
