import csv
import errno
import hashlib
import io
import multiprocessing
import random
import shutil
import stat
import subprocess
import sys
import warnings
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from skasd.datasets import fetch_dcase, load_dcase, parse_attributes
from skasd.datasets._dcase_archives import list_archives
from tests.datasets.file_server import FileServer

pytestmark = [pytest.mark.network, pytest.mark.filterwarnings("ignore:No hash is known")]
FAN = "/dev_data_fan.zip"
CUT = 65536  # bytes, several of the chunks that are written at once


def zipped(entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def clips_of(machine, n=3):
    names = [f"{machine}/train/normal_id_00_{i:08d}.wav" for i in range(n)]
    names += [f"{machine}/test/{kind}_id_00_{i:08d}.wav" for kind in ("normal", "anomaly") for i in range(n)]
    return {name: random.Random(name).randbytes(20_000) for name in names}


@pytest.fixture
def server():
    with FileServer({FAN: zipped(clips_of("fan")), "/dev_data_pump.zip": zipped(clips_of("pump"))}) as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path):
    """fetch_dcase of fans and pumps of 2020 from that server; `hashes` by path."""

    def fetch(hashes=None, **options):
        rows = [("2020", "dev", path.split("_")[-1][:-4], path) for path in (FAN, "/dev_data_pump.zip")]
        return fetch_dcase(archives=table_of(tmp_path, server, rows, hashes), **{**DEFAULTS, **options})

    home = tmp_path / "home"
    DEFAULTS = {"year": 2020, "machine_types": "fan", "data_home": home, "n_retries": 2, "retry_wait": 0.0}
    fetch.root = home / "dcase2020"
    return fetch


def table_of(folder, server, rows, hashes=None):
    file = folder / "archives.csv"
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["year", "part", "machine_type", "url", "hash"])
        writer.writerows([(*row[:3], server.url + row[3], (hashes or {}).get(row[3], "")) for row in rows])
    return file


def test_what_is_fetched_is_what_load_dcase_finds(fetch):
    clips = fetch()
    assert clips.data["split"].value_counts().to_dict() == {"test": 6, "train": 3}
    assert clips.data.equals(load_dcase(fetch.root, year=2020).data)
    assert not list(fetch.root.rglob("*.zip"))
    assert not list(fetch.root.rglob("unpacking*"))


def test_what_is_there_is_not_fetched_again(fetch, server):
    fetch()
    fetch()
    assert server.requests["GET", FAN] == 1


def test_a_file_that_was_deleted_is_fetched_again(fetch, server):
    clips = fetch()
    (fetch.root / "dev_data/fan/train/normal_id_00_00000001.wav").unlink()
    assert fetch().data.equals(clips.data)
    assert server.requests["GET", FAN] == 2


def test_another_machine_type_is_added(fetch, server):
    fetch()
    assert set(fetch(machine_types=None).data["machine_type"]) == {"fan", "pump"}
    assert server.requests["GET", FAN] == 1


