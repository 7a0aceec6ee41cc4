import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skasd.datasets import parse_attributes, parse_clip_name

YEARS = range(2020, 2027)
FOUND = ("machine_type", "section", "domain", "split", "label", "kind")


def listed_names(fixtures):
    with (fixtures / "filenames.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_listed_clip_name_parses_as_listed(fixtures):
    rows = [row for row in listed_names(fixtures) if row["kind"] != "none"]
    assert len(rows) == 73
    for row in rows:
        name = parse_clip_name(row["path"], year=int(row["year"]))
        assert name is not None, row["path"]
        pairs = parse_attributes(name.attributes, year=int(row["year"]))
        assert {column: getattr(name, column) or "" for column in FOUND} == {column: row[column] for column in FOUND}
        assert str(name.index) == row["index"], row["path"]
        assert ";".join(f"{key}={value}" for key, value in pairs) == row["attributes"], row["path"]


def test_every_listed_stranger_is_no_clip(fixtures):
    rows = [row for row in listed_names(fixtures) if row["kind"] == "none"]
    assert len(rows) == 3
    for row in rows:
        for year in [int(row["year"])] if row["year"] else YEARS:
            assert parse_clip_name(row["path"], year=year) is None, row["path"]


machine_types = st.sampled_from(["fan", "ToyCar", "3DPrinter", "BlowerDustCollector"])
sections = st.integers(0, 99).map("{:02d}".format)
domains = st.sampled_from(["source", "target"])
splits = st.sampled_from(["train", "test"])
labels = st.sampled_from(["normal", "anomaly"])
suffixes = st.sampled_from([".wav", ".flac", ".WAV", ".Flac", ""])
separators = st.sampled_from(["/", "\\"])
keys = st.sampled_from(["vel", "ac", "m-n", "spd", "car", "id", "mic", "v1pat", "mic_pos"])
values = st.text("ABCxyz0123456789.-", min_size=1, max_size=6)
attribute_lists = st.lists(st.tuples(keys, values), min_size=1, max_size=4)


@given(machine_types, sections, domains, splits, labels, st.integers(0, 9999), attribute_lists, separators)
def test_a_name_built_from_parts_gives_them_back(machine, section, domain, split, label, index, pairs, separator):
    text = "_".join(f"{key}_{value}" for key, value in pairs)
    base = f"section_{section}_{domain}_{split}_{label}_{index:04d}_{text}.wav"
    name = parse_clip_name(separator.join(["data", machine, split, base]), year=2023)
    assert (name.machine_type, name.section, name.domain) == (machine, section, domain)
    assert (name.split, name.label, name.index, name.kind) == (split, label, index, "clip")
    assert parse_attributes(name.attributes, year=2023) == pairs


@given(machine_types, sections, splits, labels, st.integers(0, 99999999), suffixes)
def test_a_name_of_2020_built_from_parts_gives_the_parts_back(machine, section, split, label, index, suffix):
    name = parse_clip_name(f"{machine}/{split}/{label}_id_{section}_{index:08d}{suffix}", year=2020)
    assert (name.machine_type, name.section, name.split, name.label) == (machine, section, split, label)
    assert (name.domain, name.attributes, name.index) == (None, None, index)


@given(st.text(), st.sampled_from(YEARS))
def test_random_text_never_crashes_the_name_parser(text, year):
    name = parse_clip_name(text, year=year)
    assert name is None or len(name.section) == 2


@given(st.text("_aspdweight0123damageBckgF."), st.sampled_from([2022, 2024, 2026]))
def test_attributes_keep_every_character_but_the_separators(text, year):
    pairs = parse_attributes(text, year=year)
    joined = "".join(key + value for key, value in pairs)
    assert joined.replace("_", "") == text.replace("_", "")


@pytest.mark.parametrize(
    ("year", "name"),
    [
        (2020, "section_00_source_train_normal_0000_vel_1.wav"),
        (2023, "normal_id_00_00000000.wav"),
        (2020, "normal_id_00_0000.wav"),
        (2023, "section_0_source_train_normal_0000.wav"),
        (2023, "section_00_source_train_normal_0000_vel_1.csv"),
        (2023, "section_00_source_train_normal_0000_vel_1.wav.part"),
        (2023, "._section_00_source_train_normal_0000_vel_1.wav"),
        (2023, "section_00_Source_train_normal_0000_vel_1.wav"),
        (2023, "section_٠٠_0000.wav"),
    ],
)
def test_not_a_clip_of_that_year(year, name):
    assert parse_clip_name(f"fan/train/{name}", year=year) is None


@pytest.mark.parametrize("year", [2025, 2026])
def test_supplemental_clips_have_a_kind_and_no_label(year):
    name = parse_clip_name("fan/supplemental/section_00_noise_supplemental_normal_0000.wav", year=year)
    assert (name.kind, name.label, name.split) == ("supplemental_noise", None, "supplemental")


def test_supplemental_names_count_in_their_folder_only():
    assert parse_clip_name("fan/train/section_00_machine_0001_.wav", year=2025) is None


def test_the_name_decides_the_split_before_the_folder_does():
    assert parse_clip_name("fan/test/section_00_source_train_normal_0000_m-n_X.wav", year=2023).split == "train"


@pytest.mark.parametrize("path", ["train/section_00_0000.wav", "../train/section_00_0000.wav", "/test/section_00_0000"])
def test_no_machine_type_without_a_folder_for_it(path):
    assert parse_clip_name(path, year=2023).machine_type is None


def test_a_path_object_is_as_good_as_text(tmp_path):
    path = tmp_path / "Vacuum" / "test" / "section_00_0001.flac"
    assert parse_clip_name(path, year=2023).machine_type == "Vacuum"


@pytest.mark.parametrize("text", [None, "", "_", "noAttribute", "noAttribute_"])
@pytest.mark.parametrize("year", YEARS)
def test_hidden_attributes_are_an_empty_list(text, year):
    assert parse_attributes(text, year=year) == []


def test_a_repeated_key_is_kept_in_order():
    assert parse_attributes("mic_2_mic_1", year=2026) == [("mic", "2"), ("mic", "1")]


def test_a_key_without_a_value_has_the_empty_text():
    assert parse_attributes("vel_6_ac", year=2023) == [("vel", "6"), ("ac", "")]


def test_a_value_that_looks_like_a_glued_token_is_a_value():
    assert parse_attributes("car_spd1_spd_28V", year=2023) == [("car", "spd1"), ("spd", "28V")]


@pytest.mark.parametrize("year", [2019, 2027, "2023", 2023.0, None])
def test_a_year_without_a_challenge_is_refused(year):
    with pytest.raises(ValueError, match="2020 to 2026"):
        parse_clip_name("fan/test/section_00_0001.wav", year=year)
    with pytest.raises(ValueError, match="2020 to 2026"):
        parse_attributes("vel_6", year=year)
