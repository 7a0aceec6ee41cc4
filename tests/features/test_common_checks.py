import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from skasd.detectors import OSSCLDetector
from skasd.features import (
    LogMelTransformer,
    MedianFilter,
    NoiseReducedLogMel,
    PretrainedEmbedding,
    StatisticsTransformer,
    TFgramTransformer,
    TWFRTransformer,
)
from skasd.objectives import MobileFaceNetOptions


def levels(waveforms):
    """Levels of frames of up to 8 samples, and their squares: (n_windows, n_frames, 2)."""
    frames = torch.nn.functional.pad(waveforms, (0, -waveforms.shape[1] % 8)).unfold(1, 8, 8).abs().mean(dim=2)
    return torch.stack([frames, frames.square()], dim=2)


TRANSFORMERS = [
    TFgramTransformer(
        OSSCLDetector(
            network=MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8),
            frontend=LogMelTransformer(n_fft=32, hop_length=16, n_mels=8, short_clips="tile"),
            max_epochs=1,
            batch_size=64,
            random_state=0,
        )
    ),
    LogMelTransformer(),
    LogMelTransformer(flatten=True),
    NoiseReducedLogMel(np.random.default_rng(0).standard_normal((2, 3000))),
    MedianFilter(),
    MedianFilter(axis="frequency"),
    TWFRTransformer(),
    StatisticsTransformer(("r0.5", "q0.25", "dynamics", "modulation", "level", "spread")),
    PretrainedEmbedding(
        levels, device="cpu"
    ),  # a function: scikit-learn compares parameters by hashes that modules lack
    PretrainedEmbedding(levels, window=0.001, hop=0.0005, time_pooling="rank", r=0.5, batch_size=3, device="cpu"),
]
NAMES = [f"{type(transformer).__name__} {number}" for number, transformer in enumerate(TRANSFORMERS)]


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=NAMES)
@pytest.mark.filterwarnings("ignore:y contains labels other than")  # scikit-learn's checks use 0, 1 and 2
def test_every_common_check_passes(transformer):
    counts = Counter(result["status"] for result in check_estimator(transformer, on_skip=None))
    assert counts["passed"] >= 46, counts
    assert counts["skipped"] <= 1, counts  # the array API one


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=NAMES)
def test_threads_change_nothing(transformer, request):
    X = np.random.default_rng(0).standard_normal((20, 16000))  # a few clips, or short ones, are not worth threads
    fitted = clone(transformer).fit(X[:2])
    usual = fitted.transform(X)  # of one thread
    request.getfixturevalue("two_cores")
    np.testing.assert_array_equal(fitted.transform(X), usual)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=NAMES)
def test_pickled_transformer_gives_the_same(transformer):
    X = np.random.default_rng(0).standard_normal((2, 3000))
    fitted = transformer.fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