def test_a_cut_connection_goes_on_where_it_was(fetch, server):
    server.cut_after[FAN] = CUT
    fetch()
    assert server.requests["GET", FAN] == -(-len(server.files[FAN]) // CUT)
    assert server.sent[FAN] == len(server.files[FAN])


def test_a_server_without_ranges_that_always_cuts_is_given_up_and_gone_on_with_later(fetch, server):
    server.cut_after[FAN], server.without_ranges = CUT, True
    with pytest.raises(
        ConnectionError, match=r"dev_data_fan.zip broke off after 65536 bytes, 3 times in a row.*resumes"
    ):
        fetch()
    assert not list(fetch.root.rglob("*.wav"))
    server.cut_after, server.without_ranges = {}, False
    server.sent.clear()
    fetch()
    assert server.sent[FAN] == len(server.files[FAN]) - CUT


def test_a_busy_server_is_asked_again(fetch, server):
    server.busy[FAN] = 2
    assert len(fetch().data) == 9
    server.busy["/dev_data_pump.zip"] = 3
    with pytest.raises(ConnectionError, match=r"pump.zip could not be fetched in 3 attempts: status 429"):
        fetch(machine_types="pump")


def test_a_server_that_is_not_there_is_named(fetch, server, tmp_path):
    table = table_of(tmp_path, server, [("2020", "dev", "fan", FAN)])
    table.write_text(table.read_text().replace(server.url, "http://127.0.0.1:9"))
    with pytest.raises(ConnectionError, match=r"127.0.0.1:9/dev_data_fan.zip could not be fetched in 1 attempts"):
        fetch_dcase(year=2020, data_home=tmp_path, archives=table, n_retries=0)


def test_archives_of_one_name_are_told_apart(server, tmp_path):
    server.files = {"/fan/data.zip": zipped(clips_of("fan")), "/pump/data.zip": zipped(clips_of("pump"))}
    rows = [("2020", "dev", machine, f"/{machine}/data.zip") for machine in ("fan", "pump")]
    clips = fetch_dcase(year=2020, data_home=tmp_path, archives=table_of(tmp_path, server, rows))
    assert set(clips.data["machine_type"]) == {"fan", "pump"}


@pytest.mark.parametrize("part", ["dev", "ground_truth"])
@pytest.mark.parametrize("page", [b"\xef\xbb\xbf\n<!DOCTYPE html><p>Please log in", b"<html>", b"<?xml?><Error>"])
def test_a_web_page_in_place_of_a_file_names_the_address(server, tmp_path, part, page):
    name = "/dev_data_fan.zip" if part == "dev" else "/ground_truth_fan.csv"
    server.files = {FAN: zipped(clips_of("fan")), "/eval_data_fan.zip": zipped(clips_of("fan")), name: page}
    rows = [("2020", "dev", "fan", FAN), ("2020", "eval_train", "fan", "/eval_data_fan.zip")]
    rows += [("2020", "eval_test", "fan", "/eval_data_fan.zip"), ("2020", part, "fan" if part == "dev" else "", name)]
    table = table_of(tmp_path, server, rows[-1:] if part == "dev" else rows[1:])
    with pytest.raises(ValueError, match=rf"^{server.url}{name}: the server sent a web page in place of the file"):
        fetch_dcase(
            year=2020,
            subset="dev" if part == "dev" else "eval",
            data_home=tmp_path,
            archives=table,
            machine_types="fan" if part == "dev" else None,
        )
    assert not list((tmp_path / "dcase2020").rglob(name.strip("/")))


def test_addresses_that_lead_to_each_other_are_named(server, tmp_path):
    server.moved = {"/a.zip": "/b.zip", "/b.zip": "/a.zip"}
    table = table_of(tmp_path, server, [("2020", "dev", "fan", "/a.zip")])
    with pytest.raises(ConnectionError, match=rf"{server.url}/a.zip leads from one address to the next without end"):
        fetch_dcase(year=2020, data_home=tmp_path, archives=table, n_retries=3, retry_wait=60.0)


def test_what_is_no_zip_is_refused_whatever_its_name(server, tmp_path):
    server.files = {"/dev_fan/content": b"no zip"}
    table = table_of(tmp_path, server, [("2020", "dev", "fan", "/dev_fan/content")])
    with pytest.raises(ValueError, match="is a broken zip file"):
        fetch_dcase(year=2020, data_home=tmp_path, archives=table)
    server.files["/dev_fan/content"] = zipped(clips_of("fan"))
    assert len(fetch_dcase(year=2020, data_home=tmp_path, archives=table).data) == 9


def test_a_replaced_archive_of_another_name_is_fetched(fetch, server, tmp_path):
    fetch()
    server.files["/dev_data_fan_r2.zip"] = zipped(clips_of("fan", 5))
    table = table_of(tmp_path, server, [("2020", "dev", "fan", "/dev_data_fan_r2.zip")])
    clips = fetch_dcase(year=2020, machine_types="fan", data_home=fetch.root.parent, archives=table)
    assert len(clips.data) == 15


def test_what_a_killed_process_left_is_cleared(fetch):
    left = fetch.root / ".fetch/dev/fan/unpacking-abc/fan"
    left.mkdir(parents=True)
    fetch()
    assert not left.exists()


def test_an_entry_that_comes_twice_is_refused(fetch, server):
    twice = {**clips_of("fan"), **{f"above/{name}": content for name, content in clips_of("fan").items()}}
    server.files[FAN] = zipped(twice)
    with pytest.raises(ValueError, match="more than once"):
        fetch()
    assert not list(fetch.root.rglob("*.wav"))


def test_a_server_that_answers_no_head_requests_is_no_problem(fetch, server):
    server.without_head = True
    assert len(fetch().data) == 9


def test_labels_of_a_repository_may_be_revised(server, tmp_path):
    table = table_of(tmp_path, server, evaluation_of_2022(server))
    fetch_dcase(year=2022, subset="eval", data_home=tmp_path, archives=table)
    revised = "section_03_0000.wav,1\nsection_03_0001.wav,0\n"
    files = [f"x/ground_truth_{kind}/ground_truth_ToyCar_section_03_test.csv" for kind in ("data", "domain")]
    server.files["/HEAD.zip"] = zipped(dict.fromkeys(files, revised))
    shutil.rmtree(tmp_path / "dcase2022/ground_truth")
    clips = fetch_dcase(year=2022, subset="eval", data_home=tmp_path, archives=table)
    assert clips.target.tolist() == [1, -1, 1]


def test_machine_types_of_one_half_only_are_told_before_the_download():
    with pytest.raises(
        ValueError, match=r"machine_types=\['fan'\]: none is in the eval set of 2023, which has ToyDrone"
    ):
        fetch_dcase(year=2023, subset="both", machine_types="fan")


def test_a_missing_file_is_named(fetch, server):
    del server.files[FAN]
    with pytest.raises(FileNotFoundError, match=r"dev_data_fan.zip: status 404"):
        fetch()


def test_a_wrong_hash_leaves_nothing(fetch):
    with pytest.raises(ValueError, match=r"dev_data_fan.zip does not match its hash: MD5 hash .*archives"):
        fetch(hashes={FAN: "md5:" + "0" * 32})
    assert not list(fetch.root.rglob("*.wav"))
    assert not list(fetch.root.rglob("*.zip*part"))


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_is_compared_with_its_published_hash(fetch, server, kind):
    digest = hashlib.new(kind, server.files[FAN]).hexdigest()
    right = {FAN: f"{kind}:{digest}"}
    server.files[FAN], whole = zipped(clips_of("fan", 4)), server.files[FAN]  # another file that is whole
    with pytest.raises(ValueError, match=rf"dev_data_fan.zip does not match its hash: {kind.upper()} hash .*{digest}"):
        fetch(hashes=right)
    assert not list(fetch.root.rglob("*.wav"))
    server.files[FAN] = whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(fetch(hashes=right).data) == 9


def test_files_without_a_known_hash_are_told_once(fetch):
    with pytest.warns(
        UserWarning, match=r"No hash is known for 1 .* dev_data_fan.zip. Their SHA-256 is now in .*hashes.json"
    ):
        fetch()
    shutil.rmtree(fetch.root / "dev_data")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fetch()  # and is compared with the recorded one
        fetch()


def test_a_part_of_another_file_is_begun_anew_where_the_hash_tells(fetch, server):
    part = fetch.root / ".fetch/dev/fan/dev_data_fan.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    md5 = hashlib.md5(server.files[FAN]).hexdigest()
    assert len(fetch(hashes={FAN: f"md5:{md5}"}).data) == 9


def test_a_file_replaced_by_the_organisers_is_refused_once_its_hash_is_recorded(fetch, server):
    fetch()
    server.files[FAN] = zipped(clips_of("fan", 4))
    shutil.rmtree(fetch.root / "dev_data")
    with pytest.raises(ValueError, match="does not match its hash: SHA256"):
        fetch()
    (fetch.root / ".fetch/hashes.json").unlink()
    assert len(fetch().data) == 12


def test_a_truncated_zip_is_refused_and_forgotten(fetch, server):
    whole = server.files[FAN]
    server.files[FAN] = whole[:-200]
    with pytest.raises(ValueError, match=r"dev_data_fan.zip is a broken zip file"):
        fetch()
    assert not list(fetch.root.rglob("*.wav"))
    server.files[FAN] = whole
    assert len(fetch().data) == 9


def test_a_zip_with_a_broken_entry_is_refused(fetch, server):
    content = bytearray(server.files[FAN])
    content[600:610] = bytes(10)
    server.files[FAN] = bytes(content)
    with pytest.raises(ValueError, match=r"dev_data_fan.zip is a broken zip file"):
        fetch()
    assert not list(fetch.root.rglob("*.wav"))


@pytest.mark.parametrize("name", ["../fan/train/a.wav", "/fan/train/a.wav", "fan\\..\\..\\a.wav", "C:/fan/a.wav"])
def test_an_entry_outside_the_folder_is_refused(fetch, server, name):
    server.files[FAN] = zipped({**clips_of("fan"), name: b"x"})
    with pytest.raises(ValueError, match=r"dev_data_fan.zip is refused: its entry .* points outside"):
        fetch()
    assert not list(fetch.root.rglob("*.wav"))


def test_a_link_in_a_zip_is_refused(fetch, server):
    link = zipfile.ZipInfo("fan/train/link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    server.files[FAN] = zipped({**clips_of("fan")})
    buffer = io.BytesIO(server.files[FAN])
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr(link, "/etc/passwd")
    server.files[FAN] = buffer.getvalue()
    with pytest.raises(ValueError, match="is a link"):
        fetch()


def test_folders_above_the_machine_are_left_out(fetch, server):
    server.files[FAN] = zipped({f"dev_data/{name}": content for name, content in clips_of("fan").items()})
    fetch()
    assert (fetch.root / "dev_data/fan/train").is_dir()


def test_a_full_disk_is_told_before_anything_is_downloaded(fetch, server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match=r"downloading 1 archives of dcase2020 needs .* GB .* are free") as raised:
        fetch()
    assert raised.value.errno == errno.ENOSPC
    assert server.requests["GET", FAN] == 0


def test_what_has_come_already_needs_no_room(fetch, server, monkeypatch):
    size = len(server.files[FAN])
    server.cut_after[FAN], server.without_ranges = CUT, True
    with pytest.raises(ConnectionError):
        fetch()
    server.cut_after, server.without_ranges = {}, False
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 2 * size - CUT))
    assert len(fetch().data) == 9


