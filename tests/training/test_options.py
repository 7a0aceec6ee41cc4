from types import SimpleNamespace

import pytest

from skasd.training import TrainingOptions


def options(**given):
    return TrainingOptions.of(SimpleNamespace(**given))


@pytest.mark.parametrize(
    "name, value",
    [
        ("max_epochs", 0),
        ("batch_size", 1),
        ("schedule_start", -1),
        ("verbose", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("memory_budget", 0),
        ("weight_decay", -0.1),
        ("min_learning_rate", -1e-6),
        ("min_learning_rate", 1.0),
        ("averaging_decay", 1.1),
        ("validation_fraction", 0.6),
        ("patience", 0),
        ("sampling", "weighted"),
        ("schedule", "linear"),
        ("precision", "float16"),
        ("compile", "yes"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        options(**{name: value})


@pytest.mark.parametrize(
    "name, value",
    [
        ("max_epochs", 3.0),
        ("batch_size", "64"),
        ("learning_rate", None),
        ("averaging_decay", "0.9"),
        ("verbose", True),
        ("device", 0),
        ("callbacks", print),
        ("patience", 1.5),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"^{name}="):
        options(**{name: value})


def test_patience_needs_held_out_clips():
    with pytest.raises(ValueError, match="patience=3 stops a training by the loss of held-out clips"):
        options(patience=3)


def test_patience_with_held_out_clips_is_taken():
    assert options(patience=3, validation_fraction=0.05).patience == 3


def test_parameters_that_an_estimator_lacks_keep_their_defaults():
    assert options(max_epochs=7, margin=0.4) == TrainingOptions(max_epochs=7)


@pytest.mark.parametrize("given", [{"min_learning_rate": 0}, {"weight_decay": 0}, {"averaging_decay": None}], ids=str)
def test_values_at_the_edge_are_taken(given):
    options(**given)
