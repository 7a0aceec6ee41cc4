"""Batches of all classes and both domains."""

import numpy as np
import pytest
import torch

from skasd.training._batches import Rows
from skasd.training._data import TrainingClips
from skasd.training._domains import by_class, by_class_and_domain


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


@pytest.mark.parametrize(("n_classes", "batch_size"), [(20, 32), (9, 64), (3, 16), (7, 20)])
def test_many_classes_take_turns(n_classes, batch_size):
    batches, _ = drawn(2 * (np.arange(40 * n_classes) % n_classes), batch_size)
    for batch in batches:
        counts = batch.unique(return_counts=True)[1]
        assert len(counts) == min(n_classes, max(2, len(batch) // 8), len(batch))
        assert counts.max() - counts.min() <= 1  # no class twice
    counts = torch.cat(batches).unique(return_counts=True)[1]
    assert len(counts) == n_classes
    assert counts.max() - counts.min() <= batch_size


@pytest.mark.parametrize("kinds", [[0, 1, 2, 3], [0, 0, 0], [0, 2]], ids=str)
def test_small_batches_and_one_class(kinds):
    batches, _ = drawn(kinds, 2)
    n_classes = len({kind // 2 for kind in kinds})
    assert all(len((batch // 2).unique()) == min(n_classes, len(batch)) for batch in batches)
    seen = {kind for seed in range(20) for batch in drawn(kinds, 2, seed)[0] for kind in batch.tolist()}
    assert seen == set(kinds)


def test_a_last_batch_is_as_mixed_as_the_others():
    kinds = np.repeat([0, 1, 2, 3], [8, 2, 8, 2])
    batches, rows = drawn(kinds, 64)
    assert len(batches) == 1
    assert sorted(rows.tolist()) == list(range(20))
    batches, _ = drawn(kinds, 12)
    assert [torch.bincount(batch // 2).tolist() for batch in batches] == [[6, 6], [4, 4]]
    assert all((torch.bincount(batch, minlength=4)[[1, 3]] == 2).all() for batch in batches)


def test_classes_alone_may_be_balanced():
    label = torch.as_tensor(np.repeat([0, 1, 2], [450, 50, 500]))
    data = Rows(TrainingClips({}, label, torch.float32), torch.arange(len(label)))
    kinds = label[by_class(data, torch.Generator().manual_seed(0))]
    assert (kinds == 2).double().mean() == pytest.approx(0.5, abs=0.05)
    assert (kinds == 1).double().mean() == pytest.approx(0.05, abs=0.02)  # a tenth of its class


def test_same_generator_same_order():
    assert torch.equal(drawn(FEW_TARGETS, 20, 3)[1], drawn(FEW_TARGETS, 20, 3)[1])
    assert not torch.equal(drawn(FEW_TARGETS, 20, 3)[1], drawn(FEW_TARGETS, 20, 4)[1])
