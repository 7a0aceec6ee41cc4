import subprocess
import sys

import numpy as np
import torch

from skasd.losses import text_embedding

LABELS = ["fan | source | speed 5", "fan | source | speed 6", "valve | target | pat 01"]


def test_labels_that_are_spelt_alike_lie_together():
    embedding = text_embedding(LABELS, 256)
    near, far = (embedding[0] @ embedding[other] for other in (1, 2))
    assert near > 0.6
    assert far < 0.4


def test_vectors_have_unit_length_and_equal_labels_are_one():
    embedding = text_embedding([*LABELS, LABELS[0], ""], 64)
    np.testing.assert_allclose(embedding.norm(dim=1), 1, rtol=1e-6)
    torch.testing.assert_close(embedding[0], embedding[3])


def test_another_process_gives_the_same():
    code = f"from skasd.losses import text_embedding; print(text_embedding({LABELS!r}, 16).sum(dim=0).tolist())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(text_embedding(LABELS, 16).sum(dim=0).tolist())
