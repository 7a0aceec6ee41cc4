"""Training of the joint system of 2021 against the published way, in one run.

    python benchmarks/speed/joint_ae_cnn.py --out benchmarks/speed/joint_ae_cnn.jsonl

Each row is one JSON line: clips per second of ours and of the peer, their ratio, peak memory, versions and machine. The
peer has the same networks, of torch's own layers in float32 and channels first, and a DataLoader whose items are
overlapping pieces of waveforms, each of which is made into a log-mel when it is asked for, as the published code does.
With the median filter of the paper, the peer filters each batch of pieces and ours each clip once; without it, neither
filters. Sides take turns, each in a process of its own; "same allocator" gives the peer, from outside, the settings of the C
library that we set from inside.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from measuring import in_process, peak_bytes, write
from training import REUSE, clips, table

N_CLASSES, BATCH, LENGTH, STEP = 3, 32, 1024 + 63 * 512, 8 * 512
EPOCHS, MEDIAN = 2, 31


def ours(n_clips, median):
    """Clips per second of the epochs but the first."""
    from skasd.detectors import JointAECNNDetector

    waveforms, label = clips(n_clips)
    settings = {"median_filter": median, "max_epochs": EPOCHS, "batch_size": BATCH, "random_state": 0, "device": "cpu"}
    detector = JointAECNNDetector(**settings).fit(table(waveforms, label % N_CLASSES))
    return {"train": n_clips / float(np.median([epoch["dur"] for epoch in detector.history_[1:]]))}


def peer(n_clips, median):
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, Dataset

    from skasd._mel import MelDefinition
    from skasd.losses import two_view_loss
    from skasd.networks import JointNet, LogMelNet
    from skasd.networks._joint import flattened, running_median

    waveforms, label = clips(n_clips)
    n_pieces = (waveforms.shape[1] - LENGTH) // STEP + 1
    log_mel = LogMelNet(_definition(MelDefinition))

    class Pieces(Dataset):
        def __len__(self):
            return n_clips * n_pieces

        def __getitem__(self, index):
            clip, piece = divmod(index, n_pieces)
            waveform = torch.from_numpy(waveforms[clip, piece * STEP : piece * STEP + LENGTH])
            with torch.no_grad():
                return log_mel(waveform[None])[0].T, int(label[clip]) % N_CLASSES

    torch.manual_seed(0)
    network = plain(JointNet(128, 64, N_CLASSES)).to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for patch, target in DataLoader(Pieces(), BATCH, shuffle=True):
            patch = patch if median is None else running_median(patch, median)
            image = patch.transpose(1, 2)[:, None].contiguous()
            features = network.backbone(image)
            features = features.mean(dim=2).mean(dim=2) + features.mean(dim=2).amax(dim=2)
            values = flattened(patch)
            code = network.autoencoder.encoder(values)
            views = [functional.normalize(view) for view in network.views(features, code)]
            loss = functional.cross_entropy(network.logits(features), target)
            loss = loss + functional.mse_loss(network.autoencoder.decoder(code), values) + two_view_loss(*views)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        seconds.append(time.perf_counter() - start)
    return {"train": n_clips / float(np.median(seconds[1:]))}


def _definition(kind):
    from skasd.features import LogMelTransformer

    chosen = LogMelTransformer(norm=None, mel_scale="htk", center=False, top_db=120.0)
    return kind(**{name: getattr(chosen, name) for name in kind.__dataclass_fields__})


def plain(module):
    """The same network of torch's own layers."""
    from torch import nn

    from skasd.networks._cpu_layers import DepthwiseConv2d, NormActivation

    for name, child in module.named_children():
        if isinstance(child, NormActivation):
            setattr(module, name, nn.Sequential(child.norm, child.activation))
        elif isinstance(child, DepthwiseConv2d):
            size, stride, groups = child.kernel_size, child.stride, child.groups
            own = nn.Conv2d(groups, groups, size, stride, size[0] // 2, groups=groups, bias=False)
            own.load_state_dict(child.state_dict())
            setattr(module, name, own)
        else:
            plain(child)
    return module


SIDES = {"ours": ours, "peer": peer}


def rows(n_clips, rounds, median):
    sides = {"ours": ("ours", {}), "as it is": ("peer", {}), "same allocator": ("peer", REUSE)}
    measured = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (side, settings) in sides.items():
            measured[name].append(in_process(__file__, side, n_clips, median or 0, settings=settings))
    medians = {
        name: {key: float(np.median([row[key] for row in some])) for key in some[0]} for name, some in measured.items()
    }
    for name in ("as it is", "same allocator"):
        mine, theirs = medians["ours"], medians[name]
        yield {
            "what": "training",
            "median_filter": median,
            "peer": name,
            "unit": "clips/s",
            "ours": mine["train"],
            "theirs": theirs["train"],
            "ratio": mine["train"] / theirs["train"],
            "ours_peak_bytes": mine["peak"],
            "peer_peak_bytes": theirs["peak"],
            "n_clips": n_clips,
            "rounds": rounds,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=48, help="clips of ten seconds, of 31 patches each")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each side")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        side, n_clips, median = arguments.worker
        print(json.dumps({**SIDES[side](int(n_clips), int(median) or None), "peak": peak_bytes()}))
        return
    medians = (MEDIAN, None)
    write(
        (row for median in medians for row in rows(arguments.clips, arguments.rounds, median)), arguments.out, "skorch"
    )


if __name__ == "__main__":
    main()
