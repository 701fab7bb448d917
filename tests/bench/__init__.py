"""Figures, not tests: `python -m tests.bench` (or `make bench`) measures us beside whatever peers are installed."""
