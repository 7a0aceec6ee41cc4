import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skasd.benchmark import Entry, Suite, run_suite
from skasd.benchmark._data import load_data
from skasd.benchmark._features import FeatureStore
from skasd.benchmark._results import Results
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, EnsembleDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score, official_score, partial_auc_score

NESTED: list = []
NESTED.append(NESTED)
TIMES = ("feature_seconds", "fit_seconds", "score_seconds", "peak_bytes", "date")


class FailingDetector(TWFRDetector):
    def _fit(self, clips):
        raise ValueError("this one never works")


def without_times(table):
    return table.drop(columns=list(TIMES)).to_json()


@pytest.fixture(scope="module")
def finished(suite, tmp_path_factory):
    """The table and the folder of the suite, for tests that only read them."""
    folder = tmp_path_factory.mktemp("finished")
    return run_suite(suite, folder), folder


@pytest.fixture
def copied(finished, tmp_path):
    """The table of the suite, and a folder of its results to go on with."""
    table, folder = finished
    return table, shutil.copytree(folder, tmp_path / "copied")


def test_every_task_has_a_line_and_a_file_of_scores(finished):
    table, folder = finished
    assert len(table) == 8
    lines = (folder / "results.jsonl").read_text().splitlines()
    assert len(lines) == 8
    row = json.loads(lines[0])
    scores = pd.read_csv(folder / "scores" / f"{row['key']}.csv")
    assert scores.columns.tolist() == ["clip", "machine_type", "section", "domain", "y_true", "score_samples"]
    assert len(scores) == row["n_test"] == 20


def test_a_row_says_how_it_came_about(finished):
    row = finished[0].query("detector == 'autoencoder'").iloc[0]
    assert row["parameters"] == {"max_epochs": 2, "frontend": row["features"]}
    assert row["features"]["n_mels"] == 32
    assert row["checkpoint"] == "last weights of the epoch with the lowest validation loss, 2 at most"
    assert row["versions"].keys() == {"skasd", "numpy", "scipy", "scikit-learn", "torch", "skorch"}
    assert row["device"] == "cpu"
    assert row["fit_seconds"] > 0
    assert row["peak_bytes"] > 1e8
    assert len(row["fingerprint"]) == 16


def test_numbers_are_those_of_the_interface(finished):
    """One row again by hand: clips, front end, detector, metrics."""
    table, folder = finished
    row = table.query("detector == 'autoencoder' and data == 'valves' and seed == 1").iloc[0]
    clips = make_machine_clips(
        ["valve"], n_sections=2, n_train=8, n_test_normal=5, n_test_anomaly=5, duration=1.0, random_state=0
    )
    mels = LogMelTransformer(n_mels=32).fit_transform(clips.data).drop(columns="waveform")
    is_test = (mels["split"] == "test").to_numpy()
    detector = AutoencoderDetector(max_epochs=2, random_state=1).fit(mels[~is_test])
    test, y_true = mels[is_test], clips.target[is_test]
    score = detector.score_samples(test)
    assert row["official_score"] == pytest.approx(official_score(y_true, score, test, year=2020), abs=1e-9)
    for section in row["sections"]:
        rows = (test["section"] == section["section"]).to_numpy()
        assert section["auc"] == pytest.approx(auc_score(y_true[rows], score[rows]), abs=1e-9)
        assert section["pauc"] == pytest.approx(partial_auc_score(y_true[rows], score[rows]), abs=1e-9)
    np.testing.assert_allclose(Results(folder).scores(row)["score_samples"], score, rtol=1e-9)


def test_what_is_finished_is_not_run_again(suite, copied):
    first, folder = copied
    second = run_suite(suite, folder)
    assert first["date"].tolist() == second["date"].tolist()
    more = run_suite(dataclasses.replace(suite, seeds=(0, 1, 2)), folder)
    assert len(more) == 12
    assert len((folder / "results.jsonl").read_text().splitlines()) == 12


def test_other_parameters_are_another_task(suite, copied):
    _, folder = copied
    changed = dataclasses.replace(suite, detectors={**suite.detectors, "TWFR": TWFRDetector(r=1.0)})
    run_suite(changed, folder)
    assert len(Results(folder).rows()) == 12


