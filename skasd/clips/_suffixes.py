"""Suffixes of audio files: those that libsndfile reads, and those that have to be converted."""

READABLE_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf"),
    *(".w64", ".rf64", ".voc", ".sph", ".nist"),
)
FOREIGN_SUFFIXES = (
    *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".ac3", ".ape", ".wv", ".mka", ".webm", ".dsf", ".tta"),
)
CONVERT = "convert to WAV or FLAC, for example with 'ffmpeg -i in.m4a out.wav'"
