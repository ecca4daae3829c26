"""Losses over lists of items with labels: learning to rank."""
