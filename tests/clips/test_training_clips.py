"""Warnings about training clips, given by every detector."""

import warnings

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, n_jobs=1)


def detector(**params):
    return TWFRDetector(n_jobs=1, **{"frontend": FRONT_END, **params})


def waves(n_clips=8):
    return list(0.1 * np.random.default_rng(0).standard_normal((n_clips, 2000)))


@pytest.fixture
def table():
    return pd.DataFrame({"waveform": waves(), "machine_type": ["fan", "pump"] * 4, "section": "00", "domain": "source"})


def files(folder, suffix, n_clips=8):
    paths = []
    for number, wave in enumerate(waves(n_clips)):
        paths.append(str(folder / f"{number}{suffix}"))
        soundfile.write(paths[-1], np.tile(wave, 4), 16000)
    return paths


def test_usual_clips_are_not_warned_about(table, tmp_path):
    detector().fit(table).score_samples(table)
    paths = files(tmp_path, ".wav")
    fitted = detector().fit(paths)
    fitted.score_samples(paths)
    fitted.score_samples(files(tmp_path, ".flac"))
    fitted.score_samples([np.tile(wave, 4) for wave in waves()])


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_dead_channel_is_warned_about(level):
    stereo = pd.DataFrame({"waveform": [np.stack([np.full(2000, level), wave]) for wave in waves()]})
    with pytest.warns(UserWarning, match="onstant") as given:
        detector().fit(stereo)
    said = "; ".join(str(warning.message) for warning in given)
    assert "single constant value in channel 0, as of a dead channel: clip 0 (index 0 of the table), clip 1" in said
    assert "Constant scores: all 8 normal clips" in said
    detector(frontend=LogMelTransformer(**{**FRONT_END.get_params(), "channel": 1})).fit(stereo)


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
def test_a_dead_channel_of_one_machine_is_warned_about(table):
    silent = [wave if number % 2 else 0 * wave for number, wave in enumerate(table["waveform"])]
    with pytest.warns(UserWarning, match=r"dead channel: clip 0 \(index 0 of the table\), clip 2"):
        detector().fit(table.assign(waveform=silent))


def test_one_silent_clip_is_not_warned_about(table):
    detector().fit(table.assign(waveform=[np.zeros(2000), *table["waveform"][1:]]))


def test_machine_columns_in_the_index_are_warned_about(table):
    with pytest.warns(UserWarning, match=r"has 'machine_type' and 'section' in its index.*reset_index"):
        detector().fit(table.set_index(["machine_type", "section"]))


@pytest.mark.parametrize("name", ["Machine", "machine type", "MACHINE_TYPE", "device"])
def test_machine_columns_of_another_name_are_warned_about(table, name):
    with pytest.warns(UserWarning, match=f"no column 'machine_type'.*a column '{name}'.*rename"):
        detector().fit(table.rename(columns={"machine_type": name}))


def test_sections_of_another_name_are_warned_about(table):
    ids = table.drop(columns="section").assign(machine_type="fan", id=["00", "02"] * 4)
    with pytest.warns(UserWarning, match="no column 'section'.*a column 'id'"):
        detector().fit(ids)


def test_columns_that_only_look_like_machines_are_not_warned_about(table):
    plain = table.drop(columns=["machine_type", "section"])
    detector().fit(plain.assign(id=[f"clip {number}" for number in range(8)], device="phone"))
    detector(group_columns=()).fit(table.rename(columns={"machine_type": "machine"}))
    detector(group_columns=("machine",)).fit(table.rename(columns={"machine_type": "machine"}))


def test_a_feature_column_in_place_of_the_front_end_is_warned_about(table):
    cached = FRONT_END.fit_transform(table)
    other = LogMelTransformer(n_fft=256, n_mels=12, n_jobs=1)
    with pytest.warns(UserWarning, match="frontend is not used.*from the column 'log_mel'.*feature='log_mel' says"):
        detector(frontend=other).fit(cached)
    detector(frontend=other, feature="log_mel").fit(cached)
    detector(frontend=None).fit(cached)
    detector(frontend=other).fit(cached.drop(columns="waveform"))


def test_files_of_a_lossy_format_that_was_not_trained_on_are_warned_about(tmp_path):
    fitted = detector().fit(files(tmp_path, ".wav"))
    with pytest.warns(UserWarning, match=r"0.ogg is a .ogg file, but the clips given to fit are .wav files"):
        fitted.score_samples(files(tmp_path, ".ogg", 2))


def test_files_without_loss_after_a_training_on_lossy_ones_are_warned_about(tmp_path):
    lossy = files(tmp_path, ".ogg")
    fitted = detector().fit(lossy)
    fitted.score_samples(lossy)
    with pytest.warns(UserWarning, match=r"0.wav is a .wav file, but the clips given to fit are .ogg files"):
        fitted.score_samples(files(tmp_path, ".wav", 2))


def test_a_format_among_several_that_were_trained_on_is_not_warned_about(tmp_path):
    both = files(tmp_path, ".wav") + files(tmp_path, ".ogg")
    detector().fit(both).score_samples(both[-2:])


def test_nothing_is_warned_about_features(table):
    other = pd.DataFrame({"waveform": [-2 * wave for wave in waves()[1:]]})
    features = np.stack(FRONT_END.fit_transform(pd.concat([table, other], ignore_index=True))["log_mel"].tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector(frontend=None).fit(features).score_samples(features)
