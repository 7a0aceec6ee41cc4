import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from skasd.detectors import OSSCLDetector
from skasd.features import (
    LogMelTransformer,
    MedianFilter,
    NoiseReducedLogMel,
    StatisticsTransformer,
    TFgramTransformer,
    TWFRTransformer,
)
from skasd.objectives import MobileFaceNetOptions

TRANSFORMERS = [
    TFgramTransformer(
        OSSCLDetector(
            network=MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8),
            frontend=LogMelTransformer(n_fft=32, hop_length=16, n_mels=8, short_clips="tile"),
            max_epochs=1,
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
]


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
@pytest.mark.filterwarnings("ignore:y contains labels other than")  # scikit-learn's checks use 0, 1 and 2
def test_every_common_check_passes(transformer):
    counts = Counter(result["status"] for result in check_estimator(transformer, on_skip=None))
    assert counts["passed"] >= 46, counts
    assert counts["skipped"] <= 1, counts  # the array API one


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_pickled_transformer_gives_the_same(transformer):
    X = np.random.default_rng(0).standard_normal((2, 3000))
    fitted = transformer.fit(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
