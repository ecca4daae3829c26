"""Honest figures: metrics beside baselines, and the funnel's loss stage by stage."""

from shortlist.evaluation.funnel_report import FunnelReport, StageLoss, funnel_report
from shortlist.evaluation.lists import evaluate_lists
from shortlist.evaluation.ranker import evaluate_ranker

__all__ = ["FunnelReport", "StageLoss", "evaluate_lists", "evaluate_ranker", "funnel_report"]