def test_a_line_that_was_cut_is_run_again(suite, copied):
    whole, folder = copied
    file = folder / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-100])
    assert without_times(run_suite(suite, folder)) == without_times(whole)
    assert len(Results(folder).rows()) == 8


@pytest.mark.parametrize("cut", [b"", b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b'{"a": 1}\n', b'{"a": "' + b"y" * 100_000 + b'"}\n'])
def test_a_line_is_appended_behind_the_last_whole_one(tmp_path, whole, cut):
    (tmp_path / "results.jsonl").write_bytes(whole + cut)
    Results(tmp_path).put({"b": 2})
    assert (tmp_path / "results.jsonl").read_bytes() == whole + b'{"b": 2}\n'


def test_jobs_do_not_change_the_results(suite, finished, tmp_path):
    two = run_suite(suite, tmp_path, n_jobs=2)
    assert without_times(two) == without_times(finished[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_detector_may_have_two_names_and_one_data_set_too(suite, tmp_path, n_jobs):
    data = {"a": suite.data["valves"], "b": suite.data["valves"]}
    twice = Suite("twice", data, {"one": TWFRDetector(), "other": TWFRDetector()}, seeds=(0,))
    table = run_suite(twice, tmp_path, n_jobs=n_jobs)
    assert table[["data", "detector"]].to_numpy().tolist() == [
        ["a", "one"],
        ["a", "other"],
        ["b", "one"],
        ["b", "other"],
    ]
    assert len(set(table["official_score"])) == 1


def test_joblib_backend_of_the_caller_is_used(suite, finished, tmp_path):
    with joblib.parallel_config(backend="threading"):
        table = run_suite(suite, tmp_path, n_jobs=2)
    assert without_times(table) == without_times(finished[0])


def test_threads_are_as_before(suite, tmp_path):
    before = torch.get_num_threads()
    network = {"autoencoder": suite.detectors["autoencoder"]}
    run_suite(Suite("two threads", {"valves": suite.data["valves"]}, network, seeds=(0,)), tmp_path, n_threads=2)
    assert torch.get_num_threads() == before


def test_log_mels_are_computed_once_for_a_grid(suite, tmp_path):
    mel = LogMelTransformer(n_mels=32)
    grid = {f"r={r}": Entry(TWFRDetector(r=r), features=mel) for r in (0.1, 0.5, 1.0)}
    run_suite(Suite("grid", suite.data, grid, seeds=(0,)), tmp_path, cache=tmp_path / "mels")
    assert len(list((tmp_path / "mels").glob("*.mel"))) == 2
    store, data = FeatureStore(tmp_path / "mels"), load_data(suite.data["valves"])
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "mels").glob("*.mel")}
    cells = store.with_log_mels(data, mel)["log_mel"]
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "mels").glob("*.mel")} == before
    assert isinstance(cells.iloc[0], np.memmap)
    np.testing.assert_array_equal(cells.iloc[3], mel.fit_transform(data.table)["log_mel"].iloc[3])


def test_another_front_end_and_mixed_lengths_are_kept_apart(tmp_path):
    clips = make_machine_clips("fan", n_train=4, duration=1.0, random_state=0)
    clips.data["waveform"] = [waveform[: 9000 + 100 * i] for i, waveform in enumerate(clips.data["waveform"])]
    data, store = load_data(clips), FeatureStore(tmp_path)
    for mel in (LogMelTransformer(n_mels=32), LogMelTransformer(n_mels=16)):
        cells, expected = store.with_log_mels(data, mel)["log_mel"], mel.fit_transform(clips.data)["log_mel"]
        assert len({cell.shape for cell in cells}) > 1
        for cell, other in zip(cells, expected, strict=True):
            np.testing.assert_array_equal(cell, other)


def test_a_failure_leaves_the_others(suite, tmp_path):
    broken = dataclasses.replace(suite, detectors={"bad": FailingDetector(), "TWFR": TWFRDetector()})
    with pytest.raises(RuntimeError, match=r"4 of 8 tasks failed.*\n.*bad on rotating, seed 0: ValueError: this one"):
        run_suite(broken, tmp_path)
    assert len(Results(tmp_path).rows()) == 4


