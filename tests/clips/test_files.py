import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skasd.clips import ClipReader, as_clips, clip_length

SOX_16_BIT, SOX_24_BIT, BELOW_INT_MAX, FFMPEG, ARECORD = 0x7FFFF000, 0x7FFFEFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF, 0x80000000
SOX_AIFF = 0x7F000000
CUT_FORMATS = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "VOC", "NIST", "SVX", "CAF", "AVR", "MPC2K", "MAT4", "MAT5"]


def pcm_bytes(tone, order="<"):
    return (tone * 2**15).astype(f"{order}i2").tobytes()


def wav(sound, size, riff_size=None, name=b"RIFF"):
    order = "<" if name == b"RIFF" else ">"
    riff = struct.pack(f"{order}I", (size + 36 if riff_size is None else riff_size) & 0xFFFFFFFF)
    fmt = struct.pack(f"{order}IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    return name + riff + b"WAVEfmt " + fmt + b"data" + struct.pack(f"{order}I", size) + sound


def au(sound, size):
    return b".snd" + struct.pack(">IIIII", 24, size, 3, 16000, 1) + sound


def aiff(tone, tmp_path, size):
    """The AIFF file of a writer that cannot go back to its header."""
    soundfile.write(tmp_path / "whole.aiff", tone, 16000)
    content = bytearray((tmp_path / "whole.aiff").read_bytes())
    position = content.index(b"SSND") + 4
    content[position : position + 4] = struct.pack(">I", size and size + 8)
    count = content.index(b"COMM") + 10
    content[count : count + 4] = struct.pack(">I", size // 2)
    return bytes(content)


def read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return ClipReader()(tmp_path / name)


@pytest.mark.parametrize("size", [SOX_16_BIT, SOX_24_BIT, BELOW_INT_MAX, FFMPEG, ARECORD, 0])
def test_wav_from_a_pipe_is_read_to_its_end(tmp_path, tone, size):
    np.testing.assert_array_equal(read(tmp_path, "x.wav", wav(pcm_bytes(tone), size)), tone)


@pytest.mark.parametrize("riff_size", [0, 8, 36, FFMPEG])
def test_wav_of_a_killed_recorder_is_read_to_its_end(tmp_path, tone, riff_size):
    np.testing.assert_array_equal(read(tmp_path, "x.wav", wav(pcm_bytes(tone), 0, riff_size)), tone)


def test_big_endian_wav_of_a_killed_recorder_is_read(tmp_path, tone):
    np.testing.assert_array_equal(read(tmp_path, "x.wav", wav(pcm_bytes(tone, ">"), 0, name=b"RIFX")), tone)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_au_of_unknown_length_is_read_to_its_end(tmp_path, tone, size):
    np.testing.assert_array_equal(read(tmp_path, "x.au", au(pcm_bytes(tone, ">"), size)), tone)


@pytest.mark.parametrize("size", [0, SOX_AIFF])
def test_aiff_of_unknown_length_is_read_to_its_end(tmp_path, tone, size):
    np.testing.assert_array_equal(read(tmp_path, "x.aiff", aiff(tone, tmp_path, size)), tone)


def test_wav_without_sound_but_with_other_chunks_holds_no_audio(tmp_path):
    with pytest.raises(ValueError, match="holds no audio: zero frames"):
        read(tmp_path, "x.wav", wav(b"LIST" + struct.pack("<I", 4) + b"INFO", 0))


@pytest.mark.parametrize("size", [100_000, 3_000_000_000])
def test_wav_that_ends_before_its_true_size_is_refused(tmp_path, tone, size):
    with pytest.raises(ValueError, match=f"is cut short: its header promises {size} bytes"):
        read(tmp_path, "x.wav", wav(pcm_bytes(tone), size))


@pytest.mark.parametrize("kind", CUT_FORMATS)
def test_whole_files_are_read_and_cut_ones_refused(tmp_path, tone, kind):
    path = tmp_path / f"x.{kind.lower()}"
    soundfile.write(path, tone, 16000, format=kind, subtype="PCM_16")
    np.testing.assert_array_equal(ClipReader()(path), tone)
    content = path.read_bytes()
    for share in (0.5, 0.9):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"is cut short|damaged"):
            ClipReader()(path)


def piped_flac(tmp_path, tone):
    """FLAC as written to a pipe: neither the number of samples nor their checksum is known."""
    soundfile.write(tmp_path / "whole.flac", tone, 16000)
    content = bytearray((tmp_path / "whole.flac").read_bytes())
    content[12:18] = bytes(6)
    content[21] &= 0xF0
    content[22:42] = bytes(20)
    return bytes(content)


def test_flac_from_a_pipe_is_read_to_its_end(tmp_path, tone):
    long = np.tile(tone, 12)
    np.testing.assert_array_equal(read(tmp_path, "x.flac", piped_flac(tmp_path, long)), long)
    assert clip_length(tmp_path / "x.flac", 16000) == len(long)


def uncounted_mp3(tmp_path, tone, mode):
    """MP3 without the first frame, which holds the number of frames."""
    soundfile.write(tmp_path / "whole.mp3", tone, 16000, bitrate_mode=mode)
    content = (tmp_path / "whole.mp3").read_bytes()
    return content[content.index(content[:2], 4) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("tag", [b"", b"ID3\x04\x00\x00\x00\x00\x40\x00" + bytes(2**13)])
def test_mp3_without_the_number_of_its_frames_is_read_to_its_end(tmp_path, tone, mode, tag):
    long = np.tile(tone, 12)
    waveform = read(tmp_path, "x.mp3", tag + uncounted_mp3(tmp_path, long, mode))
    assert abs(len(waveform) - len(long)) < 3 * 1152  # the encoder fills up whole frames
    assert clip_length(tmp_path / "x.mp3", 16000) == len(waveform)


def test_mp3_with_the_number_of_its_frames_has_its_length(write, tone):
    assert len(ClipReader()(write("x.mp3", tone))) == len(tone)


def test_cut_mp3_is_refused(write, tone):
    path = write("x.mp3", np.tile(tone, 12))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is cut short"):
        ClipReader()(path)


def test_gsm_is_read(write, tone):
    waveform = ClipReader()(write("x.wav", tone, format="WAV", subtype="GSM610"))
    assert np.corrcoef(waveform[: len(tone)], tone)[0, 1] > 0.9


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW", "PCM_24", "PCM_U8", "DOUBLE"])
def test_every_encoding_of_wav_is_read(write, tone, subtype):
    waveform = ClipReader()(write("x.wav", tone, format="WAV", subtype=subtype))
    assert np.corrcoef(waveform[: len(tone)], tone)[0, 1] > 0.99


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX systems")
def test_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path, tone):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/L\xfcfter.wav")
    soundfile.write(tmp_path / "a.wav", tone, 16000)
    (tmp_path / "a.wav").rename(path)
    np.testing.assert_array_equal(ClipReader()(path), tone)
    assert clip_length(path, 16000) == len(tone)
    assert as_clips([path]).name(0).encode("utf-8").endswith(rb"L\xfcfter.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX systems")
def test_length_of_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    length = []
    waiting = threading.Thread(target=lambda: length.append(clip_length(tmp_path / "pipe.wav", 16000)), daemon=True)
    waiting.start()
    waiting.join(timeout=5)
    assert length == [None]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="devices of POSIX systems")
def test_device_is_refused():
    with pytest.raises(ValueError, match="is not a regular file, but a pipe or a device"):
        ClipReader()("/dev/zero")
    assert clip_length("/dev/zero", 16000) is None


def test_text_called_mp3_ends_with_an_error_in_bounded_time(tmp_path):
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"is not audio|cut short|zero frames"):
        read(tmp_path, "x.mp3", b"\xff\xfb\x90\x00" + b"no sound" * 50_000)
    assert time.monotonic() - start < 10


def test_foreign_format_says_how_to_convert(tmp_path):
    with pytest.raises(ValueError, match=r"libsndfile does not read \(\.m4a\); convert to WAV or FLAC.*ffmpeg"):
        read(tmp_path, "x.m4a", b"\x00\x00\x00\x20ftypM4A " + bytes(100))
