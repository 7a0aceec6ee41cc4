import math

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from torch.nn import functional

from skasd.losses import two_view_loss
from skasd.networks import JointNet
from skasd.networks._joint import flattened, running_median
from skasd.objectives._joint_ae_cnn import JointObjective, JointOptions, PatchOptions, PatchOutputs
from skasd.objectives._network_options import JointNetOptions
from skasd.scoring._log_odds import log_odds

PATCH = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([0, 1, 1, 0])
OWN = np.array([True, False, False])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def objective(*, has_autoencoder=True, network=None, **options):
    torch.manual_seed(0)
    made = JointNet(16, 8, 2, width=0.1, has_autoencoder=has_autoencoder, dropout=0.0)
    sizes = JointNetOptions(autoencoder=has_autoencoder, **(network or {}))
    return JointObjective(made, JointOptions(**{"median_filter": None, "network": sizes, **options})).eval()


def loss_of(made):
    return made({"patch": PATCH}, LABEL, generator())


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ((2, 0, -1), -1.686738),
        ((0, 3, 0), 3.048587),
        ((0, 0, 0), math.log(2)),
        ((40, 0, 0), -39.306853),
        ((17, 0, 0), -16.306853),
        ((-40, 0, 0), 40.693147),
    ],
)
def test_score_from_logits(logits, expected):
    assert log_odds(np.array([logits], dtype=float), OWN).item() == pytest.approx(expected, abs=1e-6)


def test_score_of_six_equal_classes():
    own = np.arange(6) == 0
    assert log_odds(np.zeros((1, 6)), own).item() == pytest.approx(math.log(5))


def test_score_is_the_odds_and_a_constant_changes_nothing():
    logits = np.random.default_rng(0).uniform(-10, 10, (100, 3))
    p = np.exp(logits[:, 0]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(log_odds(logits, OWN), np.log((1 - p) / p), atol=1e-9)
    np.testing.assert_allclose(log_odds(logits + 7, OWN), log_odds(logits, OWN), atol=1e-12)


def test_score_is_strictly_monotone_down_to_the_surest_patch():
    lead = np.linspace(0, 75, 2000)  # where 1 - p is about 1e-32
    score = log_odds(np.column_stack([lead, np.zeros((2000, 2))]), OWN)
    assert (np.diff(score) < 0).all()
    assert score[-1] < np.log(1e-30)


def test_score_of_a_machine_of_several_classes_is_that_of_their_sum():
    logits = np.array([[2.0, 1.0, 0.0]])
    p = np.exp([2, 1]).sum() / np.exp(logits).sum()
    assert log_odds(logits, np.array([True, True, False])).item() == pytest.approx(math.log((1 - p) / p))


def test_loss_has_three_parts():
    made = objective(reconstruction_weight=2.0, contrastive_weight=3.0)
    network = made.network
    features, values = network.features(PATCH), flattened(PATCH)
    code = network.autoencoder.encoder(values)
    views = [functional.normalize(view) for view in network.views(features, code)]
    classification = functional.cross_entropy(network.logits(features), LABEL)
    expected = (
        classification
        + 2 * functional.mse_loss(network.autoencoder.decoder(code), values)
        + 3 * two_view_loss(*views, temperature=0.07)
    )
    torch.testing.assert_close(loss_of(made), expected)
    torch.testing.assert_close(made.validation_loss({"patch": PATCH}, LABEL), classification)


def test_without_an_autoencoder_the_classification_is_all():
    bare = objective(has_autoencoder=False)
    torch.testing.assert_close(loss_of(bare), bare.validation_loss({"patch": PATCH}, LABEL))
    assert PatchOutputs(bare)(PATCH)[:, -1].tolist() == [0] * 4


def test_first_classification_is_that_of_chance():
    loss = objective(has_autoencoder=False).validation_loss({"patch": PATCH}, LABEL)
    assert loss.item() == pytest.approx(math.log(2), abs=0.2)


def test_unit_vectors_may_go_into_classifier_and_decoder():
    made = objective(network={"normalise_features": True}, contrastive_weight=0.0)
    network = made.network
    features, values = network.features(PATCH), flattened(PATCH)
    code = functional.normalize(network.autoencoder.encoder(values))
    expected = functional.cross_entropy(network.logits(functional.normalize(features)), LABEL)
    expected = expected + functional.mse_loss(network.autoencoder.decoder(code), values)
    torch.testing.assert_close(loss_of(made), expected)


def test_mixed_patches_have_mixed_labels():
    made = objective(has_autoencoder=False, mixup_alpha=0.5)
    patch, mixing = made._augmented(PATCH, LABEL, generator())
    torch.testing.assert_close(patch, mixing(PATCH))
    logits = made.network.logits(made.network.features(patch))
    share = mixing.share.item()
    expected = share * functional.cross_entropy(logits, LABEL)
    expected = expected + (1 - share) * functional.cross_entropy(logits, LABEL[mixing.partner])
    torch.testing.assert_close(loss_of(made), expected)


@pytest.mark.parametrize("option", [{"time_mask": 4}, {"frame_shift": 3}])
def test_augmentations_change_the_patches_of_a_training_alone(option):
    made, plain = objective(patches=PatchOptions(**option)), objective()
    assert loss_of(made) != loss_of(plain)
    torch.testing.assert_close(loss_of(made), loss_of(made))
    inputs = {"patch": PATCH}
    torch.testing.assert_close(made.validation_loss(inputs, LABEL), plain.validation_loss(inputs, LABEL))


def test_outputs_stand_side_by_side():
    made = objective()
    logits, features, error = PatchOutputs(made)(PATCH).split([2, 1280, 1], dim=1)
    torch.testing.assert_close(features, made.network.features(PATCH))
    torch.testing.assert_close(logits, made.network.logits(features))
    reconstruction = made.network.autoencoder(flattened(PATCH))
    torch.testing.assert_close(error[:, 0], (reconstruction - flattened(PATCH)).square().mean(dim=1))


@pytest.mark.parametrize(("n_frames", "size"), [(64, 31), (9, 3), (5, 31), (1, 5), (2, 3)])
def test_running_median_is_that_of_scipy(n_frames, size):
    patch = torch.randn(2, n_frames, 3, generator=generator(), dtype=torch.float64)
    expected = median_filter(patch.numpy(), size=(1, size, 1), mode="mirror")
    np.testing.assert_array_equal(running_median(patch, size).numpy(), expected)


@pytest.mark.parametrize(("first", "last", "stays"), [(20, 34, False), (20, 35, True), (0, 7, False), (0, 8, True)])
def test_events_of_half_a_window_are_filtered(first, last, stays):
    patch = torch.zeros(1, 64, 1)
    patch[0, first : last + 1] = 1
    made = running_median(patch, 31)
    torch.testing.assert_close(made, patch if stays else torch.zeros_like(patch))


def test_patches_may_be_filtered_one_by_one():
    made = objective(median_filter=3, patches=PatchOptions(median_level="patch"))
    torch.testing.assert_close(PatchOutputs(made)(PATCH), PatchOutputs(objective())(running_median(PATCH, 3)))
    of_clip = objective(median_filter=3, patches=PatchOptions(median_level="clip")).options
    assert (of_clip.patch_median, of_clip.clip_median) == (None, 3)