def test_a_disk_that_fills_up_keeps_what_came(fetch, server, tmp_path):
    """The limit of file sizes stands for the disk: the same error from the same call."""
    fetch_in_another_process = (
        "import resource, signal, sys\n"
        "from skasd.datasets import fetch_dcase\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "fetch_dcase(year=2020, machine_types='fan', data_home=sys.argv[1], archives=sys.argv[2])\n"
    )
    table = table_of(tmp_path, server, [("2020", "dev", "fan", FAN)])
    command = [sys.executable, "-c", fetch_in_another_process, str(fetch.root.parent), str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "while writing" in done.stderr
    assert "the data received is kept" in done.stderr
    assert (fetch.root / ".fetch/dev/fan/dev_data_fan.zip.part").read_bytes() == server.files[FAN][:100000]
    fetch()
    assert server.sent[FAN] - len(server.files[FAN]) < len(server.files[FAN])


def test_two_processes_fetch_once(fetch, server, tmp_path):
    table = table_of(tmp_path, server, [("2020", "dev", "fan", FAN)])
    options = {"year": 2020, "data_home": fetch.root.parent, "archives": table}
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fetch_dcase, kwargs=options) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests["GET", FAN] == 1
    assert len(load_dcase(fetch.root, year=2020).data) == 9


