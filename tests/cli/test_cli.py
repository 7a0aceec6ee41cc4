import io
import re
import shutil
import zipfile

import pytest
import soundfile

from skasd.datasets import make_machine_clips, read_dcase_scores
from tests.cli.running import skasd, skasd_process
from tests.datasets.file_server import FileServer


def name_of(row, index, label):
    return f"section_{row.section}_{row.domain}_{row.split}_{label}_{index:04d}_{row.attributes}.wav"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Synthetic fans and valves, laid out and named as DCASE 2023."""
    root = tmp_path_factory.mktemp("dcase2023")
    clips = make_machine_clips(
        ("fan", "valve"), n_train=12, n_test_normal=8, n_test_anomaly=8, target_share=0.5, random_state=0
    )
    for index, (row, target) in enumerate(zip(clips.data.itertuples(), clips.target, strict=True)):
        folder = root / "dev_data" / row.machine_type / row.split
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name_of(row, index, "normal" if target == 1 else "anomaly"), row.waveform, 16000)
    return root


def test_demo_prints_the_table_and_writes_the_picture(tmp_path):
    done = skasd_process("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = re.findall(r"(fan|pump|slider|valve|gearbox) +00 +30 +30 +([01]\.\d+)", done.stdout)
    assert len(rows) == 5
    assert all(float(area) > 0.8 for _, area in rows)
    assert (tmp_path / "skasd_demo.png").read_bytes().startswith(b"\x89PNG")


def test_demo_into_a_missing_folder_fails_before_it_starts(tmp_path):
    done = skasd("demo", "--out", tmp_path / "nowhere" / "demo.png")
    assert done.returncode == 2
    assert "nowhere is not a folder" in done.stderr


@pytest.mark.network
def test_fetch_downloads_and_counts(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("fan/train/normal_id_00_00000000.wav", b"x")
    table = tmp_path / "archives.csv"
    with FileServer({"/dev_data_fan.zip": content.getvalue()}) as server:
        table.write_text(f"year,part,machine_type,url,hash\n2020,dev,fan,{server.url}/dev_data_fan.zip,\n")
        done = skasd("fetch", 2020, "--machine-type", "fan", "--data-home", tmp_path, "--archives", table)
    assert done.returncode == 0
    assert re.fullmatch(r"[^\n]*No hash is known for 1 of the files just downloaded.*dev_data_fan.zip.*\n", done.stderr)
    assert "DCASE 2020 Task 2, development set" in done.stdout
    assert (tmp_path / "dcase2020/dev_data/fan/train/normal_id_00_00000000.wav").exists()


def test_evaluate_prints_the_official_figures(tree):
    done = skasd("evaluate", tree, "--year", 2023)
    assert done.returncode == 0, done.stderr
    assert "all 2 sections" in done.stdout
    score = float(re.search(r"score of 2023: (0\.\d+)", done.stdout)[1])
    assert 0.6 < score <= 1.0


def test_evaluate_writes_scores_and_decisions_of_the_challenge(tree, tmp_path):
    done = skasd("evaluate", tree, "--year", 2023, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    scores = read_dcase_scores(tmp_path / "out")
    assert len(scores) == 32
    anomalous = scores.file_name.str.contains("_anomaly_")
    assert scores.score[anomalous].mean() > scores.score[~anomalous].mean()
    decisions = (tmp_path / "out" / "decision_result_fan_section_00_test.csv").read_text().splitlines()
    assert len(decisions) == 16
    assert all(re.fullmatch(r"section_00_.*\.wav,[01]", line) for line in decisions)


def test_evaluate_only_takes_the_machine_types_asked_for(tree):
    done = skasd("evaluate", tree, "--year", 2023, "--machine-type", "fan")
    assert "fan" in done.stdout
    assert "valve" not in done.stdout


def test_evaluate_runs_on_real_recordings_of_mixed_length(real_data):
    done = skasd("evaluate", real_data / "dcase2023", "--year", 2023)
    assert done.returncode == 0, done.stderr
    assert "1 of 7 sections, so not the official score" in done.stdout
    assert "ToyCar" in done.stderr
    assert skasd("evaluate", real_data / "dcase2023", "--year", 2023, "--quiet").stderr == ""


def test_evaluate_leaves_sections_without_training_clips_out(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "dcase2023")
    for path in (tmp_path / "dcase2023" / "dev_data" / "fan" / "train").iterdir():
        path.unlink()
    done = skasd("evaluate", tmp_path / "dcase2023", "--year", 2023)
    assert done.returncode == 0, done.stderr
    assert "having fewer than 2 training clips: fan/00" in done.stderr
    assert "fan" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "nowhere.wav", "--train", "{folders}/normal"), "1 of 1 files to score do not exist: nowhere.wav"),
        (
            ("score", "{folders}/new", "--train", "{folders}/normal", "--csv", "{folders}/new"),
            "it must name a file",
        ),
        (("evaluate",), "Missing argument"),
        (("evaluate", "{folders}", "--year", "soon"), "--year"),
        (("nonsense",), "No such command"),
        (("demo", "--out", "demo.xyz"), "--out=demo.xyz is not a supported image file"),
        (("score", "{folders}/new", "--train", "{folders}/missing"), "missing"),
        (("score", "{folders}/new", "--train", "{folders}/normal", "--channel", "left"), "--channel=left is invalid"),
        (
            ("score", "{folders}/new", "--train", "{folders}/normal", "--alpha", "2"),
            "alpha=2.0 is out of range",
        ),
        (("evaluate", "{folders}", "--year", "2023"), "{folders}"),
        (("evaluate", "{folders}", "--year", "1999"), "year=1999"),
    ],
)
def test_bad_input_gives_one_line_and_exit_code_two(folders, arguments, message):
    done = skasd(*(argument.format(folders=folders) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert message.format(folders=folders) in done.stderr


@pytest.mark.parametrize(
    "command", ["benchmark", "demo", "evaluate", "export", "fetch", "fit", "report", "score", "show"]
)
def test_help_explains(command):
    done = skasd(command, "--help")
    assert done.returncode == 0
    assert "--quiet" in done.stdout
    assert len(done.stdout.splitlines()) > 10


def test_unknown_detector_lists_the_known():
    done = skasd("evaluate", ".", "--year", "2023", "--detector", "magic")
    assert done.returncode == 2
    assert "statistics" in done.stderr


def test_no_command_prints_the_help():
    done = skasd()
    assert done.returncode == 0
    assert "evaluate" in done.stdout


def test_version_is_printed():
    import skasd as package

    assert skasd_process("--version").stdout.strip() == package.__version__


SUITE = """
seeds = [0]
[data.fans]
kind = "synthetic"
machine_types = ["fan"]
n_train = 30
duration = 1.0
random_state = 0
[detectors.TWFR]
class = "TWFRDetector"
[detectors.mean]
class = "TWFRDetector"
r = 1.0
"""


def test_benchmark_runs_resumes_and_reports(tmp_path):
    (tmp_path / "mine.toml").write_text(SUITE)
    done = skasd("benchmark", tmp_path / "mine.toml", "--out", tmp_path / "results", "--seed", 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| TWFR |" in done.stdout
    again = skasd("benchmark", tmp_path / "mine.toml", "--out", tmp_path / "results", "--seed", 1)
    assert again.stdout == done.stdout
    compared = skasd("report", tmp_path / "results", "--compare", "TWFR", "mean", "--out", tmp_path / "elsewhere")
    assert "## Paired bootstrap" in compared.stdout
    assert (tmp_path / "elsewhere" / "report.png").exists()


def test_report_of_nothing_and_unknown_suites_are_one_line(tmp_path):
    for arguments in (("report", tmp_path), ("benchmark", "slow", "--out", tmp_path)):
        done = skasd(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
