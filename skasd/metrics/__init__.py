"""Metrics of ``(y_true, score_samples)``: AUC, pAUC, official scores, decisions, bootstrap intervals and scorers.

Labels are +1 for normal and -1 for an anomaly, and a high score means normal. The anomaly is the positive class of every
metric.
"""

from skasd.metrics._aggregate import aggregate_score, summary_table
from skasd.metrics._bootstrap import BootstrapInterval, PairedInterval, bootstrap_interval, paired_bootstrap
from skasd.metrics._decisions import DecisionScores, decision_scores, decision_table
from skasd.metrics._means import arithmetic_mean, harmonic_mean
from skasd.metrics._official import official_mean, official_score, official_table
from skasd.metrics._ranking import auc_score, partial_auc_score
from skasd.metrics._result_csv import format_result_csv, parse_result_csv
from skasd.metrics._score_table import score_table
from skasd.metrics._scorer import ClipScorer, auc_scorer, make_clip_scorer, official_scorer, partial_auc_scorer

__all__ = [
    "BootstrapInterval",
    "ClipScorer",
    "DecisionScores",
    "PairedInterval",
    "aggregate_score",
    "arithmetic_mean",
    "auc_score",
    "auc_scorer",
    "bootstrap_interval",
    "decision_scores",
    "decision_table",
    "format_result_csv",
    "harmonic_mean",
    "make_clip_scorer",
    "official_mean",
    "official_score",
    "official_scorer",
    "official_table",
    "paired_bootstrap",
    "parse_result_csv",
    "partial_auc_score",
    "partial_auc_scorer",
    "score_table",
    "summary_table",
]
