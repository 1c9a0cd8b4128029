"""Codes of samples by index: encodes the samples that the metrics drew, each once, in large batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from metrics.inputs import InputError, as_array, check_representations


class CodeTable:
    """Codes by index: maps int64 `[...]` to codes `[..., d]`."""

    def __init__(self, codes: np.ndarray, rows: np.ndarray | None = None):
        self.codes = codes  # [encoded, d]
        self.rows = rows  # [samples] -> row of codes; None if codes hold every sample in order

    def __call__(self, index: np.ndarray) -> np.ndarray:
        return self.codes[index if self.rows is None else self.rows[index]]

    def only(self, latents: np.ndarray) -> CodeTable:
        """The codes of these latents only."""
        return CodeTable(self.codes[:, latents], self.rows)


def encode(
    encoder: Callable, dataset, wanted: Iterable[np.ndarray], *, batch_size: int, device: str, progress: bool
) -> CodeTable:
    """Encode the union of the wanted indices, each once, in ascending order.

    Args:
        encoder: float32 images `[n, C, H, W]` (torch) -> means `[n, d]`, torch or NumPy.
        wanted: arrays of indices.

    Raises: InputError if the codes are not finite tables.
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
            mu = _code_of_batch(encoder(dataset.batch(chunk, device)), len(chunk))  # [chunk, d]
            if codes is None:
                kind = np.float64 if mu.dtype == np.float64 else np.float32
                codes = np.empty((len(index), mu.shape[1]), dtype=kind)  # [encoded, d]
            if mu.shape[1] != codes.shape[1]:
                raise InputError(f"encoder: gave {codes.shape[1]} latents for one batch and {mu.shape[1]} for another")
            codes[start : start + len(chunk)] = mu
            bar.update(len(chunk))
    rows = np.full(len(dataset), -1, dtype=np.int32)  # [samples]
    rows[index] = np.arange(len(index), dtype=np.int32)
    return CodeTable(check_representations(codes, "the encoder's codes"), rows)


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
