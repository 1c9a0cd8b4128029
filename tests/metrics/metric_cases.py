"""The reference cases: given tables, and data sets whose observation is the representation."""

import json
from pathlib import Path

import numpy as np
import torch

REFERENCE = Path(__file__).parent.parent / "data" / "reference"
EXPECTED = json.loads((REFERENCE / "metrics.json").read_text())
CASES = tuple(EXPECTED)


def tables(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes and factors of the training set, then of the test set."""
    parts = ("z_train", "factors_train", "z_test", "factors_test")
    with np.load(REFERENCE / "metrics_cases.npz", allow_pickle=False) as arrays:
        return tuple(arrays[f"{case}_{part}"] for part in parts)


class CodesAsImages:
    """A grid data set whose "images" are codes `[prod(factor_sizes), d]`, so that the identity is its encoder."""

    name, source, factors = "codes", "made here", None

    def __init__(self, factor_sizes, codes: np.ndarray):
        self.factor_sizes = tuple(factor_sizes)
        self.factor_names = tuple(f"factor {k}" for k in range(len(self.factor_sizes)))
        self.left_out = ()
        self.codes = torch.from_numpy(codes.astype(np.float32))
        self.encoded = np.zeros(len(self), dtype=np.int64)  # how often each sample was asked for

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes))

    def index_to_factors(self, index):
        return np.stack(np.unravel_index(index, self.factor_sizes), axis=-1)

    def batch(self, index, device="cpu"):
        self.encoded[index] += 1
        return self.codes[index].to(device)


def all_factors(factor_sizes) -> np.ndarray:
    """Every combination, row-major: int64 `[prod, K]`."""
    return np.stack(np.unravel_index(np.arange(np.prod(factor_sizes)), factor_sizes), axis=-1)


def scaled(factors: np.ndarray, factor_sizes) -> np.ndarray:
    """Factors `[n, K]` -> centred with deviation about 1."""
    sizes = np.array(factor_sizes)
    return (factors - (sizes - 1) / 2) / (sizes / np.sqrt(12))


def reference_dataset(case: str) -> CodesAsImages:
    """The data set that the sampled reference values were taken on."""
    sizes = EXPECTED[case]["factor_sizes"]
    k = len(sizes)
    u = scaled(all_factors(sizes), sizes)  # [N, k]
    z = np.random.RandomState(3).standard_normal((len(u), 10))  # [N, 10]
    if case == "aligned":
        z[:, :k] = u + 0.1 * z[:, :k]
    elif case == "rotated":
        z[:, :k] = u @ np.linalg.qr(np.random.RandomState(7).standard_normal((k, k)))[0] + 0.05 * z[:, :k]
    else:
        mix = np.eye(k) + 0.35 * np.random.RandomState(8).standard_normal((k, k))
        z[:, :k] = np.tanh(u @ mix) + 0.1 * z[:, :k]
        z[:, k:] *= 0.03
    return CodesAsImages(sizes, z)
