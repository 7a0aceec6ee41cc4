"""Reports: one HTML page about new recordings, which a browser opens without a network, to look at and to listen to."""

from skasd.report._write_report import write_report

__all__ = ["write_report"]
