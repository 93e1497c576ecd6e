"""Use cases: the only layer that writes, and the one that returns views already filtered by visibility."""
