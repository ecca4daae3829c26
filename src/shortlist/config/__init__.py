"""`shortlist.toml`: one file that says what a whole funnel is made of, one to one with the classes."""

from shortlist.config.config import Config
from shortlist.config.load import load_config

__all__ = ["Config", "load_config"]
