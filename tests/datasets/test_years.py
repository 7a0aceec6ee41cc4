"""A machine type of the same name is another machine in each year, and attributes of 2026 repeat a key."""

from pathlib import Path

import pytest

from skasd.benchmark._data import load_data
from skasd.datasets import load_dcase, parse_attributes, parse_clip_name, read_dcase_scores
from skasd.datasets._dcase_archives import list_archives, years_of_machine_types
from tests.datasets.test_dcase import column, load_eval, names, touch, write

DRONE = {2023: "car_B2_spd_1_mic_1", 2026: "car_B2_spd_1_mic_2_mic_1"}
EVAL = {year: [f"section_00_{i:04d}.wav" for i in range(2)] for year in DRONE}
LABELS = {2023: ("normal", "anomaly"), 2026: ("anomaly", "normal")}


def drones(root, year):
    """Training and test clips of a ToyDrone, and no other machine type."""
    clips = [f"train/section_00_source_train_normal_{i:04d}_{DRONE[year]}.wav" for i in range(3)]
    return touch(root, *(f"ToyDrone/{name}" for name in [*clips, *(f"test/{name}" for name in EVAL[year])]))


def evaluator(root, year, machine="ToyDrone"):
    """Ground truth of the evaluator of a year: other labels in each year for the same names."""
    file = f"ground_truth_{machine}_section_00_test.csv"
    rows = list(zip(EVAL[year], LABELS[year], strict=True))
    write(root / "ground_truth_data" / file, *(f"{name},{int(label == 'anomaly')}" for name, label in rows))
    write(root / "ground_truth_domain" / file, *(f"{name},0" for name in EVAL[year]))
    full = [f"{name},section_00_source_test_{label}_0001_{DRONE[year]}" for name, label in rows]
    write(root / "ground_truth_attributes" / file, *full)
    return root


@pytest.fixture
def both_years(tmp_path):
    """ToyDrones of 2023 and 2026, each with its evaluator, below one folder."""
    for year in DRONE:
        drones(tmp_path / f"dcase{year}/eval_data", year)
        evaluator(tmp_path / f"truth/dcase{year}_task2_evaluator-main", year)
    return tmp_path


# Attributes with a repeated key


@pytest.mark.parametrize(
    ("text", "n_pairs"),
    [
        ("car_B2_spd_1_mic_2_mic_1", 4),
        ("mic_imp23absu_mic_pos_A_grind_300_bkg_Z", 4),
        ("spd_1_spd_1", 2),
        ("v1pat_none", 1),
    ],
)
def test_attributes_make_their_text_again(text, n_pairs):
    pairs = parse_attributes(text, year=2026)
    assert len(pairs) == n_pairs
    assert "_".join(part for pair in pairs for part in pair) == text


def test_a_clip_of_2026_keeps_both_microphones():
    name = parse_clip_name(f"ToyDrone/train/section_00_source_train_normal_0000_{DRONE[2026]}.wav", year=2026)
    assert name.attributes == DRONE[2026]
    pairs = parse_attributes(name.attributes, year=2026)
    assert pairs == [("car", "B2"), ("spd", "1"), ("mic", "2"), ("mic", "1")]


def test_an_attribute_file_keeps_a_repeated_key(tmp_path):
    stem = "section_00_source_train_normal_0000_noAttribute"
    touch(tmp_path, f"ToyCarEmu/train/{stem}.wav")
    write(tmp_path / "ToyCarEmu/attributes_00.csv", "file_name,d1p,d1v,d2p,d2v,d3p,d3v", f"{stem},mic,2,mic,1,,")
    text = column(load_dcase(tmp_path, year=2026), "attributes")[0]
    assert parse_attributes(text, year=2026) == [("mic", "2"), ("mic", "1")]


@pytest.mark.parametrize("cells", ["mic,,mic,1", "mic,2,mic", ",2,mic,1", "noAttribute,2,mic"])
def test_an_attribute_without_a_name_or_value_is_told_with_its_line(tmp_path, cells):
    stem = "section_00_source_train_normal_0000_noAttribute"
    touch(tmp_path, f"ToyCarEmu/train/{stem}.wav")
    write(tmp_path / "ToyCarEmu/attributes_00.csv", "file_name,d1p,d1v,d2p,d2v", f"{stem},{cells}")
    with pytest.raises(
        ValueError, match=rf"attributes_00.csv, line 2: '{cells}' is not a sequence of names and values"
    ):
        load_dcase(tmp_path, year=2026)


