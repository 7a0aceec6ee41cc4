import pytest
import torch

from skasd.augmentations import Exchange, draw_exchange, exchanged_parts, exchanged_statistics, exchanged_target

SECOND = Exchange(torch.tensor([False, True]), torch.tensor([1, 0]))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_labels_of_two_classes():
    expected = torch.tensor([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0]])
    torch.testing.assert_close(exchanged_target(torch.eye(2), SECOND), expected)


@pytest.mark.parametrize("n_parts", [2, 3, 4])
def test_rows_have_the_sum_one(n_parts):
    target = torch.rand(8, 5, generator=generator()).softmax(dim=1)
    made = exchanged_target(target, draw_exchange(8, 0.5, generator()), n_parts)
    assert made.shape == (8, 5 * (n_parts + 1))
    torch.testing.assert_close(made.sum(dim=1), torch.ones(8))


def test_first_part_stays_and_others_come_from_the_partner():
    first, second, third = torch.randn(3, 2, 4, generator=generator())
    parts = exchanged_parts([first, second, third], SECOND)
    torch.testing.assert_close(parts[0], first)
    torch.testing.assert_close(parts[1], torch.stack([second[0], second[0]]))
    torch.testing.assert_close(parts[2], torch.stack([third[0], third[0]]))


@pytest.mark.parametrize(("probability", "low", "high"), [(0, 0, 0), (1, 1, 1), (0.5, 0.47, 0.53)])
def test_probability_of_an_exchange(probability, low, high):
    exchange = draw_exchange(10_000, probability, generator())
    assert low <= exchange.is_exchanged.double().mean().item() <= high
    assert sorted(exchange.partner.tolist()) == list(range(10_000))


def test_same_generator_same_exchange():
    first, second = draw_exchange(50, 0.5, generator(3)), draw_exchange(50, 0.5, generator(3))
    assert (first.is_exchanged == second.is_exchanged).all()
    assert (first.partner == second.partner).all()


def test_statistics_of_a_frame():
    spectrogram = torch.tensor([[[10.0], [30.0]], [[1.0], [3.0]]])  # two clips of two bands and one frame
    torch.testing.assert_close(exchanged_statistics(spectrogram, SECOND)[1], torch.tensor([[10.0], [30.0]]))
    torch.testing.assert_close(exchanged_statistics(spectrogram, SECOND)[0], spectrogram[0])


def test_statistics_are_those_of_the_partner_and_the_shape_is_ones_own():
    spectrogram = (
        torch.randn(2, 6, 4, generator=generator(), dtype=torch.float64) * torch.tensor([1.0, 5.0])[:, None, None]
    )
    moved = exchanged_statistics(spectrogram, SECOND)[1]
    torch.testing.assert_close(moved.mean(dim=0), spectrogram[0].mean(dim=0))
    torch.testing.assert_close(moved.std(dim=0), spectrogram[0].std(dim=0))
    own = spectrogram[1]
    correlation = torch.corrcoef(torch.stack([moved[:, 0], own[:, 0]]))[0, 1]
    assert correlation.item() == pytest.approx(1)


def test_a_frame_without_spread_gets_the_mean():
    spectrogram = torch.stack([torch.arange(4.0)[:, None], torch.full((4, 1), 7.0)])
    torch.testing.assert_close(exchanged_statistics(spectrogram, SECOND)[1], torch.full((4, 1), 1.5))
