"""Batches of all classes and both domains."""

import numpy as np
import torch

from skasd.training import Rows, TrainingClips, by_class_and_domain


def drawn(kinds, batch_size, seed=0):
    """Labels of the batches of an epoch: twice the class, and one more in the target domain."""
    label = torch.as_tensor(np.asarray(kinds), dtype=torch.int64)
    data = Rows(TrainingClips({}, label, torch.float32), torch.arange(len(label)))
    rows = by_class_and_domain(batch_size)(data, torch.Generator().manual_seed(seed))
    assert len(rows) == len(label)
    return [label[part] for part in rows.split(batch_size)], rows


FEW_TARGETS = np.repeat([0, 1, 2, 3], [90, 10, 90, 10])


def test_every_batch_has_every_class_and_target_clips_of_each():
    batches, _ = drawn(FEW_TARGETS, 20)
    assert len(batches) == 10
    for batch in batches:
        counts = torch.bincount(batch, minlength=4).tolist()
        assert counts[0] + counts[1] == counts[2] + counts[3] == 10
        assert counts[1] == counts[3] == 2


def test_more_target_clips_where_there_are_more():
    batches, _ = drawn(np.repeat([0, 1], [50, 50]), 20)
    assert all(torch.bincount(batch).tolist() == [10, 10] for batch in batches)


def test_classes_of_one_domain():
    batches, _ = drawn(np.repeat([0, 3], [30, 10]), 8)
    assert all(torch.bincount(batch, minlength=4).tolist() == [4, 0, 0, 4] for batch in batches)


def test_clips_come_again_only_when_all_have_come():
    _, rows = drawn(np.zeros(40), 8)
    assert sorted(rows.tolist()) == list(range(40))
    _, rows = drawn(np.repeat([0, 2], [30, 10]), 8)
    counts = torch.bincount(rows, minlength=40)
    assert counts[:30].max() == 1
    assert counts[30:].tolist() == [2] * 10


def test_many_classes_take_turns():
    batches, _ = drawn(2 * (np.arange(400) % 20), 32)
    assert all(len(batch.unique()) <= 4 for batch in batches)
    assert all(len(batch.unique()) >= 2 for batch in batches)
    assert len(torch.cat(batches).unique()) == 20


def test_small_batches_and_one_class():
    for kinds in ([0, 1, 2, 3], [0, 0, 0], [0, 2]):
        batches, _ = drawn(kinds, 2)
        assert sum(map(len, batches)) == len(kinds)


def test_same_generator_same_order():
    assert torch.equal(drawn(FEW_TARGETS, 20, 3)[1], drawn(FEW_TARGETS, 20, 3)[1])
    assert not torch.equal(drawn(FEW_TARGETS, 20, 3)[1], drawn(FEW_TARGETS, 20, 4)[1])
