"""What a model is trained for: from embeddings or scores and labels to one loss."""

from shortlist.tasks.additive_bias import AdditiveBias
from shortlist.tasks.dual_learning import DualLearning
from shortlist.tasks.item_contrast import ItemContrast, mutual_information
from shortlist.tasks.listwise import ListwiseRanking
from shortlist.tasks.multitask import MultiTask
from shortlist.tasks.negative_queue import NegativeQueue
from shortlist.tasks.negative_sampler import NegativeSampler
from shortlist.tasks.off_policy import OffPolicyReinforce
from shortlist.tasks.ranking import Ranking
from shortlist.tasks.regression_em import RegressionEM
from shortlist.tasks.retrieval import Retrieval
from shortlist.tasks.sampling_probability import SamplingProbability
from shortlist.tasks.unbiased import UnbiasedRanking

__all__ = [
    "AdditiveBias",
    "DualLearning",
    "ItemContrast",
    "ListwiseRanking",
    "MultiTask",
    "NegativeQueue",
    "NegativeSampler",
    "OffPolicyReinforce",
    "Ranking",
    "RegressionEM",
    "Retrieval",
    "SamplingProbability",
    "UnbiasedRanking",
    "mutual_information",
]
