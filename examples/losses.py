"""Losses: one number an example, and the mean of them."""

import torch

from shortlist import losses, tasks

torch.manual_seed(0)
queries, candidates = torch.randn(4, 8), torch.randn(4, 8)
items = torch.tensor([7, 3, 7, 5])  # queries 0 and 2 want the same item

# Each query's own candidate against the batch's: with the logQ correction, without accidental hits.
each = losses.in_batch_softmax(
    queries,
    candidates,
    temperature=0.5,
    candidate_ids=items,
    sampling_probability=torch.tensor([0.4, 0.2, 0.4, 0.1]),
)
print("in-batch softmax:", each)

# The scores that it normalises, for a loss of your own. What does not count has MASKED_SCORE.
scores, own = losses.in_batch_scores(queries, candidates, candidate_ids=items)
print("accidental hits:", (scores == losses.MASKED_SCORE).nonzero().tolist(), "positives:", own.tolist())
positives = scores.diagonal()
print("BPR:", losses.bayesian_personalized_ranking(positives, scores[:, 1:3]))

# Against every item, or against items that were drawn, each with its chance.
catalogue, wanted = torch.randn(100, 8), torch.tensor([7, 3, 7, 5])
print("full softmax:", losses.full_softmax(queries, catalogue, wanted))
sampler = tasks.NegativeSampler(torch.arange(100).float())  # item 99 most often, item 0 never
drawn = sampler.draw(20)
print(
    "sampled softmax:",
    losses.sampled_softmax(
        queries,
        catalogue[wanted],
        catalogue[drawn],
        positive_ids=wanted,
        negative_ids=drawn,
        positive_probability=sampler.probability(wanted),
        negative_probability=sampler.probability(drawn),
    ),
)
pair = losses.sampled_scores(queries, catalogue[wanted], catalogue[drawn])
print("gBCE:", losses.generalised_binary_cross_entropy(*pair, num_items=100, calibration=0.75))
shares = torch.tensor([0.4, 0.2, 0.4, 0.1])
print("mixed:", losses.mixed_probability(shares, batch_size=4, num_uniform=20, num_items=100))

# A mean, so that the learning rate does not depend on the batch's size; padding has weight 0.
print("mean:", losses.weighted_mean(each), losses.weighted_mean(each, torch.tensor([1.0, 1, 1, 0])))

# Ratings and clicks.
ratings, predictions = torch.tensor([4.0, 1.0]), torch.tensor([3.5, 5.0])
print("squared error:", losses.squared_error(predictions, ratings))
print("huber:", losses.huber(predictions, ratings, delta=1.0))
clicks, logits = torch.tensor([1.0, 0.0]), torch.tensor([2.0, -1.0])
print("cross-entropy:", losses.binary_cross_entropy_with_logits(logits, clicks))
print("the same:     ", losses.binary_cross_entropy(logits.sigmoid(), clicks))
