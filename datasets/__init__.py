"""Data sets by name. The one place where a new data set is added."""

from datasets.factor_dataset import FactorDataset

__all__ = ["FactorDataset"]
