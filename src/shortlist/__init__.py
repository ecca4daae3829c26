"""A recommender system the whole way: retrieval, ranking and post-ranking, trained, evaluated, deployed."""

__version__ = "0.1.0"
