"""What a metric may ask of samples: random ones, ones that share a factor, neighbours one step away; and their codes.

A metric first draws indices, all of them; the union is encoded once, in large batches; then everything is array
code on the table of codes. Randomness comes from generators made of (seed, purpose): no global state is read or
changed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np

from metrics.inputs import InputError, check_factors, check_representations, labels, varying


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator that depends on the seed and on what it is for, so that no metric disturbs another's draws."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


class GridSource:
    """All combinations of the factors of a data set, indexed in row-major order: `FactorDataset` or anything alike.

    Needs `factor_sizes`, `len()`, `index_to_factors(index)` and `batch(index, device)`.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.sizes = np.asarray(dataset.factor_sizes, dtype=np.int64)  # [k]
        self.strides = np.append(np.cumprod(self.sizes[::-1])[-2::-1], 1)  # [k], the last factor runs fastest
        self.varying = np.flatnonzero(self.sizes > 1)
        self.complete = True  # every combination of the factors is there, so that steps can be taken

    def __len__(self) -> int:
        return len(self.dataset)

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> int64 `[n, k]`."""
        return self.dataset.index_to_factors(index)

    def random(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform samples, with replacement: int64 `shape`."""
        return rng.integers(len(self), size=shape)

    def split(self, rng: np.random.Generator, train: int, test: int) -> dict[str, np.ndarray]:
        """Uniform samples with replacement: `points` for scores of one table, which are also `train`, and `test`."""
        drawn = self.random(rng, (train + test,))
        return {"points": drawn[:train], "train": drawn[:train], "test": drawn[train:]}

    def resample(self, rng: np.random.Generator, drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Fresh samples in place of those drawn: images are plenty, so nothing need be drawn twice."""
        return {key: self.random(rng, index.shape) for key, index in drawn.items()}

    def sharing(self, rng: np.random.Generator, index: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """For each index, a random sample with the same value of `factor` (same shape): int64, the other factors
        uniform.
        """
        other = self.random(rng, index.shape)
        size, stride = self.sizes[factor], self.strides[factor]
        return other + (index // stride % size - other // stride % size) * stride

    def step(self, index: np.ndarray, factor: np.ndarray, by: np.ndarray) -> np.ndarray:
        """The sample whose `factor` is `by` values further, cyclically; all else equal."""
        size, stride = self.sizes[factor], self.strides[factor]
        value = index // stride % size
        return index + ((value + by) % size - value) * stride


class RowSource:
    """A table of representations and factors: sampling means choosing among its rows.

    `test_rows` further rows at the end of the table are kept apart: they serve as the test set and nothing else.
    """

    def __init__(self, factors: np.ndarray, test_rows: int = 0):
        self.values = factors  # [n + test_rows, k]
        self.rows = len(factors) - test_rows
        self.test_rows = test_rows
        self.labels = labels(factors[: self.rows])  # [n, k]
        self.varying = varying(factors[: self.rows])
        self.sizes = self.labels.max(axis=0) + 1  # [k], values that occur
        self.order = np.argsort(self.labels, axis=0, kind="stable").T  # [k, n], rows grouped by value
        counts = np.zeros((len(self.sizes), int(self.sizes.max())), dtype=np.int64)
        for k, column in enumerate(self.labels.T):
            counts[k, : self.sizes[k]] = np.bincount(column)
        self.counts = counts  # [k, values]
        self.starts = np.cumsum(counts, axis=1) - counts  # [k, values]
        self.row_of_combination = self._rows_of_combinations()
        self.complete = self.row_of_combination is not None

    def _rows_of_combinations(self) -> np.ndarray | None:
        """For each combination of the factors, row-major, its row: int64 `[rows]`; None where combinations are
        missing or repeat.
        """
        if np.prod(self.sizes, dtype=np.float64) != self.rows:
            return None
        combination = np.ravel_multi_index(self.labels.T, self.sizes)  # [rows]
        rows = np.full(self.rows, -1, dtype=np.int64)
        rows[combination] = np.arange(self.rows)
        return rows if (rows >= 0).all() else None

    def __len__(self) -> int:
        return self.rows

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, k]`, the values as given."""
        return self.values[index]

    def random(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform rows, with replacement: int64 `shape`."""
        return rng.integers(self.rows, size=shape)

    def split(self, rng: np.random.Generator, train: int, test: int) -> dict[str, np.ndarray]:
        """Different rows: `points` (for scores of one table), and disjoint `train` and `test`.

        Where there are too few rows, `points` are all rows in their order, and train and test a random half each. A
        test set that was given is used as it is, and `train` are the `points`.
        """
        mixed = rng.permutation(self.rows)
        points = np.arange(self.rows) if train >= self.rows else mixed[:train]
        if self.test_rows:
            return {"points": points, "train": points, "test": np.arange(self.rows, len(self.values))}
        if train + test > self.rows:
            train, test = (self.rows + 1) // 2, self.rows // 2
        return {"points": points, "train": mixed[:train], "test": mixed[train : train + test] if test else mixed}

    def sharing(self, rng: np.random.Generator, index: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """For each row, a random row with the same value of `factor` (same shape), possibly itself: int64."""
        value = self.labels[index, factor]
        place = (rng.random(index.shape) * self.counts[factor, value]).astype(np.int64)
        return self.order[factor, self.starts[factor, value] + place]

    def step(self, index: np.ndarray, factor: np.ndarray, by: np.ndarray) -> np.ndarray:
        """As on the grid; only for a table that is `complete`."""
        values = np.moveaxis(self.labels[index], -1, 0).copy()  # [k, ...]
        moved = (self.labels[index, factor] + by) % self.sizes[factor]
        np.put_along_axis(values, factor[None], moved[None], axis=0)
        return self.row_of_combination[np.ravel_multi_index(tuple(values), self.sizes)]

    def resample(self, rng: np.random.Generator, drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each array of points drawn again from itself, with replacement: a bootstrap replicate."""
        return {key: rng.choice(index, len(index)) for key, index in drawn.items()}


class PlainSource:
    """Samples of which nothing is known: they can be drawn, and no more."""

    def __init__(self, count: int):
        self.count = count
        self.sizes = np.zeros(0, dtype=np.int64)  # [0]
        self.varying = np.zeros(0, dtype=np.int64)  # [0]
        self.complete = False

    def __len__(self) -> int:
        return self.count

    def factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, 0]`."""
        return np.zeros((len(index), 0), dtype=np.int64)

    random, split, resample = GridSource.random, GridSource.split, GridSource.resample


def source_of(dataset) -> GridSource | RowSource | PlainSource:
    """How the samples of a data set may be drawn: on its grid, by the rows of its table of factors, or at random."""
    table = getattr(dataset, "factors", None)
    if table is None:
        return GridSource(dataset)
    source = RowSource(check_factors(table)) if table.shape[1] else PlainSource(len(dataset))
    source.dataset = dataset
    return source


class CodeTable:
    """Codes of every index that was asked for: `[...]` -> `[..., d]`."""

    def __init__(self, codes: np.ndarray, rows: np.ndarray | None = None):
        self.codes = codes  # [encoded, d]
        self.rows = rows  # [samples] -> row of codes, or None where codes hold every sample in order

    def __call__(self, index: np.ndarray) -> np.ndarray:
        return self.codes[index if self.rows is None else self.rows[index]]


def encode(
    encoder: Callable, dataset, wanted: Iterable[np.ndarray], *, batch_size: int, device: str, progress: bool
) -> CodeTable:
    """Encodes the union of the wanted indices, each once, in ascending order and batches of `batch_size`.

    `encoder`: float32 images `[n, C, H, W]` -> means `[n, d]` (torch). Raises InputError where the codes are no
    finite table.
    """
    import torch
    from tqdm import tqdm

    needed = np.zeros(len(dataset), dtype=bool)
    for index in wanted:
        needed[index] = True
    index = np.flatnonzero(needed)  # [encoded]
    codes = None
    bar = tqdm(total=len(index), desc="encoding", unit=" images", unit_scale=True, disable=not progress, leave=False)
    with bar, torch.inference_mode():
        for start in range(0, len(index), batch_size):
            chunk = index[start : start + batch_size]
            mu = encoder(dataset.batch(chunk, device))  # [chunk, d]
            if not hasattr(mu, "shape") or mu.ndim != 2 or len(mu) != len(chunk):
                got = tuple(mu.shape) if hasattr(mu, "shape") else type(mu).__name__
                raise InputError(f"encoder: expected codes [{len(chunk)}, latents] for {len(chunk)} images, got {got}")
            if codes is None:
                codes = np.empty((len(index), mu.shape[1]), dtype=np.float32)  # [encoded, d]
            codes[start : start + len(chunk)] = mu.float().cpu().numpy()
            bar.update(len(chunk))
    rows = np.full(len(dataset), -1, dtype=np.int32)  # [samples]
    rows[index] = np.arange(len(index), dtype=np.int32)
    return CodeTable(check_representations(codes, "the encoder's codes"), rows)
