import pytest
from skorch.callbacks import Callback

from skasd.training._callbacks import CosineSchedule, HalvingSchedule
from tests.training.tiny import fit


class UsedRates(Callback):
    """Keeps the optimiser's learning rate of each epoch."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.of_epoch = []

    def on_epoch_end(self, net, **kwargs):
        self.of_epoch.append(net.optimizer_.param_groups[0]["lr"])


def rates(**options):
    return [epoch["learning_rate"] for epoch in fit(**options).history]


@pytest.mark.parametrize(
    "epoch, rate", [(0, 1e-4), (75, 8.681981e-05), (150, 5.5e-05), (225, 2.318019e-05), (299, 1.000247e-05)]
)
def test_published_rates_of_300_epochs(epoch, rate):
    assert CosineSchedule(1e-4, 1e-5).rate(epoch, 300) == pytest.approx(rate, rel=1e-6)


def test_rate_stays_until_the_start_and_falls_from_there():
    usual, late = CosineSchedule(1e-4, 1e-5), CosineSchedule(1e-4, 1e-5, start=20)
    assert [late.rate(epoch, 300) for epoch in (0, 10, 20)] == [1e-4] * 3
    assert late.rate(95, 300) == usual.rate(75, 300)


def test_the_lowest_rate_is_a_tenth_of_the_highest_by_default():
    assert rates(max_epochs=2, learning_rate=0.02) == pytest.approx([0.02, (0.02 + 0.002) / 2])


def test_a_lowest_rate_is_taken():
    assert rates(max_epochs=2, learning_rate=0.02, min_learning_rate=0.0) == pytest.approx([0.02, 0.01])


def test_a_start_is_taken():
    assert rates(max_epochs=4, learning_rate=0.02, schedule_start=2)[:3] == pytest.approx([0.02] * 3)


def test_the_optimiser_follows_the_schedule():
    used = UsedRates()
    assert rates(callbacks=[used]) == used.of_epoch


@pytest.mark.parametrize(
    "count, rate", [(0, 1e-5), (29, 1e-5), (30, 5e-6), (60, 2.5e-6), (89, 2.5e-6), (90, 1.25e-6), (10_000, 1.25e-6)]
)
def test_published_rates_that_are_halved(count, rate):
    assert HalvingSchedule(1e-5, "epoch").rate(count) == pytest.approx(rate)


def test_rate_is_halved_after_epochs():
    used = UsedRates()
    made = rates(max_epochs=31, learning_rate=0.02, schedule="halved_epochs", callbacks=[used])
    assert made == used.of_epoch == pytest.approx([0.02] * 30 + [0.01])


def test_rate_is_halved_after_steps():
    used = UsedRates()
    fit(max_epochs=12, learning_rate=0.02, schedule="halved_steps", batch_size=2, callbacks=[used])
    assert used.of_epoch == pytest.approx([0.02] * 5 + [0.01] * 5 + [0.005] * 2)  # after the last of six steps an epoch


def test_rate_may_stay():
    assert rates(max_epochs=32, learning_rate=0.02, schedule="constant") == pytest.approx([0.02] * 32)
