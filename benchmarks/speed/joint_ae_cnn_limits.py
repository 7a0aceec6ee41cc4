"""What limits the training of the joint system of 2021 on a processor, and what torch's settings change; all in one run.

    python benchmarks/speed/joint_ae_cnn_limits.py --out benchmarks/speed/joint_ae_cnn_limits.jsonl

Rows "setting" are clips per second of a fit with one thing changed, and its ratios to the published loop, the peer of
`joint_ae_cnn.py`, as it is and with the allocator's settings that ours has. Sides take turns, each in a process of its own;
figures are medians over rounds. How much longer the first epoch takes tells what compiling costs, with an empty cache. Rows
"limit" set one step of the network against the machine: its floating-point operations over those per second of a product of
matrices, and the bytes that its layers move, one layer after another and all through memory, over those per second of a
copy.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from joint_ae_cnn import BATCH, N_CLASSES, peer
from measuring import in_process, peak_bytes, write
from training import REUSE, clips, table

from skasd.networks import JointNet
from skasd.networks._joint import flattened

EPOCHS = 3
SETTINGS = {
    "default": {},
    "float32": {"training__precision": "float32"},
    "channels first": {"training__channels_last": False},
    "float32, channels first": {"training__precision": "float32", "training__channels_last": False},
    "compiled": {"training__compile": True},
    "batches of 128": {"batch_size": 128},
}
PEERS = {"as it is": {}, "same allocator": REUSE}
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


def fitted(name, n_clips):
    """A fit of one setting, with an empty cache of compiled kernels."""
    with tempfile.TemporaryDirectory() as cache:
        return in_process(__file__, "setting", name, n_clips, settings={"TORCHINDUCTOR_CACHE_DIR": cache})


def rows(n_clips, n_rounds):
    rounds = []
    for _ in range(n_rounds):
        peers = {way: in_process(__file__, "peer", "", n_clips, settings=of) for way, of in PEERS.items()}
        rounds.append({**peers, **{name: fitted(name, n_clips) for name in SETTINGS}})
    rates = {name: float(np.median([each[name]["train"] for each in rounds])) for name in rounds[0]}
    for name in SETTINGS:
        yield {
            "what": "setting",
            "name": name,
            "unit": "clips/s",
            "ours": rates[name],
            "theirs": rates["as it is"],
            "ratio": rates[name] / rates["as it is"],
            "theirs_same_allocator": rates["same allocator"],
            "ratio_same_allocator": rates[name] / rates["same allocator"],
            "longer_first": float(np.median([each[name]["longer_first"] for each in rounds])),
            "rounds": n_rounds,
        }
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
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, name, n_clips = arguments.worker
        print(json.dumps({**worker(kind, name, int(n_clips)), "peak": peak_bytes()}))
        return
    write(rows(arguments.clips, arguments.rounds), arguments.out, "skorch")


if __name__ == "__main__":
    main()
