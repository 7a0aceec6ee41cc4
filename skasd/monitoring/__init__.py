"""Watching machines: long recordings, streams, episodes and drift."""
