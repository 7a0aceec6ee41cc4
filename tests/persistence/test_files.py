"""Model files themselves: what they say, what is refused, damage, and interrupted writing."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import ExtraTreeRegressor

import skasd
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, PretrainedEmbedding
from skasd.persistence import _container as container
from skasd.persistence import describe
from skasd.persistence._classes import _CLASS_NAMES, _FUNCTION_NAMES, _found, name_of
from tests.persistence import damage

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)


@pytest.fixture(scope="module")
def train():
    clips = make_machine_clips(("fan", "pump"), n_train=12, duration=0.5, random_state=0).data
    return clips[clips["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted(train):
    return TWFRDetector(1.0, frontend=FRONT_END).fit(train)


@pytest.fixture
def file(fitted, tmp_path):
    skasd.save(fitted, tmp_path / "model.skasd")
    return tmp_path / "model.skasd"


@pytest.mark.filterwarnings("ignore:.* was written with scikit-learn")  # a newer one than the oldest
def test_older_formats_are_read(fixtures):
    time = np.arange(4000) / 16000
    hums = [0.1 * np.sin(2 * np.pi * (300 + 10 * k) * time) for k in range(12)]
    chirps = [0.01 * np.sin(2 * np.pi * (2000 + 37 * k) * time * (1 + time)) for k in range(12)]
    X = (np.array(hums) + np.array(chirps)).astype(np.float32)
    files = sorted((fixtures / "models").glob("format_*.skasd"))
    assert len(files) == container.FORMAT
    for path in files:
        expected = json.loads(path.with_suffix(".json").read_text())
        loaded = skasd.load(path)
        assert list(loaded) == list(expected)
        for name, scores in expected.items():
            np.testing.assert_allclose(loaded[name].score_samples(X), scores, rtol=1e-3)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no /proc to measure the memory of a process")
def test_two_thousand_damaged_and_forged_files_are_refused_by_name(file, tmp_path):
    command = [sys.executable, damage.__file__, str(file), str(tmp_path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["wrong"] == []
    assert found["refused"] >= 2000
    assert found["peak"] < 200  # MiB, most of it Python's modules
    assert not found["torch"]  # a forged name does not even lead to an import


def test_a_class_outside_the_list_is_named(file):
    file.write_bytes(damage.with_tree(file.read_bytes(), lambda tree: tree.update(object="os.system")))
    with pytest.raises(ValueError, match=r"model.skasd cannot be used as a model file: it names the class 'os.system'"):
        skasd.load(file)


def test_a_newer_format_says_so(file):
    header, body = damage.parts(file.read_bytes())
    header["__metadata__"]["format"] = "7"
    file.write_bytes(damage.signed(header, body))
    with pytest.raises(ValueError, match="has format 7 where this version of skasd knows up to 1; install a newer"):
        skasd.load(file)


def test_nodes_of_a_forged_decision_tree_are_checked(tmp_path):
    tree = ExtraTreeRegressor(max_depth=2, random_state=0).fit(np.eye(8), np.arange(8))
    skasd.save(tree, tmp_path / "tree.skasd")
    header, body = damage.parts((tmp_path / "tree.skasd").read_bytes())
    nodes = json.loads(header["__metadata__"]["tree"])["state"]["tree_"]["nodes"]
    for field, value in {"left_child": 9_999_999, "right_child": 0, "feature": 800}.items():
        start, _ = header[nodes[field]["array"]]["data_offsets"]
        changed = body[:start] + value.to_bytes(8, "little") + body[start + 8 :]
        (tmp_path / "forged.skasd").write_bytes(damage.signed(header, changed))
        with pytest.raises(ValueError, match="decision tree whose nodes do not fit together"):
            skasd.load(tmp_path / "forged.skasd")


def test_the_file_says_what_it_is(file, fitted):
    about = describe(file)
    assert about["estimator"] == "TWFRDetector"
    assert about["parameters"]["r"] == "1.0"
    assert about["threshold"] == fitted.offset_
    assert about["training"]["n_clips"] == 24
    assert about["training"]["machines"] == {"fan/00": 12, "pump/00": 12}
    assert len(about["training"]["fingerprint"]) == 64
    assert set(about["versions"]) == {"python", "skasd", "numpy", "scikit-learn", "torch"}


def test_the_fingerprint_is_that_of_the_training_clips(train):
    def fingerprint(clips):
        return TWFRDetector(1.0, frontend=FRONT_END).fit(clips)._training_data.fingerprint

    assert fingerprint(train) == fingerprint(train.assign(machine_type="other"))
    assert fingerprint(train) != fingerprint(train[::-1])
    assert fingerprint(train) != fingerprint(train[:-1])


class OfAUser(BaseEstimator):
    """An estimator that skasd does not know."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True


