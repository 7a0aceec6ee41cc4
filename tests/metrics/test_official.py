import pytest

from skasd.metrics import official_mean, official_score, official_table, summary_table


@pytest.mark.parametrize("year", [2021, 2022, 2026])
def test_official_score_needs_domains_since_2021(scored_clips, year):
    table, y_true, score_samples = scored_clips
    unknown = table["domain"].where(table.index != 3)
    with pytest.raises(ValueError, match="domain is not known for 1 clips, the first in row 3"):
        official_score(y_true, score_samples, table.assign(domain=unknown), year=year)
    with pytest.raises(ValueError, match=f"domain is not known for .* the score of {year}"):
        official_score(y_true, score_samples, table.drop(columns="domain"), year=year)


def test_domain_of_anomalies_may_be_unknown_since_2022(scored_clips):
    table, y_true, score_samples = scored_clips
    hidden = table.assign(domain=table["domain"].where(y_true == 1))
    value = official_score(y_true, score_samples, hidden, year=2022)
    assert value == official_score(y_true, score_samples, table, year=2022)
    with pytest.raises(ValueError, match="domain is not known"):
        official_score(y_true, score_samples, hidden, year=2021)


def test_official_score_of_2020_reads_no_domain(scored_clips):
    table, y_true, score_samples = scored_clips
    value = official_score(y_true, score_samples, table, year=2020)
    assert value == official_score(y_true, score_samples, table.drop(columns="domain"), year=2020)


def test_years_since_2022_share_their_rules(scored_clips):
    table, y_true, score_samples = scored_clips
    values = {year: official_score(y_true, score_samples, table, year=year) for year in range(2020, 2027)}
    assert len({values[year] for year in range(2022, 2027)}) == 1
    assert len(set(values.values())) == 3


@pytest.mark.parametrize("year", [2019, 2027])
def test_other_years_are_refused(scored_clips, year):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match=f"year={year}"):
        official_score(y_true, score_samples, table, year=year)


@pytest.mark.parametrize(
    "expected, message",
    [
        ({"fan": ["00", "02", "04"], "pump": ["00", "02"]}, "1 sections are expected but absent: fan 04"),
        ({"fan": ["00", "02"], "pump": ["00", "02"], "valve": ["00"]}, "expected but absent: valve 00"),
        ({"fan": ["00", "02"], "pump": ["00"]}, "present but not expected: pump 02"),
    ],
)
@pytest.mark.parametrize("function", [official_score, official_table, summary_table])
def test_missing_sections_raise_when_the_caller_says_what_is_expected(scored_clips, expected, message, function):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match=message):
        function(y_true, score_samples, table, year=2023, expected=expected)


def test_expected_sections_that_are_there_change_nothing(scored_clips):
    table, y_true, score_samples = scored_clips
    expected = {"pump": ["02", "00"], "fan": ["00", "02"]}
    value = official_score(y_true, score_samples, table, year=2023, expected=expected)
    assert value == official_score(y_true, score_samples, table, year=2023)


@pytest.mark.parametrize("year, name", [(2021, "auc_target"), (2022, "auc_target")])
def test_section_without_normal_target_clips_raises(scored_clips, year, name):
    table, y_true, score_samples = scored_clips
    keep = ~((table["section"] == "00") & (table["domain"] == "target") & (y_true == 1)).to_numpy()
    with pytest.raises(ValueError, match=f"machine_type 'fan', section '00': {name} has 0 normal"):
        official_score(y_true[keep], score_samples[keep], table[keep], year=year)


def test_official_mean_refuses_an_incomplete_section(scored_clips):
    table, y_true, score_samples = scored_clips
    parts = official_table(y_true, score_samples, table, year=2023)
    with pytest.raises(ValueError, match=r"fan.*00.* has the metrics auc_target, pauc; the score of 2023"):
        official_mean(parts.drop(index=0), year=2023)
    with pytest.raises(ValueError, match="the score of 2021 needs"):
        official_mean(parts, year=2021)