def test_a_damaged_row_of_a_clip_that_names_its_attributes_does_no_harm(tmp_path):
    stem = f"section_00_source_train_normal_0000_{DRONE[2026]}"
    touch(tmp_path, f"ToyCarEmu/train/{stem}.wav")
    write(tmp_path / "ToyCarEmu/attributes_00.csv", "file_name,d1p,d1v,d2p,d2v", f"{stem}.wav,mic,,mic,1")
    assert column(load_dcase(tmp_path, year=2026), "attributes") == [DRONE[2026]]


@pytest.mark.parametrize("cells", ["", ",,", "noAttribute", "noAttribute,"])
def test_a_row_without_attributes_hides_them(tmp_path, cells):
    stem = "section_00_source_train_normal_0000_noAttribute"
    touch(tmp_path, f"ToyCar/train/{stem}.wav")
    write(tmp_path / "ToyCar/attributes_00.csv", "file_name,d1p,d1v", f"{stem},{cells}")
    assert column(load_dcase(tmp_path, year=2026), "attributes") == [None]


@pytest.mark.parametrize(
    ("year", "pattern"),
    [
        (2020, "<normal|anomaly>_id_<2 digits>_<8 digits>.wav"),
        (2021, "section_<2 digits>_<source|target>_test_<4 digits>.wav without a label"),
        (2026, "<4 digits>_<attributes>.wav, or section_<2 digits>_<4 digits>.wav without a label"),
    ],
)
def test_a_name_that_cannot_be_parsed_is_told_with_the_pattern(tmp_path, year, pattern):
    touch(tmp_path, "ToyCar/train/section_00_source_train_normal_car_B2_spd_1_mic_2_mic_1.wav")
    with pytest.raises(ValueError, match="1 of 1 files are not named like clips") as raised:
        load_dcase(tmp_path, year=year)
    assert pattern in str(raised.value)


# Which years share machine types


def test_machine_types_of_several_evaluation_sets_are_known():
    years = years_of_machine_types()
    assert years["ToyDrone"] == (2023, 2026)
    assert years["ToothBrush"] == (2024, 2026)
    assert years["fan"] == tuple(range(2020, 2027))
    shared = {name for name, of_name in years.items() if len(of_name) > 1}
    ever = {"fan", "pump", "slider", "valve", "gearbox", "bearing", "ToyCar", "ToyTrain"}
    assert shared == ever | {"ToyDrone", "ToothBrush"}


def test_archives_of_a_shared_machine_type_are_those_of_the_year():
    for year, records in {2023: ("7830345", "7860847"), 2026: ("20151556", "20437238")}.items():
        archives = [archive for archive in list_archives(year, "eval", ["ToyDrone"], None) if archive.machine_type]
        assert [archive.url.split("/")[4] for archive in archives] == [*records]
        assert len({archive.known_hash for archive in archives}) == 2


def test_a_machine_type_of_other_years_is_told_with_its_years(tmp_path):
    with pytest.raises(ValueError, match=r"ToyDrone'\] holds the unknown .* ToyDrone is of 2023 and 2026\.$"):
        list_archives(2025, "eval", ["ToyDrone"], None)
    touch(tmp_path, "ToyPet/test/section_00_0000.wav")
    with pytest.raises(ValueError, match=r"expected some of .*: ToyPet\. ToyDrone is of 2023 and 2026\.$"):
        load_dcase(tmp_path, year=2025, subset="eval", machine_types="ToyDrone")


# Clips


@pytest.mark.parametrize("year", DRONE)
def test_each_year_has_its_own_clips(both_years, year):
    clips = load_dcase(both_years, year=year, subset="eval")
    assert {Path(path).relative_to(both_years).parts[0] for path in column(clips, "path")} == {f"dcase{year}"}
    assert set(column(clips, "attributes")) == {DRONE[year], None}
    assert len(clips.data) == 5


def test_a_suite_knows_the_same_machine_type_of_two_years_apart(both_years):
    description = {"kind": "dcase", "root": str(both_years), "subset": "eval", "machine_types": ["ToyDrone"]}
    truth = {"ground_truth": str(both_years / "truth")}
    loaded = [load_data({**description, **truth, "year": year}) for year in DRONE]
    assert loaded[0].fingerprint != loaded[1].fingerprint
    assert loaded[0].family != loaded[1].family


def test_clips_of_two_years_in_one_folder_are_told(tmp_path):
    for year in DRONE:
        drones(tmp_path / "eval_data", year)
    with pytest.raises(
        ValueError, match=r"3 of 3 numbers of ToyDrone belong to two recordings.* 2023 and 2026"
    ) as raised:
        load_dcase(tmp_path, year=2026, subset="eval")
    assert DRONE[2023] in str(raised.value)
    assert DRONE[2026] in str(raised.value)


