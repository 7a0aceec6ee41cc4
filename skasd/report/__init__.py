"""Reports: one HTML page about recordings or watched machines, which a browser opens without a network, to see and hear."""

from skasd.report._write_report import write_report
from skasd.report._write_timeline import write_timeline

__all__ = ["write_report", "write_timeline"]