def my_front_end(waveform):
    return np.abs(waveform[:4000]).reshape(10, -1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: TWFRDetector(), NotFittedError, "not fitted"),
        (lambda X: OfAUser(), TypeError, r"OfAUser is of the class .*OfAUser, which a model file cannot keep.*pickle"),
        (lambda X: 3, TypeError, "estimator is a int; a fitted estimator is expected"),
        (lambda X: {}, ValueError, "empty dict"),
        (lambda X: {"fan": 3}, TypeError, r"estimator\['fan'\] is a int"),
        (
            lambda X: TWFRDetector(1.0, frontend=my_front_end).fit(X),
            TypeError,
            r"TWFRDetector.frontend is the function .*my_front_end",
        ),
        (
            lambda X: TWFRDetector(1.0, frontend=torch.nn.Sequential(torch.nn.Unflatten(1, (10, -1)))).fit(X),
            TypeError,
            "TWFRDetector.frontend.*Unflatten",
        ),
        (lambda X: FunctionTransformer(my_front_end).fit(np.eye(2)), TypeError, "FunctionTransformer"),
        (
            lambda X: GridSearchCV(ExtraTreeRegressor(), {"max_depth": [1]}, cv=2).fit(np.eye(4), np.arange(4)),
            TypeError,
            "GridSearchCV",
        ),
    ],
)
def test_what_a_file_cannot_keep_is_named_and_leaves_no_file(make, error, message, train, tmp_path):
    estimator = make(train["waveform"].tolist())
    with pytest.raises(error, match=message):
        skasd.save(estimator, tmp_path / "model.skasd")
    assert list(tmp_path.iterdir()) == []


def test_a_forged_forest_is_refused(tmp_path):
    forest = IsolationForest(n_estimators=2, random_state=0).fit(np.eye(8))
    skasd.save(forest, tmp_path / "forest.skasd")
    content = (tmp_path / "forest.skasd").read_bytes()

    def wide(tree):
        tree["state"]["estimators_"]["list"][0]["state"]["tree_"]["decision_tree"][0] = 10**12

    def features(tree):
        tree["state"]["n_features_in_"] = 3

    for change in (wide, features):
        (tmp_path / "forged.skasd").write_bytes(damage.with_tree(content, change))
        with pytest.raises(ValueError, match="whose parts do not fit together"):
            skasd.load(tmp_path / "forged.skasd")


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(file, fitted, train, tmp_path, monkeypatch):
    skasd.save(fitted.set_params(r=0.5).fit(train), tmp_path / "other.skasd")
    read_texts = container.read_texts

    def replaced(path):
        texts = read_texts(path)
        (tmp_path / "other.skasd").replace(path)
        return texts

    monkeypatch.setattr("skasd.persistence._model_file.read_texts", replaced)
    with pytest.raises(ValueError, match="was replaced while it was read"):
        skasd.load(file)


def test_a_link_stays_a_link_and_the_mode_stays(fitted, file, tmp_path):
    file.chmod(0o640)
    (tmp_path / "link.skasd").symlink_to(file)
    skasd.save(fitted, tmp_path / "link.skasd")
    assert (tmp_path / "link.skasd").is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("more", [{}, {"check_kept": {"class": "sklearn.cluster.KMeans"}}])
def test_an_encoder_from_a_hub_is_refused(file, more):
    state = {"_name": "someone/model", "_model": None, "_digest": "0", **more}
    node = {"object": "skasd.features._encoders.TransformersEncoder", "id": 0, "state": state}
    file.write_bytes(damage.with_tree(file.read_bytes(), lambda tree: node))
    with pytest.raises(ValueError, match=r"is no folder on this machine|an attribute 'check_kept'"):
        skasd.load(file)


