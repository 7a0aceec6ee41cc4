"""Networks with and without the warm-up of batch normalisation, after 4, 20 and 80 steps, on synthetic machines, over seeds.

64 training clips in two batches an epoch; small networks, and 32 log-mel bands.
"""

from skasd.benchmark import Entry, Suite
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
)
from skasd.features import LogMelTransformer
from skasd.objectives import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    PatchOptions,
    SegmentNetOptions,
)
from skasd.training import TrainingOptions

STEPS = (4, 20, 80)
DATA = {
    "kind": "synthetic",
    "machine_types": ("fan", "pump", "gearbox", "slider"),
    "n_train": 16,
    "n_test_normal": 15,
    "n_test_anomaly": 15,
    "duration": 1.5,
    "random_state": "seed",
}
MEL = {"frontend": LogMelTransformer(n_fft=512, hop_length=256, n_mels=32)}
BLOCKS = ((2, 32, 2, 2), (4, 64, 1, 2), (2, 64, 2, 1))
EMBEDDING = MobileFaceNetOptions(bottlenecks=BLOCKS, embedding_dim=64)
SEGMENTS = SegmentNetOptions(bottlenecks=BLOCKS, embedding_dim=64)
FAST = {"learning_rate": 1e-3, "batch_size": 32}
DETECTORS = {
    "OSSCLDetector": OSSCLDetector(("log_mel",), network=EMBEDDING, **FAST, **MEL),
    "StatClusterDetector": StatClusterDetector(branches=("log_mel",), network=EMBEDDING, **FAST, **MEL),
    "SelfSupervisedDetector": SelfSupervisedDetector(
        network=DualBranchNetOptions(n_ffts=(512,), embedding_dim=32), **FAST
    ),
    "ContrastiveSpectrumDetector": ContrastiveSpectrumDetector(network=SEGMENTS, batch_size=32, **MEL),
    "JointAECNNDetector": JointAECNNDetector(
        network=JointNetOptions(width=0.25),
        patches=PatchOptions(length=32, step=16),
        learning_rate=1e-3,
        batch_size=160,  # of 4 or 5 patches of each clip
        **MEL,
    ),
    # one network for each machine, fed with 90 windows of each of its 16 clips
    "AutoencoderDetector": AutoencoderDetector(learning_rate=1e-3, batch_size=720, **MEL),
}


def entry(detector, warmup, n_steps):
    """A detector trained for some steps, two an epoch, on all clips."""
    training = TrainingOptions(
        batch_norm_warmup=warmup, precision="float32", validation_fraction=0, calibration_fraction=0
    )
    params = detector.set_params(max_epochs=n_steps // 2, training=training).get_params(deep=False)
    tags = {"variant": type(detector).__name__, "steps": n_steps, "warmup": "with" if warmup else "without"}
    return Entry(type(detector)(**params), tags=tags)


suite = Suite(
    "norm_warmup",
    {"synthetic": DATA},
    {
        f"{name}, {n_steps} steps, {'with' if warmup else 'without'}": entry(detector, warmup, n_steps)
        for name, detector in DETECTORS.items()
        for n_steps in STEPS
        for warmup in (True, False)
    },
)
