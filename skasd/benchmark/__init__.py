"""Benchmarks: run detectors on data sets with several seeds, resume interrupted runs, compare with published figures."""

from skasd.benchmark._published import published_results
from skasd.benchmark._report import report
from skasd.benchmark._run import run_suite
from skasd.benchmark._suite import Entry, Suite, read_suite

__all__ = ["Entry", "Suite", "published_results", "read_suite", "report", "run_suite"]
