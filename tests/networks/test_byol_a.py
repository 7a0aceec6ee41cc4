import pytest
import torch

from skasd.networks import BYOLANet, folded


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_as_many_parameters_as_published():
    assert count(BYOLANet(64, 2048)) == 5_321_856


@pytest.mark.parametrize("n_frames", [8, 64, 101])
def test_images_of_any_width_become_embeddings(n_frames):
    network = BYOLANet(128).eval()
    assert network(torch.randn(3, 1, 128, n_frames)).shape == (3, 128)


def test_layers_follow_the_table():
    torch.manual_seed(0)
    network = BYOLANet(16, 12).double().eval()
    image = torch.randn(2, 1, 16, 24, dtype=torch.float64)
    x = image
    for convolution, norm, pool in zip(*(iter(network.convolutions),) * 3, strict=True):
        assert convolution.kernel_size == (3, 3)
        x = pool(torch.relu(norm.norm(convolution(x))))
    assert x.shape == (2, 64, 2, 3)
    first, _, _, second, _ = network.of_frame
    frames = torch.stack([x[:, :, :, frame].transpose(1, 2).flatten(1) for frame in range(3)], dim=1)
    hidden = torch.relu(second(torch.relu(first(frames))))
    torch.testing.assert_close(network(image), hidden.max(dim=1).values + hidden.mean(dim=1))


def test_folded_it_gives_the_same():
    network = BYOLANet(16, 12).eval()
    image = torch.randn(2, 1, 16, 24)
    torch.testing.assert_close(folded(network)(image), network(image))
