"""Published aggregates, recomputed from the published numbers of single sections."""

import pytest

from skasd.metrics import arithmetic_mean, harmonic_mean, official_mean

EVALUATED = [f"dcase{year}-ae-{mode}" for year in (2023, 2024, 2025) for mode in ("mse", "mahala")]
UNITS = ("per_id", "per_section", "per_section_domain")
MEMBERS = {
    "auc": ("auc", "auc_source", "auc_target"),
    "pauc": ("pauc", "pauc_source", "pauc_target"),
    "auc_source": ("auc_source",),
    "auc_target": ("auc_target",),
    "mauc": ("auc",),
    "omega_amean": ("auc_source", "auc_target", "pauc"),
}
MEANS = {"amean": arithmetic_mean, "hmean": harmonic_mean, "omega": harmonic_mean, "min": min}


def tolerance(row):
    """1e-12 for numbers printed by a program, else 1.6 units of the last printed digit."""
    n_digits = len(row["printed"].partition(".")[2])
    return 1e-12 if n_digits >= 14 else 1.6 * 10.0**-n_digits


def rows_of(published, system, subset, *aggregations):
    chosen = (published["system"] == system) & (published["subset"] == subset)
    return published[chosen & published["aggregation"].isin(aggregations)]


def differences(published, system, subset, *aggregations, units=UNITS):
    """Recomputed minus published, for every row of these aggregations that its units can give."""
    unit_rows = rows_of(published, system, subset, *units)
    found = []
    for _, row in rows_of(published, system, subset, *aggregations).iterrows():
        members = unit_rows[unit_rows["metric"].isin(MEMBERS.get(row["metric"], ()))]
        if row["machine_type"] != "ALL":
            members = members[members["machine_type"] == row["machine_type"]]
        if len(members):
            mean = MEANS[row["aggregation"].partition("_")[0]]
            found.append((row, mean(list(members["value"])) - row["value"]))
    return found


@pytest.mark.parametrize("system", EVALUATED)
def test_omega_of_the_official_baselines(published, system):
    units = rows_of(published, system, "eval", "per_section")
    year = int(system[5:9])
    official = rows_of(published, system, "eval", "official")
    omega = official.loc[official["metric"] == "omega", "value"].item()
    parts = units[units["metric"] != "auc_all"]
    assert len(parts) == {2023: 21, 2024: 27, 2025: 24}[year]
    assert official_mean(parts, year=year) == pytest.approx(omega, rel=0, abs=1e-12)


def test_means_of_the_official_baselines(published):
    found = [
        pair
        for system in EVALUATED
        for pair in differences(published, system, "eval", "hmean_all", "amean_all", "hmean_machine", "amean_machine")
    ]
    assert len(found) == 84
    assert max(abs(difference) for _, difference in found) < 1e-12


def test_omega_of_2022_from_its_three_overall_means(published):
    rows = rows_of(published, "dcase2022-evaluator-sample", "eval", "hmean_all", "official").set_index("metric")[
        "value"
    ]
    assert harmonic_mean(rows[["auc_source", "auc_target", "pauc"]]) == pytest.approx(rows["omega"], rel=0, abs=1e-12)


def test_machine_means_of_2022(published):
    found = differences(published, "dcase2022-evaluator-sample", "eval", "amean_machine", "hmean_machine")
    assert len(found) == 8
    assert max(abs(difference) for _, difference in found) < 1e-12


def test_wrong_split_of_2022_is_not_repeated(published):
    found = differences(published, "dcase2022-evaluator-sample", "eval", "hmean_machine_buggy_split")
    assert len(found) == 4
    assert min(abs(difference) for _, difference in found) > 1e-3


def test_machine_means_of_2021(published):
    found = differences(published, "dcase2021-evaluator-sample", "eval", "amean_machine", "hmean_machine")
    assert len(found) == 8
    assert max(abs(difference) for _, difference in found) < 1e-12


