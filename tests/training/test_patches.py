import numpy as np
import pytest
import torch

from skasd.training import PatchStore
from skasd.training._batches import Batches, Rows
from skasd.training._patches import as_patches, patch_starts, repeated

CPU = torch.device("cpu")


def clip(n_frames, n_bands=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n_bands, n_frames)).astype(np.float32)


@pytest.fixture(params=[1e9, 10], ids=["in memory", "in a file"])
def store(request):
    """Clips of 10, 4 and 2 frames; patches of 4, two frames apart."""
    made = PatchStore(3, request.param, length=4, step=2)
    made.fill([clip(10, seed=0), clip(4, seed=1), clip(2, seed=2)])
    yield made
    made.close()


def patches_of(store, label=(0, 1, 2)):
    return store.on(CPU, torch.float32, np.array(label))


def test_number_of_patches_of_ten_seconds():
    assert len(patch_starts(311, 64, 8)) == 31
    assert patch_starts(311, 64, 8)[-1] == 240
    assert len(patch_starts(313, 5, 1)) == 309
    assert len(patch_starts(313, 64, 1)) == 250


def test_patches_are_the_frames_of_their_clips(store):
    patches = patches_of(store)
    assert len(patches) == 4 + 1 + 1
    inputs, label = patches.take(torch.arange(6))
    assert inputs["patch"].shape == (6, 4, 3)
    assert label.tolist() == [0, 0, 0, 0, 1, 2]
    for row, first in enumerate((0, 2, 4, 6)):
        np.testing.assert_array_equal(inputs["patch"][row].T, clip(10, seed=0)[:, first : first + 4])
    np.testing.assert_array_equal(inputs["patch"][4].T, clip(4, seed=1))


def test_a_short_clip_is_repeated_to_a_patch(store):
    inputs, _ = patches_of(store).take(torch.tensor([5]))
    np.testing.assert_array_equal(inputs["patch"][0].T, np.tile(clip(2, seed=2), 2))


def test_clips_come_out_as_they_came_in(store):
    for made, expected in zip(
        store.clips(), (clip(10, seed=0), clip(4, seed=1), repeated(clip(2, seed=2), 4)), strict=True
    ):
        np.testing.assert_array_equal(made, expected)


def test_rows_of_a_clip_are_all_its_patches(store):
    assert store.rows_of(np.array([0, 2])).tolist() == [0, 1, 2, 3, 5]
    assert store.rows_of(np.array([1])).tolist() == [4]


def test_batches_take_every_patch_once(store):
    patches = patches_of(store)
    batches = list(Batches(Rows(patches, torch.tensor([5, 3, 1, 0])), 2))
    assert [label.tolist() for _, label in batches] == [[2, 0], [0, 0]]


def test_patches_are_a_view():
    frames = torch.arange(30.0).reshape(10, 3)
    view = as_patches(frames, 4)
    assert view.shape == (7, 4, 3)
    assert view.data_ptr() == frames.data_ptr()
    assert view.untyped_storage().nbytes() == frames.untyped_storage().nbytes()
    torch.testing.assert_close(view[2], frames[2:6])


def test_memory_is_that_of_the_frames_and_not_of_the_patches():
    store = PatchStore(10, 1e9, length=64, step=1)
    store.fill(clip(200, 16, seed) for seed in range(10))
    patches = store.on(CPU, torch.float32, np.zeros(10, dtype=np.int64))
    assert len(patches) == 10 * 137
    assert patches.frames.untyped_storage().nbytes() == 10 * 200 * 16 * 4


def test_longer_clips_than_the_first_find_room():
    store = PatchStore(3, 1e9, length=2, step=1)
    clips = [clip(n_frames, seed=n_frames) for n_frames in (3, 50, 7)]
    store.fill(clips)
    for made, expected in zip(store.clips(), clips, strict=True):
        np.testing.assert_array_equal(made, expected)


def test_what_could_not_be_read_is_passed_over_until_its_error():
    def failing():
        yield clip(5)
        yield None
        raise ValueError("1 of 2 clips cannot be used")

    with pytest.raises(ValueError, match="1 of 2 clips"):
        PatchStore(2, 1e9, length=4, step=2).fill(failing())


def test_the_temporary_file_is_removed():
    store = PatchStore(2, 10, length=4, step=2)
    store.fill([clip(5), clip(6)])
    folder = store._file.parent
    assert store.is_mapped
    assert folder.exists()
    store.close()
    assert not folder.exists()
