import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from skasd.training import ClipStore
from skasd.training._batches import Batches, Rows, balanced
from skasd.training._data import TrainingClips
from tests.training.tiny import (
    SeenLabels,
    TinyObjective,
    assert_same_state,
    filled_store,
    fit,
    seeded_objective,
    waveforms,
)


def returned(store):
    return np.stack([clip["waveform"] for clip in store.clips()])


def rows_of(label, rows=None):
    """Each clip is a number, its position."""
    label = torch.as_tensor(label)
    inputs = {"waveform": torch.arange(len(label), dtype=torch.float32)[:, None]}
    clips = TrainingClips(inputs, label, torch.float32)
    return Rows(clips, torch.arange(len(label)) if rows is None else torch.as_tensor(rows))


def mapped_file(store):
    return Path(store.arrays["waveform"].filename)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sixteen_bit_waveforms_are_kept_as_int16_and_come_back_exactly(dtype):
    values = (np.arange(-32767, 32768) / 2**15).astype(dtype).reshape(5, -1)
    store = filled_store(values)
    assert store.arrays["waveform"].dtype == np.int16
    np.testing.assert_array_equal(returned(store), values)


def test_the_lowest_sixteen_bit_value_is_kept_as_int16():
    store = filled_store(np.full((2, 3), -1.0, dtype=np.float32))  # -32768, as in a clipped recording
    assert store.arrays["waveform"].dtype == np.int16


@pytest.mark.parametrize("foreign", [1 / 2**16, 1.0, 1.5, -3.0], ids=["between steps", "full scale", "high", "low"])
@pytest.mark.parametrize("position", [0, 2, 3])
def test_the_first_clip_that_int16_cannot_hold_widens_all(foreign, position):
    values = waveforms(4)
    values[position, 1] = foreign
    store = filled_store(values)
    assert store.arrays["waveform"].dtype == np.float32
    np.testing.assert_array_equal(returned(store), values)


def test_sixteen_bit_clips_after_one_that_is_not_come_back_exactly():
    values = waveforms(4)
    values[1] = np.float32(0.1)
    np.testing.assert_array_equal(returned(filled_store(values)), values)


def test_waveforms_of_full_precision_stay_float64():
    values = np.random.default_rng(0).standard_normal((3, 5))
    store = filled_store(values)
    assert store.arrays["waveform"].dtype == np.float64
    np.testing.assert_array_equal(returned(store), values)


def test_other_inputs_stay_as_they_came():
    values = np.zeros((3, 2, 5), dtype=np.float32)
    assert filled_store(values, name="log_mel").arrays["log_mel"].dtype == np.float32


def test_a_clip_that_could_not_be_read_is_passed_over():
    values = waveforms(3)
    store = ClipStore(3, np.inf)
    store.fill([None, {"waveform": values[1]}, {"waveform": values[2]}])
    np.testing.assert_array_equal(returned(store)[1:], values[1:])


def test_an_error_of_the_clips_passes_through():
    def clips():
        yield None
        raise ValueError("one clip could not be read")

    with pytest.raises(ValueError, match="could not be read"):
        ClipStore(2, np.inf).fill(clips())


def test_arrays_within_the_budget_stay_in_memory():
    store = filled_store(waveforms(4), memory_budget=4 * 4 * 2)
    assert not store.is_mapped


def test_arrays_above_the_budget_are_mapped_from_a_file_that_close_removes():
    values = waveforms(4)
    store = filled_store(values, memory_budget=4 * 4 * 2 - 1)
    file = mapped_file(store)
    assert store.is_mapped
    assert file.is_file()
    np.testing.assert_array_equal(returned(store), values)
    store.close()
    assert not file.parent.exists()


def test_the_budget_is_that_of_all_arrays_together():
    store = ClipStore(4, memory_budget=4 * 4 * 2 + 10)
    store.fill({"waveform": value, "log_mel": value} for value in waveforms(4))
    assert store.is_mapped
    store.close()


def test_widening_keeps_mapped_arrays_in_the_file():
    values = waveforms(4)
    values[2] = np.float32(0.1)
    store = filled_store(values, memory_budget=1)
    file = mapped_file(store)
    np.testing.assert_array_equal(returned(store), values)
    store.close()
    assert not file.parent.exists()


