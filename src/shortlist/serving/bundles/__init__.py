"""Which bundle answers, those that lie ready, and workers that change it together."""
