import json

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skasd.augmentations import SpectrumAugmentation
from skasd.benchmark import Entry, Suite, read_suite
from skasd.benchmark._estimators import build, describe, describe_changes, essence, seeded_clone
from skasd.detectors import OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.scoring import KNNScorer
from skasd.training import TrainingOptions

DATA = {"fans": {"kind": "synthetic", "machine_types": "fan"}}
FILE = """
name = "mine"
seeds = [3]
[data.fans]
kind = "synthetic"
machine_types = ["fan"]
[detectors.small]
class = "OSSCLDetector"
branches = ["log_mel"]
scorer = { class = "KNNScorer", n_neighbors = 2 }
training = { class = "TrainingOptions", ema_decay = "none" }
network = { class = "MobileFaceNetOptions", embedding_dim = 16 }
features = { class = "LogMelTransformer", n_mels = 32 }
data = ["fans"]
published = ["os-scl-logmel"]
"""


def suite_of(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return read_suite(file)


def test_a_file_gives_what_python_gives(tmp_path):
    suite = suite_of(tmp_path, FILE)
    entry = suite.entries["small"]
    assert (suite.name, suite.seeds, suite.data) == ("mine", (3,), {"fans": {**DATA["fans"], "machine_types": ["fan"]}})
    assert entry.detector.branches == ("log_mel",)
    assert entry.detector.scorer.n_neighbors == 2
    assert entry.detector.training.ema_decay is None
    assert entry.detector.network.embedding_dim == 16
    assert entry.features.n_mels == 32
    assert (entry.data, entry.published) == (["fans"], ("os-scl-logmel",))


def test_the_shipped_suite_has_every_detector():
    from skasd import detectors

    suite = read_suite("quick")
    classes = {name for name in detectors.__all__ if isinstance(getattr(detectors, name), type)}
    assert {type(entry.detector).__name__ for entry in suite.entries.values()} == classes
    assert len(suite.seeds) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("OSSCLDetector", "MagicDetector"), r"mine.toml: class = 'MagicDetector' is unknown.*TWFRDetector"),
        (("n_mels = 32", "n_mel = 32"), r"mine.toml: .*n_mel"),
        (('data = ["fans"]', 'data = ["pumps"]'), "'small' is to run on pumps; the suite has fans"),
        (("os-scl-logmel", "magic"), "published: magic is no system"),
        (("seeds = [3]", "seeds = []"), "has no seeds"),
        (("seeds = [3]", "seeds = [-1]"), "seeds=-1"),
        (("seeds = [3]", "epochs = 3"), "epochs is unknown; a suite has"),
        (("[data.fans]", "[dat.fans]"), "dat is unknown"),
        (('class = "OSSCLDetector"', ""), r"\[detectors.small\] has no class"),
        (("name = ", "name "), r"mine.toml"),
        (('class = "OSSCLDetector"\n', 'class = "KNNScorer"\n'), r"mine.toml"),
    ],
)
def test_wrong_files_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        suite_of(tmp_path, FILE.replace(*change))


def test_an_unknown_class_lists_classes_and_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"class = 'OSCLDetector' is unknown.*Did you mean OSSCLDetector") as failure:
        suite_of(tmp_path, FILE.replace("OSSCLDetector", "OSCLDetector"))
    assert "stat_cluster_ensemble" not in str(failure.value)  # a function
    for name in ("stat_cluster_ensemble", "train_osscl", ["OSSCLDetector"]):
        with pytest.raises(ValueError, match="is unknown; expected one of"):
            build({"class": name})


def test_a_file_that_is_nested_too_deeply_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mine.toml: its tables or lists are nested too deeply"):
        suite_of(tmp_path, "name = " + "[" * 100_000)


def test_a_missing_file_says_what_ships():
    with pytest.raises(
        FileNotFoundError,
        match="no suite file slow, and no suite of that name; source is a file or the name of one that ships: quick",
    ):
        read_suite("slow")


def test_what_is_no_detector_is_refused():
    with pytest.raises(TypeError, match="has no score_samples"):
        Suite("mine", DATA, {"mel": LogMelTransformer()})
    with pytest.raises(TypeError, match="LogMelTransformer or None"):
        Entry(TWFRDetector(), features=TWFRDetector())


def test_a_detector_is_told_of_the_front_end_that_its_features_come_from():
    mel = LogMelTransformer(n_mels=32)
    assert Entry(TWFRDetector(), mel).prepared().frontend.n_mels == 32
    own = TWFRDetector(frontend=LogMelTransformer(n_mels=64))
    assert Entry(own, mel).prepared().frontend.n_mels == 64


def test_descriptions_are_plain_and_changes_are_few():
    detector = OSSCLDetector(("log_mel",), scorer=KNNScorer(n_neighbors=np.int64(3)), margin=0.3)
    assert describe(detector)["scorer"]["n_neighbors"] == 3
    assert describe_changes(detector) == {
        "class": "OSSCLDetector",
        "branches": ["log_mel"],
        "margin": 0.3,
        "scorer": {"class": "KNNScorer", "n_neighbors": 3},
    }


def test_what_does_not_change_scores_is_not_part_of_the_essence():
    assert essence(OSSCLDetector(verbose=1, n_jobs=2, device="cpu")) == essence(OSSCLDetector())
    assert essence(OSSCLDetector(margin=0.3)) != essence(OSSCLDetector())


def test_functions_and_modules_are_described_the_same_everywhere():
    import torch
    from sklearn.preprocessing import FunctionTransformer

    assert describe(FunctionTransformer(np.log))["func"] == describe(FunctionTransformer(np.log))["func"]
    assert "0x" not in json.dumps(describe(FunctionTransformer(describe)))
    ones, twos = (torch.nn.Linear(2, 2) for _ in range(2))
    assert describe(ones) != describe(twos)


def test_seeds_reach_every_step():
    pipeline = make_pipeline(LogMelTransformer(), TWFRDetector(frontend=LogMelTransformer()))
    copy = seeded_clone(pipeline, 7, 1)
    assert copy[-1].random_state == 7
    assert (copy[0].n_jobs, copy[-1].n_jobs, copy[-1].frontend.n_jobs) == (1, 1, 1)
    assert pipeline[-1].random_state is None


def test_none_is_written_as_text():
    assert build({"class": "LogMelTransformer", "norm": "none"}).norm is None


def test_a_group_of_defaults_is_no_group():
    plain, spelled = OSSCLDetector(), OSSCLDetector(training=TrainingOptions(memory_budget=1e6))
    assert essence(plain) == essence(spelled)
    assert essence(plain) != essence(OSSCLDetector(training=TrainingOptions(ema_decay=None)))
    assert essence(plain) != essence(OSSCLDetector(augmentation=SpectrumAugmentation()))


def test_other_seeds_are_also_those_of_data_sets_with_seeds_of_their_own():
    own = {"fans": {**DATA["fans"], "seeds": (4, 5)}, "others": DATA["fans"]}
    suite = Suite("mine", own, {"TWFR": TWFRDetector()}).with_seeds([5])
    assert [suite.seeds_of(name) for name in suite.data] == [(5,), (5,)]