def test_the_message_of_failed_tasks_begins_with_the_first_reason(suite, tmp_path):
    broken = dataclasses.replace(suite, detectors={"bad": FailingDetector()}, seeds=tuple(range(15)))
    with pytest.raises(RuntimeError) as failure:
        run_suite(broken, tmp_path)
    first, *others, last = str(failure.value).splitlines()
    assert first.startswith("30 of 30 tasks failed; ")
    assert first.endswith("The first: ValueError: this one never works")
    assert (len(others), last) == (20, "and 10 more")


def test_errors_of_tasks_that_have_results_now_are_removed(suite, tmp_path):
    detectors = {"mended": FailingDetector(), "broken": FailingDetector()}
    with pytest.raises(RuntimeError):
        run_suite(dataclasses.replace(suite, detectors=detectors, seeds=(0,)), tmp_path)
    with pytest.raises(RuntimeError, match="2 of 4 tasks failed"):
        run_suite(dataclasses.replace(suite, detectors={**detectors, "mended": TWFRDetector()}, seeds=(0,)), tmp_path)
    left = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    assert {row["detector"] for row in left} == {"broken"}
    run_suite(dataclasses.replace(suite, detectors=dict.fromkeys(detectors, TWFRDetector()), seeds=(0,)), tmp_path)
    assert not (tmp_path / "errors.jsonl").exists()


def test_synthetic_clips_without_a_seed_are_the_same_in_every_process(tmp_path):
    fans = {"kind": "synthetic", "machine_types": "fan", "n_train": 6, "duration": 0.5}
    detectors = {"one": TWFRDetector(n_jobs=1), "other": TWFRDetector(r=1.0, n_jobs=1)}
    table = run_suite(Suite("two", {"fans": fans}, detectors, seeds=(0,)), tmp_path, n_jobs=2)
    assert table["fingerprint"].tolist() == [load_data({**fans, "random_state": 0}).fingerprint] * 2


def test_pipelines_and_clips_in_memory_run_too(tmp_path):
    clips = make_machine_clips("fan", n_train=8, duration=1.0, random_state=0)
    suite = Suite("mine", {"fans": Bunch(**clips)}, {"pipeline": make_pipeline(LogMelTransformer(), TWFRDetector())})
    table = run_suite(suite, tmp_path)
    assert table["n_train"].tolist() == [8, 8, 8]


def test_progress_is_shown_only_when_asked_for(suite, tmp_path, capfd):
    one = dataclasses.replace(suite, data={"valves": suite.data["valves"]}, seeds=(0,))
    run_suite(one, tmp_path)
    assert capfd.readouterr() == ("", "")
    run_suite(dataclasses.replace(one, seeds=(0, 1)), tmp_path, verbose=1)
    assert "tasks" in capfd.readouterr().err


def test_other_sound_in_files_of_the_same_names_and_sizes_is_another_task(tmp_path):
    data = {}
    for kind, seed in (("raw", 0), ("denoised", 1)):
        rng = np.random.default_rng(seed)
        for label in ("train/normal", "test/normal", "test/anomaly"):
            (tmp_path / kind / label).mkdir(parents=True)
            for index in range(6):
                sound = rng.standard_normal(8000) * 0.1
                soundfile.write(tmp_path / kind / label / f"{index}.wav", sound, 16000)
        data[kind] = {"kind": "folder", "folder": str(tmp_path / kind)}
    table = run_suite(
        Suite("two", data, {"TWFR": Entry(TWFRDetector(), LogMelTransformer())}, seeds=(0,)), tmp_path / "r"
    )
    assert table["key"].nunique() == 2
    assert table["official_score"].nunique() == 2


def test_the_rules_of_another_year_are_another_task(suite, copied):
    _, folder = copied
    later = {name: {**description, "year": 2023} for name, description in suite.data.items()}
    changed = dataclasses.replace(suite, data=later, detectors={"TWFR": suite.detectors["TWFR"]})
    assert set(run_suite(changed, folder)["year"]) == {2023}
    assert len(Results(folder).rows()) == 12


def test_published_systems_may_be_named_later(suite, copied):
    first, folder = copied
    named = {"TWFR": Entry(TWFRDetector(), published=("dcase2020-ae",))}
    second = run_suite(dataclasses.replace(suite, detectors=named), folder)
    assert second["published"].tolist() == [["dcase2020-ae"]] * 4
    assert second["date"].tolist() == first.query("detector == 'TWFR'")["date"].tolist()


