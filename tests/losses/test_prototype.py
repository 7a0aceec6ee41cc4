import numpy as np
import pytest
import torch

from skasd.losses import prototype_loss


def at(*degrees):
    angle = np.radians(degrees)
    return torch.from_numpy(np.column_stack([np.cos(angle), np.sin(angle)]))


@pytest.mark.parametrize(
    ("clips", "label", "expected"),
    [(at(0), [0], 0.142932), (at(90), [1], 0.239545), (at(0, 90), [0, 1], 0.191238)],
)
def test_loss_in_the_plane(clips, label, expected):
    loss = prototype_loss(clips, at(0, 90, 180), torch.tensor(label), temperature=0.5)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_lengths_are_of_no_account():
    loss = prototype_loss(3 * at(0, 90), 5 * at(0, 90, 180), torch.tensor([0, 1]), temperature=0.5)
    assert loss.item() == pytest.approx(0.191238, abs=1e-6)


def test_prototypes_learn_too():
    prototypes = at(10, 90, 180).requires_grad_()
    prototype_loss(at(0, 70), prototypes, torch.tensor([0, 1])).backward()
    assert (prototypes.grad.abs().sum(dim=1) > 0).all()