def test_a_cache_is_not_kept(tmp_path):
    node = {"object": "skasd.features._pretrained.PretrainedEmbedding", "id": 0}
    skasd.save(LogMelTransformer().fit(np.ones((2, 4000))), tmp_path / "m.skasd")
    names = inspect.signature(PretrainedEmbedding).parameters
    node["state"] = {**dict.fromkeys(names), "cache": "/somewhere"}
    (tmp_path / "m.skasd").write_bytes(damage.with_tree((tmp_path / "m.skasd").read_bytes(), lambda tree: node))
    with pytest.warns(UserWarning, match="cache of .* is None now"):
        assert skasd.load(tmp_path / "m.skasd").cache is None


def test_a_model_of_too_many_parts_is_not_written(fitted, file, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(container, "_MOST_NODES", 10)
    with pytest.raises(ValueError, match="a model file holds up to 10 with 8 MiB"):
        skasd.save(fitted, file)
    assert file.read_bytes() == before


def test_bad_paths_are_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        skasd.save(fitted, tmp_path / "nowhere" / "model.skasd")
    with pytest.raises(FileNotFoundError, match=r"gone\.skasd"):
        skasd.load(tmp_path / "gone.skasd")
    with pytest.raises(IsADirectoryError, match="is a folder; a model file"):
        skasd.load(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder; a file name"):
        skasd.save(fitted, tmp_path)
    with pytest.raises(TypeError, match="path"):
        skasd.load(3)


def test_an_interrupt_leaves_the_old_file(fitted, file, monkeypatch):
    before = file.read_bytes()

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        skasd.save(fitted, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_another_version_of_scikit_learn_is_warned_about(file):
    header, body = damage.parts(file.read_bytes())
    about = json.loads(header["__metadata__"]["about"])
    about["versions"]["scikit-learn"] = "1.0.2"
    header["__metadata__"]["about"] = json.dumps(about)
    file.write_bytes(damage.signed(header, body))
    with pytest.warns(UserWarning, match=r"written with scikit-learn 1\.0\.2"):
        skasd.load(file)


def test_every_listed_name_exists_and_is_found_again():
    for name in _CLASS_NAMES | _FUNCTION_NAMES:
        assert name_of(_found(name)) == name


def test_arrays_of_all_kinds_and_orders_are_kept(tmp_path):
    from skasd.persistence._tree import Reader, Writer

    values = [
        np.arange(24, dtype=">f8").reshape(2, 3, 4).transpose(2, 0, 1),
        np.array([["a", "längst"], ["", "\U0001f514"]]),
        np.array([1 + 2j, np.nan]),
        np.array(["x", None, 3.5], dtype=object),
        np.zeros((0, 3), dtype=bool),
        np.float32(0.1),
        np.int8(-3),
        float("-inf"),
        {("a", 1): {2, 3}, "b": frozenset({"c"})},
        [1, (2.5, None), slice(1, None), Path("x/y")],
        np.random.default_rng(3),
        np.dtype("<f4"),
    ]
    writer = Writer()
    node = json.loads(json.dumps(writer.node(values, "values")))
    again = Reader(writer.arrays.__getitem__).value(node)
    for one, other in zip(again, values, strict=True):
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype.newbyteorder("=")
            np.testing.assert_array_equal(one, other)
            if other.ndim == 3:
                assert one.strides == other.strides
        elif isinstance(other, np.random.Generator):
            assert one.integers(10**9) == np.random.default_rng(3).integers(10**9)
        else:
            assert type(one) is type(other)
            assert one == other


def test_what_is_shared_and_what_refers_to_itself_is_kept():
    from skasd.persistence._tree import Reader, Writer

    shared = [1, 2]
    whole = {"one": shared, "other": shared}
    whole["itself"] = whole
    writer = Writer()
    again = Reader(writer.arrays.__getitem__).value(json.loads(json.dumps(writer.node(whole, "whole"))))
    assert again["one"] is again["other"]
    assert again["itself"] is again
