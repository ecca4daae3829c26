"""Honest figures: metrics beside baselines, and the funnel's loss stage by stage."""

from shortlist.evaluation.funnel_report import FunnelReport, StageLoss, funnel_report
from shortlist.evaluation.lists import evaluate_lists

__all__ = ["FunnelReport", "StageLoss", "evaluate_lists", "funnel_report"]
