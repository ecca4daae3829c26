"""Losses over the many candidates of a retriever: the softmax and what stands in for it."""
