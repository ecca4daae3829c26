"""Tables to tensors: schema, vocabulary, splits, batches."""