def test_a_number_that_occurs_twice_now_and_then_is_no_other_year(tmp_path):
    files = [f"section_00_source_train_normal_{i:04d}_vel_1_loc_A.wav" for i in range(4)]
    files += ["section_00_source_train_normal_0000_vel_2_loc_A.wav"]
    assert len(load_dcase(touch(tmp_path, *(f"bearing/train/{name}" for name in files)), year=2023).data) == 5


@pytest.mark.parametrize(("year", "machine"), [(2026, "bandsaw"), (2023, "Sander"), (2024, "ToyDrone")])
def test_a_machine_type_of_another_year_is_told(tmp_path, year, machine):
    touch(tmp_path, f"{machine}/test/section_00_0000.wav")
    with pytest.raises(ValueError, match=rf"{machine}/test: {machine} is a machine type of 20.*, not of {year}"):
        load_dcase(tmp_path, year=year, subset="eval")
    touch(tmp_path, "my_own_press/test/section_00_0000.wav")
    assert column(load_dcase(tmp_path, year=year, machine_types="my_own_press"), "machine_type") == ["my_own_press"]


# Ground truth


@pytest.mark.parametrize("year", DRONE)
@pytest.mark.parametrize("where", ["truth", "truth/dcase{}_task2_evaluator-main"])
def test_each_year_has_its_own_labels(both_years, year, where):
    clips = load_eval(both_years, year, both_years / where.format(year), test_attributes=True)
    assert clips.target.tolist() == [1, 1, 1, *(1 if label == "normal" else -1 for label in LABELS[year])]
    assert set(column(clips, "attributes")) == {DRONE[year]}


def test_the_evaluator_of_another_year_is_no_ground_truth(both_years):
    with pytest.raises(ValueError, match=r"No ground truth of 2026 below .*There is that of 2023\."):
        load_eval(both_years, 2026, both_years / "truth/dcase2023_task2_evaluator-main")


def test_attributes_tell_ground_truth_of_another_year_in_a_folder_of_any_name(tmp_path):
    drones(tmp_path / "eval_data", 2026)
    with pytest.raises(
        ValueError, match=r"attributes car,spd,mic,mic, but its ground truth car,spd,mic: .* 2023 and 2026"
    ):
        load_eval(tmp_path, 2026, evaluator(tmp_path / "truth", 2023))
    assert load_eval(tmp_path, 2026, evaluator(tmp_path / "other", 2026)).target.tolist() == [1, 1, 1, -1, 1]


def test_a_surplus_file_of_another_year_is_told(tmp_path):
    drones(tmp_path / "eval_data", 2026)
    evaluator(tmp_path / "truth", 2026)
    write(tmp_path / "truth/ground_truth_data/ground_truth_bandsaw_section_00_test.csv", "section_00_0000.wav,1")
    with pytest.raises(
        ValueError, match=r"ground_truth_bandsaw.*line 1: bandsaw is a machine type of 2023, not of 2026"
    ):
        load_eval(tmp_path, 2026, tmp_path / "truth")


@pytest.mark.parametrize(
    ("year", "machine", "test", "lacking"),
    [
        (2020, "pump", "id_01_00000000.wav", "the block pump of eval_data_list.csv"),
        (2021, "pump", "section_03_source_test_0000.wav", "ground_truth_pump_section_03_<source|target>_test.csv"),
        (2026, "Sander", "section_00_0000.wav", "ground_truth_data/ground_truth_Sander_section_00_test.csv"),
    ],
)
def test_a_missing_file_of_labels_is_named(tmp_path, year, machine, test, lacking):
    stem = "fan/test/" + test
    touch(tmp_path, f"eval_data/{machine}/test/{test}", *([f"eval_data/{stem}"] if year < 2026 else []))
    full = {2020: "normal_id_01_00000000.wav,0", 2021: "section_03_source_test_normal_0000.wav"}.get(
        year, "section_00_source_test_normal_0000.wav"
    )
    truth = write(tmp_path / f"eval_data_list_{year}.csv", "fan", f"{test},{full}")
    with pytest.raises(ValueError, match=f"Nothing is known of {machine}, section 0") as raised:
        load_eval(tmp_path, year, truth)
    assert lacking in str(raised.value)


def test_a_missing_file_of_domains_is_named(tmp_path):
    drones(tmp_path / "eval_data", 2026)
    truth = evaluator(tmp_path / "truth", 2026)
    for kind in ("domain", "attributes"):
        (truth / f"ground_truth_{kind}/ground_truth_ToyDrone_section_00_test.csv").unlink()
    with pytest.warns(
        UserWarning, match="no domain.* should be ground_truth_domain/ground_truth_ToyDrone_section_00_test"
    ):
        load_eval(tmp_path, 2026, truth)


