"""Sampling for the metrics: indices of random samples, samples that share a factor, neighbours one step away.

Random generators depend on (seed, purpose); there is no global state.
"""

from __future__ import annotations

import warnings
import zlib
from typing import Any

import numpy as np

from metrics.factors import FactorTable, check_factors, labels, left_out_columns, varying
from metrics.inputs import InputError


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator for one purpose, so that the draws of different metrics are independent of each other."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


class PlainSource:
    """Samples without factors; the base class of the other sources."""

    dataset: Any = None  # the data set; None for a table of codes
    sizes: np.ndarray = np.zeros(0, dtype=np.int64)  # [0]
    varying = left_out = sizes  # [0]
    complete = False  # whether all combinations of the factors exist, as `step` requires

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, 0]`."""
        return np.zeros((len(index), 0), dtype=np.int64)

    def random(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform samples, with replacement: int64 `shape`."""
        return rng.integers(len(self), size=shape)

    def split(self, rng: np.random.Generator, train: int, test: int) -> dict[str, np.ndarray]:
        """Uniform samples with replacement: `points` (for scores of one table), `train` (the same), and `test`."""
        drawn = self.random(rng, (train + test,))
        return {"points": drawn[:train], "train": drawn[:train], "test": drawn[train:]}

    def resample(self, rng: np.random.Generator, drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Fresh samples, of the same shapes, for a bootstrap replicate."""
        return {key: self.random(rng, index.shape) for key, index in drawn.items()}

    def replicate(self, rng: np.random.Generator) -> PlainSource:
        """The source of a bootstrap replicate: the same, since fresh samples can be drawn from it."""
        return self


class GridSource(PlainSource):
    """A data set with all combinations of its factors, indexed in row-major order.

    Args:
        dataset: `FactorDataset` or an object with its `factor_sizes`, `len()`, `index_to_factors(index)` and
            `batch(index, device)`.
        left_out: factors that some scores leave out; None: nothing.
    """

    def __init__(self, dataset, left_out=None):
        self.dataset = dataset
        self.sizes = np.asarray(dataset.factor_sizes, dtype=np.int64)  # [k]
        self.strides = np.append(np.cumprod(self.sizes[::-1])[-2::-1], 1)  # [k], the last factor varies fastest
        self.varying = np.flatnonzero(self.sizes > 1)
        names = getattr(dataset, "factor_names", [f"factor {column}" for column in range(len(self.sizes))])
        self.left_out = left_out_columns(left_out, names, self.varying)
        self.complete = True

    def __len__(self) -> int:
        return len(self.dataset)

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> int64 `[n, k]`."""
        return self.dataset.index_to_factors(index)

    def with_partner(self, rng: np.random.Generator, factor: np.ndarray) -> np.ndarray:
        """For each `factor`, a random sample whose value of it other samples share: int64, same shape."""
        return self.random(rng, factor.shape)

    def another(self, rng: np.random.Generator, index: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """For each index, another random sample with the same value of `factor` (same shape): int64.

        The sample itself if no other factor varies.
        """
        size, stride = self.sizes[factor], self.strides[factor]
        value, place = index // stride % size, index // (stride * size) * stride + index % stride
        others = len(self) // size - 1  # samples that share the value
        place = (place + 1 + rng.integers(np.maximum(others, 1))) % (others + 1)
        return (place // stride * size + value) * stride + place % stride

    def step(self, index: np.ndarray, factor: np.ndarray, by: np.ndarray) -> np.ndarray:
        """The sample with `factor` changed by `by` values, cyclically, and equal other factors."""
        size, stride = self.sizes[factor], self.strides[factor]
        value = index // stride % size
        return index + ((value + by) % size - value) * stride


class RowSource(PlainSource):
    """A table of factors, from whose rows samples are drawn.

    Args:
        table: the factors `[n + test_rows, k]`.
        test_rows: number of rows at the end of the table that are only used as the test set.
        pool: the rows to draw from; None: every row once. In a bootstrap replicate, some are repeated or missing.
    """

    def __init__(self, table: FactorTable, test_rows: int = 0, pool: np.ndarray | None = None):
        self.table, self.values, self.left_out = table, table.values, table.left_out  # values [n + test_rows, k]
        self.test_rows = test_rows
        self.rows = len(self.values) - test_rows
        self.labels = labels(self.values[: self.rows])  # [n, k]
        self.sizes = self.labels.max(axis=0) + 1  # [k], values that occur
        self.original = pool is None
        self.pool = np.arange(self.rows) if pool is None else np.sort(pool)  # [pool]
        self.groups = [_Groups(self.pool, column) for column in self.labels.T]  # k
        self.row_of_combination = self._rows_of_combinations()
        self.complete = len(self.row_of_combination) > 0
        some = varying(self.values[self.pool])
        self.varying = np.array([k for k in some if len(self.groups[k].partnered)], dtype=np.int64)

    def _rows_of_combinations(self) -> np.ndarray:
        """The row of each combination of factors, row-major: int64 `[rows]`; `[0]` if some are missing or repeated."""
        if not len(self.sizes) or np.prod(self.sizes, dtype=np.float64) != self.rows:
            return np.zeros(0, dtype=np.int64)
        combination = np.ravel_multi_index(self.labels.T, self.sizes)  # [rows]
        rows = np.full(self.rows, -1, dtype=np.int64)
        rows[combination] = np.arange(self.rows)
        return rows if (rows >= 0).all() else rows[:0]

    def __len__(self) -> int:
        return self.rows

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, k]`, the values as given."""
        return self.values[index]

    def random(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform rows, with replacement: int64 `shape`."""
        return self.pool[rng.integers(len(self.pool), size=shape)]

    def split(self, rng: np.random.Generator, train: int, test: int) -> dict[str, np.ndarray]:
        """Rows without replacement: `points` (for scores of one table), and disjoint `train` and `test`.

        If there are too few rows, `points` are all rows in order, and `train` and `test` a random half each. With a
        given test set, `test` is that set and `train` equals `points`.
        """
        mixed = rng.permutation(self.rows)
        points = np.arange(self.rows) if train >= self.rows else mixed[:train]
        if self.test_rows:
            return {"points": points, "train": points, "test": np.arange(self.rows, len(self.values))}
        if train + test > self.rows:
            train, test = (self.rows + 1) // 2, self.rows // 2
        return {"points": points, "train": mixed[:train], "test": mixed[train : train + test] if test else mixed}

    def replicate(self, rng: np.random.Generator) -> RowSource:
        """A bootstrap replicate of the table: rows drawn with replacement."""
        return RowSource(self.table, self.test_rows, rng.integers(self.rows, size=self.rows))

    def with_partner(self, rng: np.random.Generator, factor: np.ndarray) -> np.ndarray:
        """For each `factor`, a random row whose value of it other rows share: int64. Warns if some rows have none."""
        chance, rows = rng.random(factor.shape), np.empty(factor.shape, dtype=np.int64)
        for k in np.unique(factor):
            partnered, here = self.groups[k].partnered, factor == k
            partnered = partnered if len(partnered) else self.pool
            if self.original and len(partnered) < self.rows:
                warnings.warn(
                    f"{self.table.names[k]}: {self.rows - len(partnered)} of {self.rows} rows have a value that no "
                    "other row shares; the FactorVAE and beta-VAE scores pass over them",
                    stacklevel=2,
                )
            rows[here] = partnered[(chance[here] * len(partnered)).astype(np.int64)]
        return rows

    def another(self, rng: np.random.Generator, index: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """For each row, another random row of the pool with the same value of `factor` (same shape): int64."""
        chance, rows = rng.random(index.shape), np.empty(index.shape, dtype=np.int64)
        for k in np.unique(factor):
            here = factor == k
            rows[here] = self.groups[k].another(index[here], chance[here])
        return rows

    def step(self, index: np.ndarray, factor: np.ndarray, by: np.ndarray) -> np.ndarray:
        """As `GridSource.step`; requires a `complete` table."""
        values = np.moveaxis(self.labels[index], -1, 0).copy()  # [k, ...]
        moved = (self.labels[index, factor] + by) % self.sizes[factor]
        np.put_along_axis(values, factor[None], moved[None], axis=0)
        return self.row_of_combination[np.ravel_multi_index(tuple(values), self.sizes)]

    def resample(self, rng: np.random.Generator, drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each array resampled with replacement, for a bootstrap replicate."""
        return {key: rng.choice(index, len(index)) for key, index in drawn.items()}


class _Groups:
    """The rows of a pool, grouped by their value of one factor.

    Args:
        pool: rows `[pool]`, ascending.
        labels: values of all rows `[rows]`.

    Attributes:
        partnered: the rows of the pool whose value another row of the pool shares.
    """

    def __init__(self, pool: np.ndarray, labels: np.ndarray):
        value = labels[pool]  # [pool]
        self.order = pool[np.argsort(value, kind="stable")]  # [pool], by value, then by row: copies are adjacent
        count = np.bincount(value, minlength=int(labels.max()) + 1)  # [values]
        self.start = (np.cumsum(count) - count)[labels]  # [rows], start of the row's group
        self.count = count[labels]  # [rows], size of the row's group
        self.copies = np.bincount(pool, minlength=len(labels))  # [rows]
        self.place = np.zeros(len(labels), dtype=np.int64)  # [rows], position of the row's first copy
        first = np.flatnonzero(np.append(True, self.order[1:] != self.order[:-1]))
        self.place[self.order[first]] = first
        self.partnered = pool[self.count[pool] > self.copies[pool]]

    def another(self, index: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Another row of each row's group, chosen by numbers in [0, 1) `[n]`; the row itself if it has no other."""
        others = self.count[index] - self.copies[index]  # [n]
        place = self.start[index] + (chance * others).astype(np.int64)  # [n], not counting copies of the row
        place += np.where(place >= self.place[index], self.copies[index], 0)
        return np.where(others > 0, self.order[np.minimum(place, len(self.order) - 1)], index)


def source_of(dataset, left_out=None, bins=None) -> PlainSource:
    """The source of a data set: a grid, a table of factors, or samples without factors.

    `left_out` (None: as the data set declares) and `bins` as for `metrics.factors.check_factors`.
    """
    left_out = getattr(dataset, "left_out", None) if left_out is None else left_out
    table = getattr(dataset, "factors", None)
    if table is None:
        if bins is not None:
            raise InputError("bins: the factors of this data set are classes already")
        return GridSource(dataset, left_out)
    if not table.shape[1]:
        source: PlainSource = PlainSource(len(dataset))
    else:
        source = RowSource(check_factors(table, names=dataset.factor_names, left_out=left_out, bins=bins))
    source.dataset = dataset
    return source
