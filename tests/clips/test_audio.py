import contextlib
import os

import numpy as np
import pytest

from skasd.clips import ClipReader


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac"])
def test_lossless_files_give_the_samples_that_were_written(write, tone, name):
    np.testing.assert_array_equal(ClipReader()(write(name, tone)), tone)


def test_ogg_files_are_read(write, tone):
    assert np.corrcoef(ClipReader()(write("clip.ogg", tone)), tone)[0, 1] > 0.99


def test_int16_arrays_are_taken_as_pcm(tone):
    pcm = (tone * 2**15).astype(np.int16)
    np.testing.assert_array_equal(ClipReader()(pcm), tone)


def test_float64_keeps_its_precision(tone):
    assert ClipReader()(tone.astype(np.float64)).dtype == np.float64


def test_channel_picks_one_or_the_mean(write, tone):
    path = write("stereo.wav", np.stack([tone, -tone / 2], axis=1), subtype="FLOAT")
    np.testing.assert_array_equal(ClipReader(channel=1)(path), -tone / 2)
    np.testing.assert_allclose(ClipReader(channel="mean")(path), tone / 4, rtol=1e-6)


def test_channel_of_an_array_counts_along_its_first_axis(tone):
    both = np.stack([tone, 2 * tone])
    np.testing.assert_array_equal(ClipReader(channel=1)(both), 2 * tone)


def test_missing_channel_says_how_many_there_are(write, tone):
    with pytest.raises(ValueError, match=r"has 1 channel\(s\), so there is no channel=3"):
        ClipReader(channel=3)(write("mono.wav", tone))


def test_resampling_keeps_the_tone_and_the_duration(write):
    time = np.arange(48000) / 48000
    waveform = ClipReader(sample_rate=16000)(write("fast.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 48000))
    assert len(waveform) == 16000
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum.argmax() == 440
    assert spectrum[440] == pytest.approx(0.5 * 16000 / 2, rel=1e-2)


def test_another_rate_is_refused_with_resampling_off(write, tone):
    with pytest.raises(ValueError, match="44100 Hz where 16000 Hz is expected"):
        ClipReader(resample=False)(write("cd.wav", tone, 44100))


def test_duration_crops_long_clips_to_their_beginning(tone):
    np.testing.assert_array_equal(ClipReader(duration=0.1)(tone), tone[:1600])


def test_duration_fills_short_clips_with_zeros(tone):
    waveform = ClipReader(duration=1.0)(tone)
    np.testing.assert_array_equal(waveform[8000:], np.zeros(8000))


def test_duration_tiles_short_clips(tone):
    waveform = ClipReader(duration=1.2, short_clips="tile")(tone)
    np.testing.assert_array_equal(waveform, np.concatenate([tone, tone, tone[:3200]]))


def broken(folder, tone):
    """Broken files by name, with what is said of each."""
    import soundfile

    soundfile.write(folder / "whole.wav", tone, 16000)
    soundfile.write(folder / "whole.flac", tone, 16000)
    soundfile.write(folder / "whole.ogg", np.tile(tone, 20), 16000)
    soundfile.write(folder / "no_frames.wav", tone[:0], 16000)
    nan = tone.copy()
    nan[100] = np.nan
    soundfile.write(folder / "nan.wav", nan, 16000, subtype="FLOAT")
    for kind in ("wav", "flac", "ogg"):
        whole = (folder / f"whole.{kind}").read_bytes()
        (folder / f"cut.{kind}").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound " * 50)
    (folder / "folder.wav").mkdir()
    return {
        "nowhere.wav": "does not exist",
        "empty.wav": "is empty: zero bytes",
        "no_frames.wav": "zero frames",
        "text.wav": "is not audio",
        "cut.wav": "is cut short",
        "cut.flac": "cut short|damaged",
        "cut.ogg": "is cut short",
        "nan.wav": r"holds NaN \(1 of 8000 values, the first at 100\)",
        "folder.wav": "is a folder",
    }


def test_every_broken_file_says_why(tmp_path, tone):
    for name, reason in broken(tmp_path, tone).items():
        with pytest.raises(ValueError, match=reason):
            ClipReader()(tmp_path / name)


@contextlib.contextmanager
def as_somebody_else():
    """Run as a user without rights: root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="file permissions of POSIX systems")
def test_file_without_permission_says_so(write, tone, tmp_path):
    path = write("secret.wav", tone)
    for folder in [tmp_path, *tmp_path.parents[:-1]]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    path.chmod(0)
    with as_somebody_else(), pytest.raises(ValueError, match="no permission to read it"):
        ClipReader()(path)


def test_file_without_a_header_says_so(tone, tmp_path):
    (tmp_path / "clip.raw").write_bytes(tone.tobytes())
    with pytest.raises(ValueError, match="is not audio that can be read"):
        ClipReader()(tmp_path / "clip.raw")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX systems")
def test_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(ValueError, match="is not a regular file"):
        ClipReader()(tmp_path / "pipe.wav")


def test_clip_of_no_time_point_after_resampling_is_refused(write, tone):
    with pytest.raises(ValueError, match="3 time points at 192000 Hz, which leaves none at 16000 Hz"):
        ClipReader()(write("short.wav", tone[:3], 192000))


def test_array_with_its_axes_swapped_is_refused():
    with pytest.raises(ValueError, match="more channels than time points; transpose"):
        ClipReader()(np.zeros((16000, 2)))


@pytest.mark.parametrize(("channel", "error"), [(-1, ValueError), ("left", TypeError)])
def test_unknown_channel_is_refused(channel, error):
    with pytest.raises(error, match="an integer of at least 0 or 'mean', 'residual' or a Residual is expected"):
        ClipReader(channel=channel)


def test_wav_of_unknown_length_is_read_to_its_end(write, tone):
    path = write("stream.wav", tone)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"  # the size of the data chunk, as streaming recorders leave it
    path.write_bytes(content)
    np.testing.assert_array_equal(ClipReader()(path), tone)


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (np.zeros((2, 3, 4)), "has shape"),
        (np.zeros(0), "has shape"),
        (np.array([1.0, np.inf]), "holds infinity"),
        (np.array(["a", "b"]), "holds values of type <U1"),
    ],
)
def test_arrays_that_are_no_waveform_say_why(clip, reason):
    with pytest.raises(ValueError, match=reason):
        ClipReader()(clip)