def test_labels_that_change_on_the_disk_are_read_again(tmp_path):
    table = pd.DataFrame({"split": ["train"] * 4 + ["test"] * 4, "label": ["normal"] * 6 + ["anomaly"] * 2})
    np.save(tmp_path / "mels.npy", np.random.default_rng(0).normal(size=(8, 4, 5)))
    description = {"kind": "table", "clips": str(tmp_path / "clips.csv"), "log_mel": "mels.npy"}
    table.to_csv(tmp_path / "clips.csv", index=False)
    suite = Suite("mine", {"clips": description}, {"TWFR": TWFRDetector()}, seeds=(0,))
    before = run_suite(suite, tmp_path / "r")
    table.assign(label=["normal"] * 5 + ["anomaly"] * 3).to_csv(tmp_path / "clips.csv", index=False)
    after = run_suite(suite, tmp_path / "r")
    assert before["machines"][0][0]["n_anomaly"] == 2
    assert after["machines"][0][0]["n_anomaly"] == 3


def test_a_process_that_is_killed_is_named_and_the_others_finish(tmp_path):
    """In a process of its own, whose pool may break."""
    done = subprocess.run([sys.executable, "-c", FATAL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert re.search(r"RuntimeError: 1 of 3 tasks failed(.*\n)*fatal on fans, seed 0: .*process .* died", done.stderr)
    assert [row["detector"] for row in Results(tmp_path).rows()].count("TWFR") == 1
    assert len(Results(tmp_path).rows()) == 2
    assert "fatal" in (tmp_path / "errors.jsonl").read_text()


def test_sections_without_training_clips_are_left_out(tmp_path):
    clips = make_machine_clips(("fan", "pump"), n_train=8, duration=1.0, random_state=0)
    kept = ~((clips.data["machine_type"] == "pump") & (clips.data["split"] == "train"))
    data = load_data({"data": clips.data[kept], "target": clips.target[kept]})
    with pytest.warns(UserWarning, match="without normal training clips: pump/00"):
        _, test, _ = data.split()
    assert set(test["machine_type"]) == {"fan"}


def test_what_an_ensemble_is_made_of_is_recorded(suite, tmp_path):
    members = [("one", TWFRDetector()), ("two", AutoencoderDetector(max_epochs=2))]
    valves = {"valves": suite.data["valves"]}
    row = run_suite(Suite("both", valves, {"both": EnsembleDetector(members)}, seeds=(0,)), tmp_path).iloc[0]
    assert (
        row["checkpoint"]
        == "one: none: no epochs; two: last weights of the epoch with the lowest validation loss, 2 at most"
    )


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"kind": "magic"}, "kind = 'magic' is unknown; expected one of synthetic, dcase"),
        ({"kind": "synthetic", "n_clips": 3}, "kind 'synthetic' has no option n_clips; its options are .*n_train"),
        ({"kind": "folder", "root": "x"}, "kind 'folder' has no option root; its options are .*folder, labels"),
        ({"kind": "folder"}, "kind 'folder' cannot be loaded: .*folder"),
        ({"kind": "dcase", "root": "x", "years": 2023}, "kind 'dcase' has no option years; its options are .*year"),
        (
            {"kind": "synthetic", "random_state": None},
            "random_state=None makes clips that no other process can make again",
        ),
        ({"kind": "synthetic", "machine_types": NESTED}, "data is nested too deeply, or contains itself"),
        ({"kind": "table", "clips": "$NOT_SET/clips.csv"}, "environment variable that is not set"),
        ({"kind": "table", "clips": "clips.csv", "label": 1}, "has no label"),
    ],
)
def test_wrong_data_are_named(description, message):
    with pytest.raises(ValueError, match=message):
        load_data(description)


def test_options_that_cannot_be_compared_are_named():
    with pytest.raises(TypeError, match=r"data holds an option that is no text, number, list or table: .*'set'"):
        load_data({"kind": "synthetic", "machine_types": {"fan"}})
    nested = {"kind": "synthetic", "random_state": "seed", "machine_types": NESTED}
    with pytest.raises(ValueError, match="data is nested too deeply"):
        load_data(nested)


def test_data_without_test_clips_are_refused():
    clips = make_machine_clips("fan", random_state=0)
    with pytest.raises(ValueError, match="column 'split' that says 'train' and 'test'"):
        load_data({"data": clips.data.assign(split="train"), "target": clips.target})
    with pytest.raises(TypeError, match="a mapping or Bunch is expected"):
        load_data(clips.data)