def test_a_missing_clip_is_told(tmp_path):
    root = drones(tmp_path / "eval_data", 2026)
    (root / "ToyDrone/test" / EVAL[2026][1]).unlink()
    truth = evaluator(tmp_path / "truth", 2026)
    evaluator(truth, 2026, "Sander")  # which is not here at all: nobody asked for it
    with pytest.warns(UserWarning, match="1 test clips that are not in the data: ToyDrone/section_00_0001. Scores"):
        assert len(load_eval(tmp_path, 2026, truth).data) == 4


# The folder `datasets` of the baseline


@pytest.fixture
def baseline(tmp_path):
    """Lists of all years, and attributes that were hidden, as the repository of the baseline keeps them."""
    root = tmp_path / "dcase2023_task2_baseline_ae/datasets"
    for year, machine in {
        2021: "pump",
        2022: "fan",
        2023: "ToyDrone",
        2024: "ToothBrush",
        2025: "ToyPet",
        2026: "ToyDrone",
    }.items():
        test = "section_03_source_test_0000.wav" if year == 2021 else "section_00_0000.wav"
        attributes = {
            2023: f"_{DRONE[2023]}",
            2024: "_noAttribute",
            2025: "_id_A1_spd_1_mic_2",
            2026: f"_{DRONE[2026]}",
        }
        label = "normal" if year == 2023 else "anomaly"
        full = f"{test[:10]}_source_test_{label}_0007{attributes.get(year, '')}.wav"
        write(root / f"eval_data_list_{year}.csv", machine, f"{test},{full}", newline="\r\n")
    write(root / "eval_data_list_2020.csv", "fan", "id_01_00000000.wav,anomaly_id_01_00000007.wav,1")
    hidden = root / "ground_truth_attributes"
    for year, machine, name in [(2024, "ToothBrush", "noAttribute"), (2025, "ToyPet", "")]:
        full = "section_00_source_test_anomaly_0007"
        target = f"{full}_{name}.wav" if name else "section_00_0000.wav"
        row = f"{full}_id_A1_spd_5_mic_1.wav,{target}"
        file = f"dcase{year}t2/eval_data/{machine}/attributes_00_test_correspondence.csv"
        write(hidden / file, "source_file_name,target_file_name", row, newline="\r\n")
        train = file.replace("_test_", "_train_").replace("eval_data", "dev_data")
        write(hidden / train, "source_file_name,target_file_name", "damaged", newline="\r\n")
    return root


@pytest.mark.parametrize(
    ("year", "machine", "test", "attributes"),
    [
        (2020, "fan", "id_01_00000000.wav", None),
        (2021, "pump", "section_03_source_test_0000.wav", None),
        (2022, "fan", "section_00_0000.wav", None),
        (2023, "ToyDrone", "section_00_0000.wav", DRONE[2023]),
        (2024, "ToothBrush", "section_00_0000.wav", "id_A1_spd_5_mic_1"),
        (2025, "ToyPet", "section_00_0000.wav", "id_A1_spd_1_mic_2"),
        (2026, "ToyDrone", "section_00_0000.wav", DRONE[2026]),
    ],
)
def test_the_baseline_has_the_labels_of_every_year(baseline, year, machine, test, attributes):
    data = baseline.parent / f"data/dcase{year}t2/eval_data/raw"
    touch(data, f"{machine}/test/{test}", f"{machine}/test_rename/copy.wav")
    clips = load_eval(baseline.parent, year, baseline, test_attributes=True)
    assert names(clips) == [test]
    assert clips.target.tolist() == [1 if year == 2023 else -1]
    assert column(clips, "domain") == [None if year == 2020 else "source"]
    assert column(clips, "attributes") == [attributes]
    assert column(load_eval(baseline.parent, year, baseline), "attributes") == [None]


def test_a_damaged_row_of_hidden_attributes_is_named(baseline):
    touch(baseline.parent / "data/dcase2024t2/eval_data/raw", "ToothBrush/test/section_00_0000.wav")
    file = "dcase2024t2/eval_data/ToothBrush/attributes_00_test_correspondence.csv"
    write(baseline / "ground_truth_attributes" / file, "source_file_name,target_file_name", "one_name.wav")
    with pytest.raises(ValueError, match=r"test_correspondence.csv, line 2: expected two names of a clip of 2024"):
        load_eval(baseline.parent, 2024, baseline)


# Scores


def test_scores_of_two_years_are_not_read_together(tmp_path):
    for year in DRONE:
        name = f"anomaly_score_DCASE{year}T2ToyDrone_section_00_test_seed13711_id(0_)_Eval.csv"
        write(tmp_path / name, f"section_00_{year}.wav,0.5")
    with pytest.raises(ValueError, match=r"Scores of DCASE 2023 and 2026 in one call: .*pass the files of one year"):
        read_dcase_scores(tmp_path)
    assert len(read_dcase_scores(tmp_path.glob("*2026T2*"))) == 1
