"""Measures ratios against the bare work on the same machine in the same run; see ``__main__``."""
