"""What a server tells of itself: counts and times, lines of a log, spans."""