def test_progress_is_shown_only_when_asked_for(fetch, capfd):
    fetch()
    assert capfd.readouterr() == ("", "")
    fetch(machine_types="pump", verbose=1)
    assert "dev_data_pump.zip" in capfd.readouterr().err


def test_nothing_is_downloaded_against_the_will(fetch, server):
    with pytest.raises(FileNotFoundError, match=r"Not in .*dev_data_fan.zip; download_if_missing"):
        fetch(download_if_missing=False)
    assert not server.requests


def test_archives_are_kept_on_request(fetch, server):
    fetch(keep_archives=True)
    assert (fetch.root / ".fetch/dev/fan/dev_data_fan.zip").read_bytes() == server.files[FAN]


def test_the_home_comes_from_the_environment(fetch, monkeypatch, tmp_path):
    monkeypatch.setenv("SKASD_DATA", str(tmp_path / "elsewhere"))
    fetch(data_home=None)
    assert (tmp_path / "elsewhere/dcase2020/dev_data/fan/train").is_dir()


def evaluation_of_2022(server):
    names = ["section_03_0000.wav", "section_03_0001.wav"]
    train = "ToyCar/train/section_03_source_train_normal_0000_car_A1.wav"
    shuffled = "file_name,d1p,d1v,file_name_with_attributes\n" + "".join(
        f"ToyCar/test/{name},car,A1,section_03_target_test_anomaly_000{i}_car_A1.wav\n" for i, name in enumerate(names)
    )
    truth = "dcase2022_evaluator-abc/"
    server.files |= {
        "/eval_data_ToyCar_train.zip": zipped({train: b"x"}),
        "/eval_data_ToyCar_test.zip": zipped({f"ToyCar/test/{name}": b"x" for name in names}),
        "/HEAD.zip": zipped(
            {
                truth + "evaluator.py": b"print()",
                truth + "ground_truth_data/ground_truth_ToyCar_section_03_test.csv": f"{names[0]},0\n{names[1]},1\n",
                truth + "ground_truth_domain/ground_truth_ToyCar_section_03_test.csv": f"{names[0]},0\n{names[1]},1\n",
                truth + "ground_truth_attributes/ToyCar/attributes_03.csv": shuffled,
            }
        ),
    }
    parts = [("eval_train", "/eval_data_ToyCar_train.zip"), ("eval_test", "/eval_data_ToyCar_test.zip")]
    rows = [("2022", part, "ToyCar", path) for part, path in parts]
    return [*rows, ("2022", "ground_truth", "", "/HEAD.zip")]


