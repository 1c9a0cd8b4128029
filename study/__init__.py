"""Reproduces the paper's tables: the plan of runs, their records, and the report."""
