import pytest
import torch
from torch.nn import functional

from skasd.networks import MobileFaceNet, SegmentNet
from skasd.networks._segments import random_segments, segments


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Mean(torch.nn.Module):
    """Mean over frames of each band."""

    def forward(self, image):
        return image.mean(dim=3)[:, 0]


def test_segments_are_spread_from_the_first_frame_to_the_last():
    frames = torch.arange(313.0).expand(2, 3, 313)
    parts = segments(frames, 5, 64)
    assert parts.shape == (2, 5, 3, 64)
    assert parts[0, :, 0, 0].tolist() == [0, 62, 124, 186, 249]
    assert parts[1, -1, 2, -1] == 312


def test_clips_of_one_segment():
    assert segments(torch.arange(8.0)[None, None], 3, 8).shape == (1, 3, 1, 8)
    assert segments(torch.arange(12.0)[None, None], 1, 8)[0, 0, 0].tolist() == list(range(2, 10))


def test_random_segments_begin_anywhere():
    frames = torch.arange(12.0).expand(3000, 2, 12)
    made = random_segments(frames, 8, generator())
    torch.testing.assert_close(made.diff(dim=2), torch.ones(3000, 2, 7))
    counts = made[:, 0, 0].unique(return_counts=True)
    assert counts[0].tolist() == [0, 1, 2, 3, 4]
    assert (counts[1] - 600).abs().max() < 110  # 5 standard deviations
    assert torch.equal(random_segments(frames, 12, generator()), frames)


def test_the_embedding_of_a_clip_is_the_mean_of_unit_embeddings():
    log_mel = torch.randn(3, 4, 20, generator=generator())
    network = SegmentNet(torch.nn.Identity(), Mean(), 2, 8)
    first, last = functional.normalize(log_mel[:, :, :8].mean(2)), functional.normalize(log_mel[:, :, -8:].mean(2))
    expected = functional.normalize((first + last) / 2)
    torch.testing.assert_close(network({"log_mel": log_mel}), expected)


def test_what_normalises_sees_segments():
    seen = []
    normalise = torch.nn.Module()
    normalise.forward = lambda x: seen.append(x.shape) or x
    SegmentNet(normalise, Mean(), 3, 8)({"log_mel": torch.randn(2, 4, 20)})
    assert seen == [(6, 4, 8)]


@pytest.mark.parametrize(("n_frames", "expected"), [(313, 869_760), (64, 804_224)])
def test_an_encoder_has_as_many_parameters_as_specified(n_frames, expected):
    network = MobileFaceNet(1, (128, n_frames)).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    assert network(torch.randn(2, 1, 128, n_frames)).shape == (2, 128)
