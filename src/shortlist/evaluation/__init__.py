"""Honest figures: metrics beside baselines, and the funnel's loss stage by stage."""

from shortlist.evaluation.funnel_report import FunnelReport, StageLoss, funnel_report

__all__ = ["FunnelReport", "StageLoss", "funnel_report"]