def test_an_evaluation_set_has_the_right_labels_of_2022(server, tmp_path):
    table = table_of(tmp_path, server, evaluation_of_2022(server))
    clips = fetch_dcase(year=2022, subset="eval", data_home=tmp_path, archives=table)
    assert clips.target.tolist() == [1, 1, -1]
    assert clips.data["domain"].tolist() == ["source", "source", "target"]
    assert not list(tmp_path.rglob("evaluator.py"))


def drones_of(server, year, attributes, label):
    """ToyDrones of a year, with its evaluator, on the server."""
    clip, test = (
        f"ToyDrone/train/section_00_source_train_normal_0000_{attributes}.wav",
        "ToyDrone/test/section_00_0000.wav",
    )
    file = "ground_truth_ToyDrone_section_00_test.csv"
    full = f"section_00_0000.wav,section_00_source_test_{label}_0001_{attributes}\n"
    truth = {
        "data": f"section_00_0000.wav,{int(label == 'anomaly')}\n",
        "domain": "section_00_0000.wav,0\n",
        "attributes": full,
    }
    server.files |= {
        f"/{year}/eval_data_ToyDrone_train.zip": zipped({clip: str(year)}),
        f"/{year}/eval_data_ToyDrone_test.zip": zipped({test: str(year)}),
        f"/{year}/HEAD.zip": zipped(
            {f"dcase{year}_task2_evaluator-abc/ground_truth_{kind}/{file}": text for kind, text in truth.items()}
        ),
    }
    parts = {"eval_train": "eval_data_ToyDrone_train.zip", "eval_test": "eval_data_ToyDrone_test.zip"}
    rows = [(str(year), part, "ToyDrone", f"/{year}/{name}") for part, name in parts.items()]
    return [*rows, (str(year), "ground_truth", "", f"/{year}/HEAD.zip")]


