"""Displays: what they draw is what frame() says, with axes in Hz and seconds."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.integrate

from skasd.features import TWFRTransformer
from skasd.inspection import (
    AnomalyMapDisplay,
    EmbeddingDisplay,
    RocDisplay,
    ScoreDisplay,
    anomaly_map,
    explain,
    map_axes,
)
from skasd.metrics import auc_score
from tests.detectors.cases import SMALL_FRONT_END

Y_TRUE = np.array([1, 1, -1, -1, 1, 1, -1, -1])
SCORES = np.array([-0.1, -0.4, -0.2, -1.0, 0.3, 0.1, -3.0, -2.0])
MACHINES = np.repeat(["fan/00", "pump/00"], 4)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_a_map_is_drawn_as_it_is_in_the_frame(twfr, new):
    display = AnomalyMapDisplay.from_estimator(twfr, new, clip=-1)
    places, shape = display.frame(), display.added.shape
    for axes, column in zip(display.ax_, ("level_db", "above_normal_db", "added"), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), places[column].to_numpy().reshape(shape))
    np.testing.assert_array_equal(display.added, anomaly_map(twfr, new)[-1])
    axes = map_axes(twfr, new)
    np.testing.assert_array_equal(places["frequency_hz"].unique(), axes.frequencies)
    np.testing.assert_allclose(places["time_s"].unique(), axes.times)


def test_a_map_has_axes_in_hertz_and_seconds_and_a_frame_around_each_region(twfr, new):
    display = AnomalyMapDisplay.from_estimator(twfr, new, clip=3)
    assert [axes.get_xlabel() for axes in display.ax_] == ["", "", "time (s)"]
    labels = [tick.get_text() for tick in display.ax_[0].get_yticklabels()]
    assert "1 kHz" in labels
    regions = explain(twfr, new)
    first = regions[regions["clip"] == 3].iloc[0]
    outline = display.ax_[2].patches[0]
    assert outline.get_x() == first["start_s"]
    assert outline.get_width() == pytest.approx(first["end_s"] - first["start_s"])
    assert len(display.ax_[2].patches) == 2 * len(display.regions)


def test_features_of_unknown_origin_have_bands_and_frames():
    from skasd.detectors import TWFRDetector

    X = np.random.default_rng(0).normal(size=(20, 8, 30))
    display = AnomalyMapDisplay.from_estimator(TWFRDetector(1.0).fit(X), X)
    assert display.ax_[2].get_xlabel() == "frame"
    assert display.ax_[2].get_ylabel() == "band"


def test_a_clip_that_is_not_there_is_refused(twfr, new):
    with pytest.raises(ValueError, match="clip=12 is not a row of X, which has 12 clips"):
        AnomalyMapDisplay.from_estimator(twfr, new, clip=12)


def test_scores_are_drawn_with_their_threshold_in_a_panel_for_each_machine():
    display = ScoreDisplay.from_predictions(Y_TRUE, SCORES, machines=MACHINES, threshold=0.5)
    assert [axes.get_title(loc="left") for axes in display.ax_] == ["fan/00", "pump/00"]
    table = display.frame()
    for axes, (_, of_machine) in zip(display.ax_, table.groupby("machine"), strict=True):
        *kinds, threshold = axes.lines
        for line, label in zip(kinds, (1, -1), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), of_machine["anomaly_score"][of_machine["label"] == label])
        assert set(threshold.get_xdata()) == {0.5}
    np.testing.assert_array_equal(table["is_alarm"], SCORES < -0.5)


def test_scores_of_a_detector_have_its_threshold(twfr, new, clips):
    y_true = clips.target[clips.data["split"] == "test"]
    display = ScoreDisplay.from_estimator(twfr, new, y_true)
    np.testing.assert_array_equal(display.frame()["is_alarm"], twfr.predict(new) == -1)
    np.testing.assert_array_equal(display.anomaly_score, -twfr.score_samples(new))
    assert set(display.machines) == {"fan/00", "pump/00"}
    assert ScoreDisplay.from_estimator(twfr, new).frame()["label"].eq(0).all()


def test_a_roc_curve_has_the_auc_and_the_shaded_part():
    display = RocDisplay.from_predictions(Y_TRUE, SCORES, sections=MACHINES, max_fpr=0.2)
    for line, (name, curve) in zip(display.ax_.lines[1:], display.frame().groupby("section"), strict=True):
        x, y = curve["false_positive_rate"], curve["true_positive_rate"]
        np.testing.assert_array_equal(line.get_xdata(), x)
        np.testing.assert_array_equal(line.get_ydata(), y)
        rows = name == MACHINES
        area = auc_score(Y_TRUE[rows], SCORES[rows])
        assert scipy.integrate.trapezoid(y, x) == pytest.approx(area)
        assert line.get_label().startswith(f"{name}: AUC {area:.3f}, pAUC ")
    (shaded,) = display.ax_.patches
    assert shaded.get_width() == 0.2


def test_a_roc_curve_of_a_detector_has_a_line_for_each_machine(twfr, new, clips):
    display = RocDisplay.from_estimator(twfr, new, clips.target[clips.data["split"] == "test"])
    assert len(display.ax_.lines) == 3


def test_embeddings_are_drawn_where_the_frame_says(train):
    display = EmbeddingDisplay.from_estimator(TWFRTransformer(frontend=SMALL_FRONT_END).fit(train), train)
    table = display.frame()
    for points, (name, group) in zip(display.ax_.collections, table.groupby("group", sort=False), strict=True):
        np.testing.assert_allclose(points.get_offsets(), group[["x", "y"]])
        assert points.get_label() == name
    assert "% of the variance" in display.ax_.get_xlabel()


@pytest.mark.parametrize("shape", [(2, 1), (3, 5)])
def test_few_and_equal_embeddings_are_drawn(shape):
    assert EmbeddingDisplay.from_predictions(np.ones(shape)).frame()["x"].eq(0).all()


def test_axes_that_are_given_are_drawn_in(twfr, new):
    figure, axes = plt.subplots(3, 1)
    assert AnomalyMapDisplay.from_estimator(twfr, new, ax=axes).figure_ is figure
    with pytest.raises(ValueError, match="ax holds 3 axes; 1 are needed"):
        ScoreDisplay.from_predictions(Y_TRUE, SCORES, ax=axes)
    assert RocDisplay.from_predictions(Y_TRUE, SCORES, ax=axes[0]).ax_ is axes[0]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ScoreDisplay.from_predictions([1, 2], [0.1, 0.2]), ValueError, "y_true holds labels"),
        (lambda: ScoreDisplay.from_predictions([1], [0.1, 0.2]), ValueError, "inconsistent numbers of samples"),
        (lambda: RocDisplay.from_predictions([0, 1], [0.1, 0.2]), ValueError, "y_true"),
        (lambda: RocDisplay.from_predictions([1, -1], [0.1, 0.2], max_fpr=0.0), ValueError, "max_fpr"),
        (lambda: RocDisplay.from_estimator(object(), None, None), TypeError, "detector"),
        (lambda: EmbeddingDisplay.from_estimator(object(), None), TypeError, "has no transform"),
        (lambda: EmbeddingDisplay.from_predictions(np.ones((1, 3))), ValueError, "embedding"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        ScoreDisplay.from_predictions(Y_TRUE, SCORES)
