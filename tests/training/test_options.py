import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
from sklearn.base import clone

from skasd.training import TrainingOptions, TrainingPlan

FLAT = {"max_epochs": 3, "batch_size": 4, "learning_rate": 0.01, "device": "cpu", "verbose": 0}
BAD_VALUES = [
    ("learning_rate", 0.0),
    ("learning_rate", float("nan")),
    ("max_epochs", 0),
    ("batch_size", 1),
    ("verbose", -1),
]
BAD_TYPES = [("max_epochs", 3.0), ("batch_size", "64"), ("learning_rate", None), ("verbose", True), ("device", 0)]
BAD_OPTIONS = [
    ("schedule_start", -1),
    ("memory_budget", 0),
    ("weight_decay", -0.1),
    ("min_learning_rate", -1e-6),
    ("min_learning_rate", 1.0),
    ("ema_decay", 1.1),
    ("validation_fraction", 0.6),
    ("patience", 0),
    ("sampling", "weighted"),
    ("schedule", "linear"),
    ("precision", "float16"),
    ("compile", "yes"),
    ("channels_last", "no"),
    ("batch_norm_warmup", "no"),
]
BAD_TYPES_OF_OPTIONS = [("ema_decay", "0.9"), ("callbacks", print), ("patience", 1.5), ("weight_decay", None)]


def held_out(name):
    """What patience needs, so that it is its value that is refused."""
    return {"validation_fraction": 0.1} if name == "patience" else {}


def plan_of(usual=None, **given):
    return TrainingOptions(**given).plan(**FLAT, usual=usual or {})


@pytest.mark.parametrize(("name", "value"), BAD_VALUES + BAD_OPTIONS)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        TrainingPlan(**held_out(name), **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_TYPES + BAD_TYPES_OF_OPTIONS)
def test_a_value_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"^{name}="):
        TrainingPlan(**held_out(name), **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_an_option_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        plan_of(**held_out(name), **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_TYPES_OF_OPTIONS)
def test_an_option_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"^{name}="):
        plan_of(**held_out(name), **{name: value})


@pytest.mark.parametrize("patience", [3, 1])
def test_patience_needs_held_out_clips(patience):
    with pytest.raises(ValueError, match=f"patience={patience} stops early by the loss on the validation set"):
        plan_of(patience=patience)


def test_patience_with_held_out_clips_is_taken():
    assert TrainingPlan(patience=3, validation_fraction=0.05).patience == 3
    assert plan_of(patience=3, validation_fraction=0.05).patience == 3
    assert plan_of({"validation_fraction": 0.05}, patience=3).patience == 3


@pytest.mark.parametrize(
    "given",
    [
        {"min_learning_rate": 0},
        {"min_learning_rate": 0.01},
        {"weight_decay": 0},
        {"ema_decay": None},
        {"ema_decay": 0},
        {"ema_decay": 1},
        {"validation_fraction": 0.5},
        {"callbacks": ()},
        {"schedule_start": 1},
    ],
    ids=str,
)
def test_values_at_the_edge_are_taken(given):
    ((name, value),) = given.items()
    assert getattr(plan_of(**given), name) == value


@pytest.mark.parametrize("start", [2, 9])
def test_a_schedule_that_starts_after_the_training_is_refused(start):
    with pytest.raises(ValueError, match=f"schedule_start={start} has no effect with max_epochs=3, .*use at most 1"):
        plan_of(schedule_start=start)


def test_defaults_of_a_plan_are_those_of_options_where_these_are_not_auto():
    defaults, options = TrainingPlan(), TrainingOptions().get_params()
    assert all(getattr(defaults, name) == value for name, value in options.items() if value != "auto")
    assert plan_of() == TrainingPlan(**FLAT)


def test_auto_is_the_usual_value_of_the_detector():
    usual = {"schedule": "constant", "weight_decay": 0.0, "ema_decay": None, "sampling": "balanced"}
    assert plan_of(usual) == TrainingPlan(**FLAT, **usual)


def test_a_given_value_takes_the_place_of_the_usual_one():
    usual = {"schedule": "constant", "weight_decay": 0.0, "ema_decay": 0.5, "validation_fraction": 0.2}
    given = {"schedule": "cosine", "weight_decay": 0.3, "ema_decay": None, "validation_fraction": 0.0}
    assert plan_of(usual, **given) == TrainingPlan(**FLAT, **given)


def test_auto_precision_stays_for_the_device_to_decide():
    assert plan_of().precision == "auto"
    assert plan_of({"precision": "float32"}).precision == "float32"


@pytest.mark.parametrize("schedule", ["constant", "halved_epochs", "halved_steps"])
@pytest.mark.parametrize(("name", "value"), [("min_learning_rate", 1e-6), ("schedule_start", 2)])
@pytest.mark.parametrize("is_usual", [True, False])
def test_options_of_the_cosine_are_refused_with_another_schedule(schedule, name, value, is_usual):
    message = (
        f"{name}={value} has no effect with schedule='{schedule}'; leave {name} at its default .*, or change schedule"
    )
    usual, given = ({"schedule": schedule}, {}) if is_usual else ({}, {"schedule": schedule})
    with pytest.raises(ValueError, match=message):
        plan_of(usual, **{name: value}, **given)


def test_a_sampling_that_the_detector_lacks_is_refused():
    with pytest.raises(ValueError, match=r"sampling='class_and_domain' is unknown; .* 'auto', 'shuffled', 'balanced'"):
        plan_of(sampling="class_and_domain")


def test_a_sampling_that_the_detector_brings_is_taken():
    options = TrainingOptions(sampling="class_and_domain")
    plan = options.plan(**FLAT, usual={}, samplings=("shuffled", "class_and_domain"))
    assert plan.sampling == "class_and_domain"
    with pytest.raises(ValueError, match="sampling='balanced' is unknown"):
        TrainingOptions(sampling="balanced").plan(**FLAT, usual={}, samplings=("class_and_domain",))


def test_a_plan_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainingPlan().max_epochs = 7


def test_options_are_checked_when_a_training_is_planned_and_not_before():
    assert TrainingOptions(weight_decay=-1).weight_decay == -1


def test_parameters_are_read_and_set_by_name():
    options = TrainingOptions(weight_decay=0.1)
    names = [field.name for field in fields(TrainingOptions)]
    assert list(options.get_params()) == names
    assert options.get_params(deep=False) == options.get_params()
    assert options.set_params(weight_decay=0.2, patience=3) is options
    assert (options.weight_decay, options.patience) == (0.2, 3)
    assert options.set_params() is options


def test_an_unknown_parameter_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"TrainingOptions has no parameter 'averaging'; it has schedule, .*callbacks"):
        TrainingOptions().set_params(averaging=0.9)


def test_repr_shows_what_was_changed():
    assert repr(TrainingOptions()) == "TrainingOptions()"
    assert repr(TrainingOptions(ema_decay=None, patience=5)) == "TrainingOptions(ema_decay=None, patience=5)"
    assert repr(TrainingOptions(memory_budget=8_000_000_000)) == "TrainingOptions()"
    assert eval(repr(TrainingOptions(compile=True))) == TrainingOptions(compile=True)


def test_clone_is_another_object_of_the_same_values():
    options = TrainingOptions(weight_decay=0.1)
    copy = clone(options)
    assert copy is not options
    assert copy == options
    copy.set_params(weight_decay=0.3)
    assert options.weight_decay == 0.1


def test_options_and_plans_can_be_pickled():
    for made in (TrainingOptions(patience=3), TrainingPlan(ema_decay=None)):
        assert pickle.loads(pickle.dumps(made)) == made
