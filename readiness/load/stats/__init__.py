"""Statistics behind verdicts: pure functions on arrays, each with the source of its formula."""
