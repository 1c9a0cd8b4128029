"""Encodes the images of a data set into one table of codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metrics.checks import InputError, as_array, check_codes, check_factors


def encode(
    encoder: Callable,
    dataset,
    index: np.ndarray | None = None,
    *,
    batch_size: int = 256,
    device: str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """The mean codes of a data set's images: float64 `[n, d]`.

    Args:
        encoder: float32 images `[n, C, H, W]` (torch) on the device -> means `[n, d]`, torch or NumPy.
        dataset: a `FactorDataset`, or an object with its `len()` and `batch(index, device)`.
        index: int64 `[n]`; None: every image.

    Raises: InputError if the codes are not finite tables.
    """
    import torch
    from tqdm import tqdm

    index = np.arange(len(dataset)) if index is None else index
    codes: np.ndarray | None = None
    bar = tqdm(total=len(index), desc="encoding", unit=" images", unit_scale=True, disable=not progress, leave=False)
    with bar, torch.inference_mode():
        for start in range(0, len(index), batch_size):
            chunk = index[start : start + batch_size]
            found = _code_of_batch(encoder(dataset.batch(chunk, device)), len(chunk))  # [chunk, d]
            if codes is None:  # one table: kept pieces would lie between the freed memory of batches, and split it
                codes = np.empty((len(index), found.shape[1]), found.dtype)  # [n, d]
            if found.shape[1] != codes.shape[1]:
                both = f"{codes.shape[1]} latents for one batch and {found.shape[1]} for another"
                raise InputError(f"encoder: gave {both}")
            codes[start : start + len(chunk)] = found
            bar.update(len(chunk))
    return check_codes(codes, "the encoder's codes")


def _code_of_batch(mu, images: int) -> np.ndarray:
    """Check the result of an encoder for a batch: codes `[images, d]`. Raises InputError for other shapes."""
    try:
        codes = as_array(mu)
    except (ValueError, TypeError):
        codes = None
    if codes is None or codes.ndim != 2 or len(codes) != images or codes.dtype.kind not in "fiub":
        got = f"shape {tuple(mu.shape)}" if hasattr(mu, "shape") else f"a {type(mu).__name__}"
        raise InputError(f"encoder: expected codes [{images}, latents] for {images} images, got {got}")
    return codes


def check_dataset(dataset) -> None:
    """Raise InputError if the factors of a data set cannot be scored: a table with continuous columns."""
    table = getattr(dataset, "factors", None)
    if table is not None and table.shape[1]:
        check_factors(table, dataset.factor_names)


def is_grid(dataset) -> bool:
    """Whether the images are all combinations of some factors, in row-major order."""
    return bool(len(dataset.factor_sizes)) and getattr(dataset, "factors", None) is None
