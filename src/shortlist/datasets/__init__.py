"""Where tables come from: MovieLens, table files, databases, LIBSVM files, made-up catalogues and clicks."""

from shortlist.datasets.click_simulator import (
    CascadeClicks,
    ClickModel,
    PositionBasedClicks,
    SimulatedClicks,
    simulate_clicks,
)
from shortlist.datasets.files import from_files
from shortlist.datasets.guess import guess_schema
from shortlist.datasets.libsvm import read_libsvm
from shortlist.datasets.list_tables import ranking_lists, ranking_table
from shortlist.datasets.movielens import movielens
from shortlist.datasets.parquet_loader import ParquetLoader
from shortlist.datasets.ranking_table import RankingTable, RankingTableLoader
from shortlist.datasets.sql import from_sql
from shortlist.datasets.synthetic import synthetic

__all__ = [
    "CascadeClicks",
    "ClickModel",
    "ParquetLoader",
    "PositionBasedClicks",
    "RankingTable",
    "RankingTableLoader",
    "SimulatedClicks",
    "from_files",
    "from_sql",
    "guess_schema",
    "movielens",
    "ranking_lists",
    "ranking_table",
    "read_libsvm",
    "simulate_clicks",
    "synthetic",
]
