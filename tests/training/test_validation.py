import numpy as np
import pytest

from tests.training.tiny import (
    ScriptedObjective,
    SeenLabels,
    States,
    TinyObjective,
    assert_same_state,
    fit,
    seeded_objective,
)


def scripted(losses, **options):
    """A training whose held-out losses are these."""
    watch = States()
    objective = seeded_objective(ScriptedObjective, losses)
    training = fit(objective, validation_fraction=0.3, max_epochs=len(losses), callbacks=[watch], **options)
    return training, watch


def test_the_same_share_of_each_class_is_held_out_and_never_all_of_one():
    label = np.repeat([0, 1, 2, 3], [20, 10, 2, 1])
    held_out = fit(seeded_objective(TinyObjective, 4), label, validation_fraction=0.5).held_out
    assert np.bincount(label[held_out], minlength=4).tolist() == [10, 5, 1, 0]


def test_held_out_clips_are_not_trained_on():
    label, watch = np.arange(12) // 2, SeenLabels()
    training = fit(seeded_objective(TinyObjective, 6), label, validation_fraction=0.5, callbacks=[watch])
    assert len(training.held_out) == 6
    assert [sorted(labels) for labels in watch.of_epoch.values()] == [[0, 1, 2, 3, 4, 5]] * 3


def test_no_clip_is_held_out_by_default():
    assert len(fit().held_out) == 0


def test_which_clips_are_held_out_depends_on_the_seed_only():
    held_out = [
        fit(n_clips=40, validation_fraction=0.3, seed=seed, max_epochs=max_epochs).held_out.tolist()
        for seed, max_epochs in [(0, 1), (0, 2), (1, 1)]
    ]
    assert held_out[0] == held_out[1] != held_out[2]


def test_the_history_holds_both_losses_of_each_epoch():
    history = fit(validation_fraction=0.3).history
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert all({"train_loss", "valid_loss", "learning_rate", "dur"} == epoch.keys() - {"epoch"} for epoch in history)


def test_the_validated_loss_is_that_of_the_average():
    averaged, plain = (
        [epoch["valid_loss"] for epoch in fit(validation_fraction=0.3, ema_decay=decay).history]
        for decay in (0.9999, None)
    )
    assert averaged != plain


@pytest.mark.parametrize("decay", [0.9999, None])
def test_the_weights_of_the_best_epoch_are_returned(decay):
    training, watch = scripted([3.0, 1.0, 2.0, 4.0], ema_decay=decay)
    assert_same_state(training.objective, watch.of_epoch[2])


def test_the_last_epoch_may_be_the_best():
    training, watch = scripted([3.0, 2.0, 1.0])
    assert_same_state(training.objective, watch.of_epoch[3])


def test_the_first_of_equal_epochs_is_the_best():
    training, watch = scripted([3.0, 1.0, 1.0])
    assert_same_state(training.objective, watch.of_epoch[2])


def test_training_stops_after_patience_epochs_without_a_lower_loss():
    training, watch = scripted([3.0, 1.0, 2.0, 2.0, 2.0, 0.0], patience=3)
    assert [epoch["epoch"] for epoch in training.history] == [1, 2, 3, 4, 5]
    assert_same_state(training.objective, watch.of_epoch[2])


def test_a_lower_loss_renews_patience():
    training, _ = scripted([3.0, 4.0, 2.0, 4.0, 1.0, 4.0], patience=2)
    assert len(training.history) == 6


def test_without_patience_all_epochs_run():
    training, _ = scripted([1.0, 2.0, 3.0, 4.0])
    assert len(training.history) == 4


def test_without_held_out_clips_the_last_weights_are_returned():
    watch = States()
    assert_same_state(fit(callbacks=[watch]).objective, watch.of_epoch[3])