def test_a_table_of_clips_with_log_mels(tmp_path, monkeypatch):
    table = pd.DataFrame({"kind": ["a", "a", "a", "b"], "split": ["train", "test", "test", "test"]})
    table = table.assign(machine_type="fan", section="00", label=["normal", "normal", "anomaly", "anomaly"])
    table.to_csv(tmp_path / "clips.csv", index=False)
    np.save(tmp_path / "mels.npy", np.arange(4 * 3 * 2, dtype=np.float16).reshape(4, 3, 2))
    monkeypatch.setenv("MY_CLIPS", str(tmp_path))
    description = {"kind": "table", "clips": "$MY_CLIPS/clips.csv", "log_mel": "mels.npy", "where": {"kind": "a"}}
    data = load_data(description)
    assert data.target.tolist() == [1, 1, -1]
    assert data.table["log_mel"].iloc[1].dtype == np.float32
    assert data.fingerprint != load_data({**description, "where": {}}).fingerprint


def test_misspelt_labels_are_refused(tmp_path):
    pd.DataFrame({"split": ["train", "test"], "label": ["normal", "Anomaly"]}).to_csv(
        tmp_path / "clips.csv", index=False
    )
    np.save(tmp_path / "mels.npy", np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match=r"has the labels 'Anomaly'; normal, anomaly, unknown or nothing"):
        load_data({"kind": "table", "clips": str(tmp_path / "clips.csv"), "log_mel": "mels.npy"})


def test_a_detector_is_not_told_what_the_challenge_hides():
    clips = make_machine_clips("fan", random_state=0)
    test = load_data({**clips, "year": 2023}).split()[1]
    assert load_data({**clips, "year": 2023}).as_tested(test)["domain"].isna().all()
    assert load_data({**clips, "year": 2021}).as_tested(test)["domain"].notna().all()


SCRIPT = """
import sys
from skasd.benchmark import Suite, run_suite
from skasd.detectors import TWFRDetector
shared = {"kind": "synthetic", "n_train": 8, "duration": 1.0, "random_state": 0}
data = {name: {**shared, "machine_types": name} for name in ("fan", "pump", "valve")}
detectors = {f"r={r}": TWFRDetector(r=r) for r in (0.2, 0.6, 1.0)}
table = run_suite(Suite("killed", data, detectors, seeds=(0, 1, 2)), sys.argv[1], n_jobs=int(sys.argv[2]))
times = ["feature_seconds", "fit_seconds", "score_seconds", "peak_bytes", "date"]
print(table.drop(columns=times).to_json())
"""


FATAL = """
import os, signal, sys
from skasd.benchmark import Suite, run_suite
from skasd.detectors import TWFRDetector

class FatalDetector(TWFRDetector):
    def _fit(self, clips):
        os.kill(os.getpid(), signal.SIGKILL)

data = {"fans": {"kind": "synthetic", "machine_types": "fan", "n_train": 8, "duration": 1.0, "random_state": 0}}
detectors = {"fatal": FatalDetector(), "TWFR": TWFRDetector(), "mean": TWFRDetector(r=1.0)}
run_suite(Suite("fatal", data, detectors, seeds=(0,)), sys.argv[1], n_jobs=2)
"""


def run_script(folder, n_jobs=1):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(n_jobs)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def whole_table(tmp_path_factory):
    """The table of the suite when nothing interrupts it."""
    return run_script(tmp_path_factory.mktemp("whole")).communicate()[0]


@pytest.mark.slow
@pytest.mark.parametrize(("n_jobs", "n_kills"), [(1, 2), (2, 2)])  # each start takes seconds
def test_killed_at_random_moments_and_resumed_it_gives_the_same_table(tmp_path, whole_table, n_jobs, n_kills):
    folder, rng, kills = tmp_path / "killed", random.Random(n_jobs), 0
    while kills < n_kills:
        process, n_before = run_script(folder, n_jobs), len(Results(folder).rows())
        deadline = time.monotonic() + 60
        while len(Results(folder).rows()) <= n_before and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills == n_kills
    result, _ = run_script(folder, n_jobs).communicate()
    assert result == whole_table
    assert len(Results(folder).rows()) == 27