def test_widening_beyond_the_budget_maps_the_arrays():
    values = waveforms(4)
    values[2] = np.float32(0.1)
    store = filled_store(values, memory_budget=4 * 4 * 2)  # enough for int16, half of what float32 takes
    assert store.is_mapped
    store.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_floating_point_of_full_scale_one(dtype):
    values = waveforms(4)
    clips = TrainingClips.of(filled_store(values), np.arange(4), torch.device("cpu"), dtype)
    inputs, label = clips.take(torch.tensor([3, 1]))
    assert inputs["waveform"].dtype == dtype
    np.testing.assert_array_equal(inputs["waveform"].numpy(), values[[3, 1]])
    assert label.tolist() == [3, 1]


@pytest.mark.parametrize("options", [{}, {"validation_fraction": 0.3}, {"sampling": "balanced"}], ids=str)
def test_streamed_training_gives_the_weights_of_resident_training(options):
    resident, streamed = (fit(memory_budget=budget, **options).objective for budget in (np.inf, 1))
    assert_same_state(resident, streamed)


def test_a_broken_off_pass_over_streamed_clips_leaves_no_thread():
    store = filled_store(waveforms(8), memory_budget=1)
    clips = TrainingClips.of(store, np.arange(8), torch.device("cpu"), torch.float32)
    n_threads = threading.active_count()
    batches = iter(Batches(Rows(clips, torch.arange(8)), 2))
    next(batches)
    batches.close()
    assert threading.active_count() == n_threads
    store.close()


@pytest.mark.parametrize("size", [2, 3, 4, 7, 64])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 12, 64, 65, 129])
def test_every_row_is_in_one_of_as_many_batches_as_told(n, size):
    made = list(Batches(rows_of(np.arange(n)), size))
    assert len(made) == len(Batches(rows_of(np.arange(n)), size))
    assert torch.cat([label for _, label in made]).tolist() == list(range(n))


@pytest.mark.parametrize("n, sizes", [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (5, [5]), (1, [1])])
def test_a_last_batch_of_one_joins_the_one_before_it(n, sizes):
    assert [len(label) for _, label in Batches(rows_of(np.arange(n)), 4)] == sizes


def test_inputs_go_with_their_labels():
    batches = Batches(rows_of(np.arange(9)), 4, lambda data: data.rows.flip(0))
    assert all(inputs["waveform"][:, 0].tolist() == label.tolist() for inputs, label in batches)


def test_only_rows_of_the_data_set_are_taken():
    batches = Batches(rows_of(np.arange(9), rows=[2, 5, 7]), 2)
    assert torch.cat([label for _, label in batches]).tolist() == [2, 5, 7]


def seen(label=None, **options):
    """Labels of each epoch in the order of the steps; rows, if none are given."""
    watch, label = SeenLabels(), np.arange(10) if label is None else label
    fit(seeded_objective(TinyObjective, int(label.max()) + 1), label, callbacks=[watch], **options)
    return watch.of_epoch


def test_every_clip_is_seen_once_an_epoch():
    assert [sorted(rows) for rows in seen().values()] == [list(range(10))] * 3


def test_each_epoch_has_an_order_of_its_own():
    assert len({tuple(rows) for rows in seen().values()}) == 3


def test_another_seed_gives_another_order():
    assert seen(seed=0)[1] != seen(seed=1)[1]


@pytest.mark.parametrize("options", [{"max_epochs": 5}, {"batch_size": 2}, {"learning_rate": 0.1}], ids=str)
def test_order_depends_on_seed_and_epoch_only(options):
    with torch.random.fork_rng():
        torch.manual_seed(99)
        other = seen(**options)
    usual = seen()
    assert [other[epoch] for epoch in usual] == list(usual.values())


def test_balanced_sampling_draws_classes_equally():
    drawn = Counter(seen(np.repeat([0, 1, 2], [900, 80, 20]), sampling="balanced", max_epochs=1, batch_size=500)[1])
    assert sum(drawn.values()) == 1000
    assert max(abs(drawn[label] - 1000 / 3) for label in range(3)) < 60  # four standard deviations


def test_balanced_sampling_sees_no_held_out_clip():
    data = rows_of(np.arange(12), rows=[1, 4, 6])
    order = balanced(data, torch.Generator().manual_seed(0))
    assert set(order.tolist()) <= {1, 4, 6}
