from pathlib import Path

import numpy as np
import pytest

from skasd.datasets import load_dcase, parse_attributes

COLUMNS = ["path", "machine_type", "section", "domain", "attributes", "split"]
TRAIN = "section_00_source_train_normal_0000_m-n_X.wav"
TEST = "section_00_target_test_anomaly_0000_m-n_Y.wav"


def touch(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def write(file, *lines, newline="\n"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(line + newline for line in lines).encode())
    return file


def column(clips, name):
    return clips.data[name].tolist()


def names(clips):
    return [Path(path).name for path in column(clips, "path")]


@pytest.fixture
def tree2023(tmp_path):
    return touch(
        tmp_path,
        f"dev_data/fan/train/{TRAIN}",
        f"dev_data/fan/test/{TEST}",
        "eval_data/Vacuum/test/section_00_0001.wav",
    )


# What is found, and what it becomes


def test_a_row_says_what_the_name_says(tree2023):
    clips = load_dcase(tree2023, year=2023)
    assert list(clips.data.columns) == COLUMNS
    assert clips.data.to_numpy().tolist() == [
        [str(tree2023 / "dev_data/fan/train" / TRAIN), "fan", "00", "source", "m-n_X", "train"],
        [str(tree2023 / "dev_data/fan/test" / TEST), "fan", "00", "target", "m-n_Y", "test"],
    ]
    assert clips.target.tolist() == [1, -1]
    assert np.issubdtype(clips.target.dtype, np.integer)


def test_an_evaluation_clip_is_neither_normal_nor_source(tree2023):
    clips = load_dcase(tree2023, year=2023, subset="eval")
    assert clips.data.loc[0, COLUMNS[1:]].tolist() == ["Vacuum", "00", None, None, "test"]
    assert clips.target.tolist() == [0]


def test_2020_has_no_domain(tmp_path):
    touch(
        tmp_path,
        "fan/train/normal_id_02_00000000.wav",
        "fan/test/anomaly_id_02_00000000.wav",
        "fan/test/id_01_00000000.wav",
    )
    clips = load_dcase(tmp_path, year=2020)
    assert column(clips, "domain") == [None] * 3
    assert column(clips, "section") == ["02", "02", "01"]
    assert clips.target.tolist() == [1, -1, 0]


def test_2021_has_two_test_folders_and_a_domain_without_a_label(tmp_path):
    touch(tmp_path, "eval_data/fan/source_test/section_03_source_test_0000.wav")
    touch(tmp_path, "eval_data/fan/target_test/section_03_target_test_0000.wav")
    clips = load_dcase(tmp_path, year=2021, subset="eval")
    assert column(clips, "split") == ["test", "test"]
    assert column(clips, "domain") == ["source", "target"]
    assert clips.target.tolist() == [0, 0]


def test_2026_tells_of_its_two_channels(tmp_path):
    touch(tmp_path, "dev_data/ToyCarEmu/train/section_00_source_train_normal_0001_car_B1_spd_2_mic_2_mic_1.wav")
    clips = load_dcase(tmp_path, year=2026)
    assert "Two channels" in clips.DESCR
    assert parse_attributes(column(clips, "attributes")[0], year=2026)[2:] == [("mic", "2"), ("mic", "1")]


def test_rows_are_sorted_by_machine_type_then_train_before_test(tmp_path):
    files = ["valve/train/normal_id_00_00000001.wav", "valve/train/normal_id_00_00000000.wav"]
    files += ["fan/test/normal_id_00_00000000.wav", "fan/train/normal_id_04_00000000.wav"]
    clips = load_dcase(touch(tmp_path, *files), year=2020)
    assert [str(Path(path).relative_to(tmp_path)) for path in column(clips, "path")] == [files[i] for i in (3, 2, 1, 0)]


def test_flac_files_count(tmp_path):
    touch(tmp_path, "fan/train/normal_id_00_00000000.FLAC")
    assert names(load_dcase(tmp_path, year=2020)) == ["normal_id_00_00000000.FLAC"]


def test_x_and_y_are_the_table_and_the_target(tree2023):
    data, target = load_dcase(tree2023, year=2023, return_X_y=True)
    assert data.equals(load_dcase(tree2023, year=2023).data)
    assert target.tolist() == [1, -1]


def test_the_description_counts_clips(tree2023):
    lines = [line.split() for line in load_dcase(tree2023, year=2023).DESCR.splitlines()]
    assert ["fan", "00", "test", "1", "0", "1", "0"] in lines
    assert "DCASE 2023 Task 2, development set" in load_dcase(tree2023, year=2023).DESCR


def test_real_clips_of_2023_load(real_data):
    clips = load_dcase(real_data / "dcase2023", year=2023)
    counts = clips.data.groupby(["machine_type", "split"]).size()
    assert counts.pop(("valve", "test")) == 200
    assert (len(counts), counts.tolist()) == (13, [2] * 13)
    valve = (clips.data["machine_type"] == "valve") & (clips.data["split"] == "test")
    assert np.bincount(clips.target[valve] + 1).tolist() == [100, 0, 100]
    assert set(clips.data.loc[valve, "attributes"]) == {"pat_00", "pat_01", "pat_02", "pat_03"}


def test_real_clips_of_2020_load_from_beside_other_years(real_data):
    clips = load_dcase(real_data, year=2020)
    assert len(clips.data) == 75 + 12
    assert clips.target.tolist().count(-1) == 6
    assert clips.data["domain"].isna().all()


# Where it is searched


@pytest.mark.parametrize("root", ["", "dev_data", "dev_data/fan"])
def test_the_root_can_be_any_folder_above_the_clips(tree2023, root):
    assert names(load_dcase(tree2023 / root, year=2023)) == [TRAIN, TEST]


def test_unpacked_archives_with_an_extra_level_load(tmp_path):
    touch(tmp_path, f"dev_fan/fan/train/{TRAIN}", "eval_data_Vacuum_test/Vacuum/test/section_00_0001.wav")
    assert names(load_dcase(tmp_path, year=2023)) == [TRAIN]
    assert names(load_dcase(tmp_path, year=2023, subset="eval")) == ["section_00_0001.wav"]


def test_only_the_folder_of_the_year_is_searched(tmp_path):
    touch(tmp_path, f"dcase2023t2/dev_data/raw/fan/train/{TRAIN}", "2020/dev_data/fan/train/normal_id_00_00000000.wav")
    assert names(load_dcase(tmp_path, year=2023)) == [TRAIN]
    assert names(load_dcase(tmp_path, year=2020)) == ["normal_id_00_00000000.wav"]


def test_both_subsets_come_one_after_the_other(tree2023):
    touch(tree2023, "eval_data/fan/train/section_00_source_train_normal_0000.wav")
    clips = load_dcase(tree2023, year=2023, subset="both")
    assert column(clips, "machine_type") == ["Vacuum", "fan", "fan", "fan"]
    assert "eval_data" in column(clips, "path")[3]


def test_a_folder_called_source_decides_nothing(tmp_path):
    touch(tmp_path, "source/anomaly/train/fan/test/section_00_0001.wav")
    clips = load_dcase(tmp_path, year=2023)
    assert clips.data.loc[0, COLUMNS[1:]].tolist() == ["fan", "00", None, None, "test"]
    assert clips.target.tolist() == [0]


@pytest.mark.parametrize("asked", ["fan", ["fan"], ("fan",)])
def test_machine_types_can_be_chosen(tmp_path, asked):
    touch(tmp_path, "fan/train/normal_id_00_00000000.wav", "pump/train/normal_id_00_00000000.wav", "pump/train/odd.wav")
    assert column(load_dcase(tmp_path, year=2020, machine_types=asked), "machine_type") == ["fan"]


def test_supplemental_clips_are_left_out_unless_asked_for(tmp_path):
    touch(tmp_path, f"fan/train/{TRAIN}", "fan/supplemental/section_00_noise_supplemental_normal_0000.wav")
    assert column(load_dcase(tmp_path, year=2025), "split") == ["train"]
    clips = load_dcase(tmp_path, year=2025, supplemental=True)
    assert column(clips, "split") == ["train", "supplemental"]
    assert column(clips, "kind") == ["clip", "supplemental_noise"]
    assert clips.target.tolist() == [1, 0]
    assert "kind" not in load_dcase(tmp_path, year=2025).data


def test_harmless_files_are_passed_over(tree2023):
    for name in [".DS_Store", "._" + TRAIN, "Thumbs.db", "README.md", "attributes_00.csv"]:
        touch(tree2023, f"dev_data/fan/train/{name}")
    assert names(load_dcase(tree2023, year=2023)) == [TRAIN, TEST]


# Attributes of attributes_NN.csv


@pytest.mark.parametrize("named", ["fan/train/{}.wav", "{}"], ids=["path", "bare stem"])
def test_hidden_attributes_come_from_the_csv_file(tmp_path, named):
    stem = "section_00_source_train_normal_0000_noAttribute"
    touch(tmp_path, f"fan/train/{stem}.wav")
    write(tmp_path / "fan/attributes_00.csv", "file_name,d1p,d1v,d2p,d2v", named.format(stem) + ",vel,6,ac,0.30")
    assert column(load_dcase(tmp_path, year=2024), "attributes") == ["vel_6_ac_0.30"]


def test_the_csv_file_does_not_overwrite_the_name(tmp_path):
    stem = "section_05_source_train_normal_0000_v1pat_05_v2pat_06"
    touch(tmp_path, f"valve/train/{stem}.wav")
    write(tmp_path / "valve/attributes_05.csv", "file_name,d1p,d1v,d2p,d2v", f"valve/train/{stem}.wav,v1pat,05")
    assert column(load_dcase(tmp_path, year=2022), "attributes") == ["v1pat_05_v2pat_06"]


def test_rows_of_any_length_are_read(tmp_path):
    stems = [f"section_00_source_train_normal_000{i}" for i in range(3)]
    touch(tmp_path, *(f"fan/train/{stem}.wav" for stem in stems))
    rows = [f"{stems[0]},a,1", f"{stems[1]},a,1,b,2,c,3", stems[2]]
    write(tmp_path / "fan/attributes_00.csv", "file_name,d1p,d1v,d2p,d2v", *rows, newline="\r\n")
    assert column(load_dcase(tmp_path, year=2022), "attributes") == ["a_1", "a_1_b_2_c_3", None]


def test_speed_in_the_csv_of_the_toys_of_2022_is_the_spd_of_their_names(tmp_path):
    stem = "section_00_source_train_normal_0000"
    for machine in ["ToyCar", "fan"]:
        touch(tmp_path, f"{machine}/train/{stem}.wav")
        write(tmp_path / machine / "attributes_00.csv", "file_name,d1p,d1v", f"{machine}/train/{stem}.wav,speed,28V")
    assert column(load_dcase(tmp_path, year=2022), "attributes") == ["spd_28V", "speed_28V"]


def test_the_csv_file_says_nothing_of_unlabelled_test_clips(tmp_path):
    touch(tmp_path, "fan/test/section_03_0000.wav")
    full_name = "section_03_source_test_normal_0000_m-n_X.wav"
    write(
        tmp_path / "fan/attributes_03.csv", "file_name,d1p,d1v,full", f"fan/test/section_03_0000.wav,m-n,X,{full_name}"
    )
    assert column(load_dcase(tmp_path, year=2022, subset="eval"), "attributes") == [None]


# What is refused


def test_a_root_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        load_dcase(tmp_path / "nowhere", year=2020)


def test_a_root_that_is_a_file(tmp_path):
    with pytest.raises(NotADirectoryError, match="is a file"):
        load_dcase(touch(tmp_path, "a.zip") / "a.zip", year=2020)


@pytest.mark.parametrize("year", [2019, 2027, "2020"])
def test_a_year_without_a_challenge(tmp_path, year):
    with pytest.raises(ValueError, match="2020 to 2026"):
        load_dcase(tmp_path, year=year)


def test_an_unknown_subset(tmp_path):
    with pytest.raises(ValueError, match=r"subset='train' is unknown; expected one of 'dev', 'eval', 'both'"):
        load_dcase(tmp_path, year=2020, subset="train")


def test_no_clips_says_what_was_searched_and_found(tmp_path):
    touch(tmp_path, "zips/fan.zip", "fan/train/.DS_Store")
    with pytest.raises(ValueError, match=r"folders called train, test, .*supplemental; found none among fan, zips"):
        load_dcase(tmp_path, year=2020)


def test_the_other_subset_is_not_taken_for_the_one_asked_for(tree2023):
    with pytest.raises(ValueError, match=r"subset dev, in .*; found eval: Vacuum/test"):
        load_dcase(tree2023 / "eval_data", year=2023, subset="dev")


def test_both_subsets_have_to_be_there(tree2023):
    with pytest.raises(ValueError, match="subset eval, in"):
        load_dcase(tree2023 / "dev_data", year=2023, subset="both")


@pytest.mark.parametrize("asked", ["Fan", ["fan", "Fan"]])
def test_an_unknown_machine_type_lists_the_known(tree2023, asked):
    with pytest.raises(ValueError, match=r"holds the unknown \['Fan'\]; expected some of \(case matters\): fan"):
        load_dcase(tree2023, year=2023, machine_types=asked)


def test_no_machine_type_at_all_is_refused(tree2023):
    with pytest.raises(ValueError, match=r"machine_types=\[\] is empty"):
        load_dcase(tree2023, year=2023, machine_types=[])


def test_files_that_do_not_parse_are_listed(tree2023):
    touch(tree2023, *(f"dev_data/fan/train/odd_{i}.wav" for i in range(7)))
    with pytest.raises(ValueError, match=r"7 of 9 files .*odd_0\.wav.*odd_4\.wav, and 2 more"):
        load_dcase(tree2023, year=2023)


def test_the_data_of_another_year_is_refused(tree2023):
    with pytest.raises(ValueError, match="2 of 2 files are not named like clips of DCASE 2020"):
        load_dcase(tree2023, year=2020)


def test_a_clip_in_a_folder_its_name_contradicts_is_refused(tree2023):
    touch(tree2023, "dev_data/fan/test/section_00_source_train_normal_0007_m-n_X.wav")
    with pytest.raises(ValueError, match=r"1 clips are in a folder that contradicts their name: .*_0007_m-n_X\.wav"):
        load_dcase(tree2023, year=2023)


def test_a_clip_that_is_there_twice_is_refused(tree2023):
    touch(tree2023, f"dev_fan/fan/train/{TRAIN.replace('.wav', '.flac')}")
    with pytest.raises(
        ValueError, match=r"1 clips occur more than once: fan/section_00_source_train_normal_0000_m-n_X"
    ):
        load_dcase(tree2023, year=2023)


# Ground truth of the evaluation sets


def eval_tree(root, machine, *files):
    return touch(root / "data", *(f"eval_data/{machine}/test/{file}" for file in files)) / "eval_data"


def load_eval(root, year, truth, **kwargs):
    return load_dcase(root, year=year, subset="eval", ground_truth=truth, **kwargs)


def test_the_list_of_2020_gives_labels(tmp_path):
    root = eval_tree(tmp_path, "ToyCar", "id_05_00000000.wav", "id_05_00000001.wav")
    touch(root, "fan/test/id_05_00000000.wav")
    rows = ["id_05_00000001.wav,normal_id_05_00000003.wav,0", "id_05_00000000.wav,anomaly_id_05_00000098.wav,1"]
    truth = ["fan", "id_05_00000000.wav,normal_id_05_00000007.wav,0", "ToyCar", *rows]
    clips = load_eval(root, 2020, write(tmp_path / "eval_data_list.csv", *truth))
    assert clips.target.tolist() == [-1, 1, 1]
    assert column(clips, "domain") == [None] * 3


def test_a_list_with_two_cells_gives_label_and_domain(tmp_path):
    root = eval_tree(tmp_path, "RoboticArm", "section_00_0000.wav", "section_00_0001.wav")
    rows = ["section_00_0000.wav,section_00_source_normal_0035_weight15_BckgF.wav"]
    rows += ["section_00_0001.wav,section_00_target_anomaly_0035_weight15_BckgF.wav"]
    clips = load_eval(root, 2024, write(tmp_path / "eval_data_list_2024.csv", "RoboticArm", *rows, newline="\r\n"))
    assert clips.target.tolist() == [1, -1]
    assert column(clips, "domain") == ["source", "target"]


def test_the_evaluator_of_2021_gives_labels_by_domain(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_03_source_test_0000.wav", "section_03_target_test_0000.wav")
    for domain, label in [("source", 0), ("target", 1)]:
        file = tmp_path / f"truth/ground_truth_data/ground_truth_fan_section_03_{domain}_test.csv"
        write(file, f"section_03_{domain}_test_0000.wav,{label}")
    clips = load_eval(root, 2021, tmp_path / "truth")
    assert clips.target.tolist() == [1, -1]
    assert column(clips, "domain") == ["source", "target"]


def evaluator(folder, machine="bearing", section="03", domain=True):
    name = f"ground_truth_{machine}_section_{section}_test.csv"
    clips = [f"section_{section}_000{i}.wav" for i in range(4)]
    write(folder / "ground_truth_data" / name, *(f"{clip},{i % 2}" for i, clip in enumerate(clips)))
    if domain:
        write(folder / "ground_truth_domain" / name, *(f"{clip},{i // 2}" for i, clip in enumerate(clips)))
    return clips


def test_the_evaluator_since_2022_gives_label_and_domain(tmp_path):
    root = eval_tree(tmp_path, "bearing", *evaluator(tmp_path / "truth"))
    clips = load_eval(root, 2022, tmp_path / "truth")
    assert clips.target.tolist() == [1, -1, 1, -1]
    assert column(clips, "domain") == ["source", "source", "target", "target"]


def test_truth_is_joined_by_name_and_not_by_position(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_00_0000.wav", "section_00_0001.wav")
    rows = ["section_00_0001.wav,0", "section_00_0000.wav,1"]
    with pytest.warns(UserWarning, match="2 of 2 test clips a label but no domain"):
        clips = load_eval(root, 2023, write(tmp_path / "ground_truth_fan_section_00_test.csv", *rows))
    assert clips.target.tolist() == [-1, 1]


def test_training_clips_need_no_truth_and_keep_their_label(tmp_path):
    root = eval_tree(tmp_path, "bearing", *evaluator(tmp_path / "truth"))
    touch(root, "bearing/train/section_03_target_train_normal_0000_vel_6.wav")
    assert load_eval(root, 2022, tmp_path / "truth").target.tolist() == [1, 1, -1, 1, -1]


def test_full_names_of_the_attribute_files_since_2023(tmp_path):
    root = eval_tree(tmp_path, "shaker", "section_00_0000.wav")
    file = tmp_path / "ground_truth_attributes/ground_truth_shaker_section_00_test.csv"
    write(file, "section_00_0000.wav,section_00_target_test_anomaly_0004_speed_12")
    clips = load_eval(root, 2023, tmp_path / "ground_truth_attributes")
    assert (clips.target.tolist(), column(clips, "domain"), column(clips, "attributes")) == ([-1], ["target"], [None])
    clips = load_eval(root, 2023, tmp_path / "ground_truth_attributes", test_attributes=True)
    assert column(clips, "attributes") == ["speed_12"]


def test_hidden_attributes_of_2024_are_in_the_third_cell(tmp_path):
    root = eval_tree(tmp_path, "ToothBrush", "section_00_0000.wav")
    names = [
        "section_00_target_test_normal_0004_noAttribute",
        "section_00_target_test_normal_0010_id_2_spd_3_mic_1.wav",
    ]
    row = ",".join(["section_00_0000.wav", *names])
    file = write(tmp_path / "ground_truth_ToothBrush_section_00_test.csv", row)
    assert column(load_eval(root, 2024, file, test_attributes=True), "attributes") == ["id_2_spd_3_mic_1"]
    assert column(load_eval(root, 2024, file), "attributes") == [None]


def test_attribute_files_of_2022_have_the_full_name_in_a_moving_column(tmp_path):
    root = eval_tree(tmp_path, "valve", "section_05_0000.wav", "section_05_0001.wav")
    full = [
        "section_05_source_test_anomaly_0000_v2pat_05.wav",
        "section_05_target_test_normal_0001_v1pat_05_v2pat_06.wav",
    ]
    header = "file_name,d1p,d1v,d2p,d2v,file_name_with_full_attributes"
    rows = [f"valve/test/section_05_0000.wav,v1pat,05,{full[0]}"]
    rows += [f"section_05_0001.wav,v1pat,05,v2pat,06,{full[1]}", "valve/test/section_05_0002.wav,v1pat,05"]
    write(tmp_path / "ground_truth_attributes/valve/attributes_05.csv", header, *rows)
    clips = load_eval(root, 2022, tmp_path, test_attributes=True)
    assert clips.target.tolist() == [-1, 1]
    assert column(clips, "attributes") == ["v2pat_05", "v1pat_05_v2pat_06"]


def shuffled_list(folder, machine):
    labels = ["anomaly", "normal", "anomaly", "normal"]
    rows = [f"section_03_000{i}.wav,section_03_target_test_{label}_0048_car_H2.wav" for i, label in enumerate(labels)]
    return write(folder / "eval_data_list_2022.csv", machine, *rows)


@pytest.mark.parametrize("machine", ["ToyCar", "ToyTrain"])
def test_the_shuffled_list_of_2022_is_refused_with_the_reason(tmp_path, machine):
    root = eval_tree(tmp_path, machine, "section_03_0000.wav")
    with pytest.raises(ValueError, match=r"1 of 1 test clips have no label .* shuffled.*ground_truth_domain"):
        load_eval(root, 2022, shuffled_list(tmp_path, machine))


def test_the_list_of_2022_is_right_for_other_machine_types(tmp_path):
    root = eval_tree(tmp_path, "fan", *(f"section_03_000{i}.wav" for i in range(4)))
    assert load_eval(root, 2022, shuffled_list(tmp_path, "fan")).target.tolist() == [-1, 1, -1, 1]


def test_beside_the_evaluator_the_shuffled_list_is_not_used(tmp_path):
    root = eval_tree(tmp_path, "ToyCar", *evaluator(tmp_path / "truth", "ToyCar"))
    shuffled_list(tmp_path / "truth", "ToyCar")
    clips = load_eval(root, 2022, tmp_path / "truth", test_attributes=True)
    assert clips.target.tolist() == [1, -1, 1, -1]
    assert column(clips, "domain") == ["source", "source", "target", "target"]
    assert column(clips, "attributes") == [None] * 4


def test_lists_of_other_years_in_the_folder_are_passed_over(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_00_0000.wav")
    for year, label in [(2023, "normal"), (2024, "anomaly")]:
        row = f"section_00_0000.wav,section_00_source_test_{label}_0000_n_X.wav"
        write(tmp_path / f"lists/eval_data_list_{year}.csv", "fan", row)
    assert load_eval(root, 2024, tmp_path / "lists").target.tolist() == [-1]
    with pytest.raises(ValueError, match="is the list of 2023, not of 2024"):
        load_eval(root, 2024, tmp_path / "lists/eval_data_list_2023.csv")


def test_missing_truth_is_counted_and_listed(tmp_path):
    clips = evaluator(tmp_path / "truth")
    root = eval_tree(tmp_path, "bearing", *clips, *(f"section_04_000{i}.wav" for i in range(7)))
    with pytest.raises(
        ValueError, match=r"7 of 11 test clips have no label .*: bearing/section_04_0000, .* and 2 more"
    ):
        load_eval(root, 2022, tmp_path / "truth")


def test_missing_domains_are_warned_of(tmp_path):
    root = eval_tree(tmp_path, "bearing", *evaluator(tmp_path / "truth", domain=False))
    with pytest.warns(UserWarning, match="4 of 4 test clips a label but no domain"):
        clips = load_eval(root, 2022, tmp_path / "truth")
    assert column(clips, "domain") == [None] * 4


def test_truth_files_that_contradict_each_other_are_refused(tmp_path):
    root = eval_tree(tmp_path, "bearing", *evaluator(tmp_path / "truth"))
    row = "section_03_0000.wav,section_03_source_test_anomaly_0000_vel_6.wav"
    write(tmp_path / "truth/eval_data_list_2022.csv", "bearing", row)
    with pytest.raises(ValueError, match=r"contradict each other on bearing/section_03_0000: .*csv, line 1"):
        load_eval(root, 2022, tmp_path / "truth")


def test_a_domain_that_the_name_contradicts_is_refused(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_03_source_test_0000.wav")
    row = "section_03_source_test_0000.wav,section_03_target_test_normal_0000.wav"
    with pytest.raises(ValueError, match="is a source clip by its name and target by the ground truth"):
        load_eval(root, 2021, write(tmp_path / "eval_data_list_2021.csv", "fan", row))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        (
            ["id_01_00000000.wav,normal_id_01_00000098.wav,0"],
            "line 1: expected a line that holds only the machine type before any row",
        ),
        (
            ["fan", "id_01_00000000.wav,id_01_00000098.wav,0"],
            "line 2: 'id_01_00000098.wav' is not the full name of a clip",
        ),
        (["fan", "id_01_00000000.wav,normal_id_01_00000098.wav,1"], "line 2: .* and the label 1 contradict each other"),
        (["fan", '"id_01'], "is not a readable csv file"),
    ],
)
def test_a_malformed_list_names_file_and_line(tmp_path, lines, message):
    root = eval_tree(tmp_path, "fan", "id_01_00000000.wav")
    with pytest.raises(ValueError, match=rf"eval_data_list\.csv.*{message}"):
        load_eval(root, 2020, write(tmp_path / "eval_data_list.csv", *lines))


@pytest.mark.parametrize("row", ["section_00_0000.wav", "section_00_0000.wav,yes"])
def test_a_malformed_evaluator_row_names_file_and_line(tmp_path, row):
    root = eval_tree(tmp_path, "fan", "section_00_0000.wav")
    with pytest.raises(ValueError, match=r"section_00_test\.csv, line 1: "):
        load_eval(root, 2023, write(tmp_path / "ground_truth_fan_section_00_test.csv", row))


def test_a_folder_without_ground_truth_says_what_was_looked_for(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_00_0000.wav")
    with pytest.raises(ValueError, match=r"No ground truth of 2023 below .*: looked for ground_truth_\*"):
        load_eval(root, 2023, root)


def test_ground_truth_that_is_not_there(tmp_path):
    root = eval_tree(tmp_path, "fan", "section_00_0000.wav")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_eval(root, 2023, tmp_path / "nowhere.csv")


def test_ground_truth_of_the_development_set_is_refused(tree2023):
    with pytest.raises(ValueError, match="ask for subset='eval'"):
        load_dcase(tree2023, year=2023, ground_truth=tree2023)


def test_root_named_after_another_year_is_refused(tmp_path):
    clip = tmp_path / "dcase2023" / "dev_data" / "fan" / "train" / "section_00_source_train_normal_0000_m-n_W.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    assert len(load_dcase(tmp_path / "dcase2023", year=2023).data) == 1
    with pytest.raises(ValueError, match="No clips of DCASE 2024"):
        load_dcase(tmp_path / "dcase2023", year=2024)
