"""Models that recommend: two towers, sequences, the ranker, and the baselines that each has to beat."""

from shortlist.models.baselines.als import ALS
from shortlist.models.baselines.ease import EASE
from shortlist.models.baselines.item_knn import ItemKNN
from shortlist.models.baselines.popularity import Popularity
from shortlist.models.evaluation import Evaluation, LosesToPopularity, evaluate
from shortlist.models.model import Model
from shortlist.models.ranking.boosted_ranker import BoostedRanker
from shortlist.models.ranking.event_scores import predict_objectives, score_events
from shortlist.models.ranking.list_loader import RankingLists
from shortlist.models.ranking.list_ranker import ListRanker
from shortlist.models.ranking.objectives import Objectives
from shortlist.models.ranking.ranker import Ranker
from shortlist.models.recommender import Recommender
from shortlist.models.sequential import Sequential
from shortlist.models.storage import load_model, save_model
from shortlist.models.two_tower import TwoTower

__all__ = [
    "ALS",
    "EASE",
    "BoostedRanker",
    "Evaluation",
    "ItemKNN",
    "ListRanker",
    "LosesToPopularity",
    "Model",
    "Objectives",
    "Popularity",
    "Ranker",
    "RankingLists",
    "Recommender",
    "Sequential",
    "TwoTower",
    "evaluate",
    "load_model",
    "predict_objectives",
    "save_model",
    "score_events",
]
