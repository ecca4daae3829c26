"""`shortlist.toml`: one file that says what a whole funnel is made of, one to one with the classes."""

from shortlist.config.config import Config
from shortlist.config.load import load_config
from shortlist.config.training import TrainedFunnel, train_funnel

__all__ = ["Config", "TrainedFunnel", "load_config", "train_funnel"]