def test_machine_means_of_2020(published):
    found = differences(published, "dcase2020-evaluator-sample", "eval", "amean_ids")
    assert len(found) == 12
    assert max(abs(difference) for _, difference in found) < 1e-12


@pytest.mark.parametrize(
    "system, subset, aggregations, n_rows",
    [
        ("dcase2020-ae", "dev", ["amean_ids"], 12),
        ("stgram-mfn", "dev", ["amean_ids"], 12),
        ("stgram-mfn", "dev", ["min_id"], 6),
        ("os-scl-tfstgram-rerun", "dev", ["min_id"], 6),
        ("os-scl-tfstgram-rerun", "eval", ["min_id"], 6),
        ("dcase2021-ae", "dev", ["amean_machine", "hmean_machine"], 8),
        ("dcase2021-mobilenetv2", "dev", ["amean_machine", "hmean_machine"], 8),
        ("dcase2024-ae-mse", "dev", ["hmean_all"], 3),
        ("dcase2024-ae-mahala", "dev", ["hmean_all"], 3),
        *[(f"stat-clustering-system{k}", "dev", ["hmean_all"], 3) for k in (1, 2, 3, 4)],
    ],
)
def test_printed_means_agree_to_their_digits(published, system, subset, aggregations, n_rows):
    found = differences(published, system, subset, *aggregations)
    assert len(found) == n_rows
    for row, difference in found:
        assert abs(difference) <= tolerance(row), row["printed"]


@pytest.mark.parametrize(
    "system, subset, aggregation, units, n_rows",
    [
        ("stgram-mfn", "dev", "amean_types", "amean_ids", 2),
        ("stgram-mfn", "dev", "amean_types", "min_id", 1),
        ("noisy-arcmix-tastgram", "dev", "amean_types", "pooled_ids", 2),
        ("os-scl-tfstgram-rerun", "dev", "amean_types", "pooled_ids", 2),
        ("os-scl-tfstgram-rerun", "eval", "amean_types", "pooled_ids", 2),
        *[
            (system, subset, "amean_types_of_hmean", "hmean_machine", 3)
            for system in ("mean-gmm", "max-gmm", "twfr-gmm", "smote-twfr-gmm")
            for subset in ("dev", "eval")
        ],
    ],
)
def test_means_over_machine_types_agree_to_their_digits(published, system, subset, aggregation, units, n_rows):
    members = rows_of(published, system, subset, units)
    rows = rows_of(published, system, subset, aggregation)
    rows = rows[rows["metric"].isin(members["metric"])]
    assert len(rows) == n_rows
    for _, row in rows.iterrows():
        mean = arithmetic_mean(members.loc[members["metric"] == row["metric"], "value"])
        assert mean == pytest.approx(row["value"], rel=0, abs=tolerance(row))


@pytest.mark.parametrize(
    "system, subset, year, omega",
    [
        ("dcase2021-ae", "dev", 2021, 0.5740),
        ("dcase2021-mobilenetv2", "dev", 2021, 0.5755),
        ("dcase2021-evaluator-sample", "eval", 2021, 0.5515),
        ("dcase2024-ae-mse", "dev", 2024, 0.5536),
        ("dcase2024-ae-mahala", "dev", 2024, 0.5503),
        ("stat-clustering-system1", "dev", 2024, 0.5795),
        ("stat-clustering-system2", "dev", 2024, 0.5608),
        ("stat-clustering-system3", "dev", 2024, 0.6326),
        ("stat-clustering-system4", "dev", 2024, 0.6329),
    ],
)
def test_omega_that_follows_from_the_rows(published, system, subset, year, omega):
    if year == 2021:
        rows = rows_of(published, system, subset, "hmean_all")
        value = harmonic_mean(rows["value"])
    else:
        rows = rows_of(published, system, subset, "per_section")
        value = official_mean(rows, year=year)
    assert len(rows) == (2 if year == 2021 else 21)
    assert value == pytest.approx(omega, rel=0, abs=5.1e-5)
