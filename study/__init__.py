"""The paper's tables, measured: what is to be run, what was found, and the report."""
