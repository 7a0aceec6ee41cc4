"""What limits the training of the joint system of 2021 on a processor, and what torch's settings change; all in one run.

    python benchmarks/speed/joint_ae_cnn_limits.py --out benchmarks/speed/joint_ae_cnn_limits.jsonl

Rows "setting" are clips per second of a fit with one thing changed, and its ratio to the published loop, the peer of
`joint_ae_cnn.py`; the time before the second epoch tells what compiling costs. Rows "limit" set one step of the network
against the machine: its floating-point operations over those per second of a product of matrices, and the bytes that its
layers have to move over those per second of a copy. Nothing can be faster than the slower of the two.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from joint_ae_cnn import BATCH, N_CLASSES, peer
from measuring import in_process, peak_bytes, write
from training import clips, table

from skasd.networks import JointNet
from skasd.networks._joint import flattened

EPOCHS = 3
SETTINGS = {
    "default": {},
    "float32": {"training__precision": "float32"},
    "channels first": {"training__channels_last": False},
    "compiled": {"training__compile": True},
    "batches of 128": {"batch_size": 128},
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LARGE, COPIED = 2048, 2**26  # side of a matrix; numbers to copy


def setting(name, n_clips):
    """Clips per second after the first epoch, and the seconds that the first one takes longer."""
    from skasd.detectors import JointAECNNDetector

    waveforms, label = clips(n_clips)
    usual = {"median_filter": None, "max_epochs": EPOCHS, "batch_size": BATCH, "random_state": 0, "device": "cpu"}
    detector = JointAECNNDetector().set_params(**{**usual, **SETTINGS[name]})
    seconds = [epoch["dur"] for epoch in detector.fit(table(waveforms, label % N_CLASSES)).history_]
    later = float(np.median(seconds[1:]))
    return {"train": n_clips / later, "longer_first": seconds[0] - later}


def best(function, n_times=5):
    """Least seconds of several calls."""
    seconds = []
    for _ in range(n_times):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def loss_of(network, patch):
    """What a step differentiates: outputs of both networks."""
    values = flattened(patch)
    rebuilt = network.autoencoder.decoder(network.autoencoder.encoder(values))
    return network.logits(network.features(patch)).square().mean() + (rebuilt - values).square().mean()


def bytes_of(network, step):
    """Bytes that the layers move in a step at least: input and output forward, and both with their gradients back."""
    moved = []

    def note(_, inputs, output):
        moved.append(sum(value.numel() * value.element_size() for value in (*inputs, output)))

    hooks = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    step()
    for hook in hooks:
        hook.remove()
    return 3 * sum(moved)


def limit(name, _):
    """Operations and bytes of a step, those that the machine makes in a second, and the seconds that a step takes."""
    from torch.utils.flop_counter import FlopCounterMode

    dtype = DTYPES[name]
    torch.manual_seed(0)
    network, patch = JointNet(128, 64, N_CLASSES).train(), torch.randn(BATCH, 64, 128)

    def step():
        loss_of(network, patch).backward()

    with FlopCounterMode(display=False) as counter:  # of the backward pass it counts grouped convolutions as full ones
        loss_of(network, patch)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32, cache_enabled=False):
        n_bytes = bytes_of(network, step)
        seconds = best(step)
    one, other = torch.randn(2, LARGE, LARGE).to(dtype)
    source = torch.randn(COPIED)
    target = torch.empty_like(source)
    return {
        "flops": 3 * counter.get_total_flops(),  # backward twice as many as forward
        "bytes": n_bytes,
        "seconds": seconds,
        "flops_per_second": 2 * LARGE**3 / best(lambda: one @ other),
        "bytes_per_second": 2 * 4 * COPIED / best(lambda: target.copy_(source)),
    }


def rows(n_clips):
    theirs = in_process(__file__, "peer", "", n_clips)["train"]
    for name in SETTINGS:
        mine = in_process(__file__, "setting", name, n_clips)
        rates = {"ours": mine["train"], "theirs": theirs, "ratio": mine["train"] / theirs}
        yield {"what": "setting", "name": name, "unit": "clips/s", **rates, "longer_first": mine["longer_first"]}
    for name in DTYPES:
        found = in_process(__file__, "limit", name, n_clips)
        least = {kind: found[kind] / found[f"{kind}_per_second"] for kind in ("flops", "bytes")}
        shares = {f"seconds_of_{kind}": seconds for kind, seconds in least.items()}
        yield {"what": "limit", "name": name, **found, **shares, "share": max(least.values()) / found["seconds"]}


def worker(kind, name, n_clips):
    if kind == "peer":
        return peer(n_clips, None)
    return {"setting": setting, "limit": limit}[kind](name, n_clips)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=32, help="clips of ten seconds, of 31 patches each")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, name, n_clips = arguments.worker
        print(json.dumps({**worker(kind, name, int(n_clips)), "peak": peak_bytes()}))
        return
    write(rows(arguments.clips), arguments.out, "skorch")


if __name__ == "__main__":
    main()
