"""From batches of requests to lists: a funnel that answers in time, its items and what its users did."""