def test_a_machine_type_of_two_years_is_fetched_for_each(server, tmp_path):
    rows = drones_of(server, 2023, "car_A1_spd_1_mic_1", "normal")
    rows += drones_of(server, 2026, "car_A1_spd_1_mic_2_mic_1", "anomaly")
    table = table_of(tmp_path, server, rows)
    for year, target, n_keys in [(2023, [1, 1], 3), (2026, [1, -1], 4)]:
        clips = fetch_dcase(year=year, subset="eval", data_home=tmp_path / "home", archives=table, test_attributes=True)
        assert clips.target.tolist() == target
        assert [len(parse_attributes(text, year=year)) for text in clips.data["attributes"]] == [n_keys] * 2
        assert {Path(path).read_text() for path in clips.data["path"]} == {str(year)}


def test_without_published_labels_it_warns(server, tmp_path):
    table = table_of(tmp_path, server, evaluation_of_2022(server)[:2])
    with pytest.warns(UserWarning, match="No labels of the evaluation set of 2022"):
        clips = fetch_dcase(year=2022, subset="eval", data_home=tmp_path, archives=table)
    assert clips.target.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"year": 2019}, "2019"),
        ({"subset": "test"}, "subset='test'"),
        ({"machine_types": "Fan"}, r"machine_types=\['Fan'\].*case matters\): fan"),
        ({"year": 2021}, "no archive of DCASE 2021"),
        ({"n_retries": -1}, "n_retries"),
    ],
)
def test_wrong_requests_are_named(fetch, server, options, message):
    with pytest.raises(ValueError, match=message):
        fetch(**options)
    assert not server.requests


@pytest.mark.parametrize(
    "line",
    ["2020,dev,fan,http://x", "x,dev,fan,http://x,", "2020,train,fan,http://x,", "2020,dev,fan,http://x,md5sum:1"],
)
def test_a_wrong_line_in_the_table_of_archives_is_named(tmp_path, line):
    table = tmp_path / "archives.csv"
    table.write_text(f"year,part,machine_type,url,hash\n{line}\n")
    with pytest.raises(ValueError, match=r"archives.csv, line 2"):
        fetch_dcase(year=2020, archives=table)


@pytest.mark.parametrize(
    ("year", "n_dev", "n_eval", "last_name"),
    [
        (2020, 6, 6, "eval_data_test_ToyConveyor.zip"),
        (2021, 7, 7, "eval_data_ToyTrain_test.zip"),
        (2022, 7, 7, "eval_data_ToyTrain_test.zip"),
        (2023, 7, 7, "eval_data_Vacuum_test.zip"),
        (2024, 7, 9, "eval_data_ToyCircuit_test.zip"),
        (2025, 7, 8, "eval_data_ToyRCCar_test.zip"),
        (2026, 7, 5, "eval_data_ToyDrone_test.zip"),
    ],
)
def test_the_table_has_every_machine_type_of_every_year(year, n_dev, n_eval, last_name):
    archives = list_archives(year, "both", None, None)
    counts = {part: sum(archive.part == part for archive in archives) for part in ("dev", "eval_train", "eval_test")}
    assert counts == {"dev": n_dev, "eval_train": n_eval, "eval_test": n_eval}
    assert [archive.name for archive in archives if archive.part == "eval_test"][-1] == last_name
    assert all(archive.url.startswith(("https://zenodo.org/records/", "https://github.com/")) for archive in archives)
    known = [archive for archive in archives if archive.known_hash]
    assert len(known) == {2020: 18, 2023: 21, 2026: 12}.get(year, 0)
    assert sum(archive.part == "ground_truth" for archive in archives) == 1
    assert all(archive.known_hash.startswith("md5:") and len(archive.known_hash) == 36 for archive in known)
