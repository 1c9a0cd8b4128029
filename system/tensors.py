"""Files of tensors and plain data: written atomically, verified when read, and never executed."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path

import torch

from system.errors import UserError, first_line
from system.files import replacing


def write(content, path: Path, keep: Path | None = None) -> None:
    """torch.save `content` to `path`, atomically; `keep` as in `system.files.replacing`. Raises UserError."""
    buffer = io.BytesIO()  # so that a full disk raises OSError, and not an error inside torch.save
    torch.save(content, buffer)
    with replacing(path, keep=keep) as temporary, open(temporary, "wb") as file:
        file.write(buffer.getbuffer())


def load(path: Path, allowed: tuple = ()):
    """Read a file of tensors and plain data onto the CPU, without executing code in it.

    Also verifies the checksums of torch.save, which torch.load ignores.

    Args:
        allowed: other classes that the file may contain, such as argparse.Namespace.
    Raises:
        UserError: it is missing, damaged, or contains anything else.
    """
    try:
        content = Path(path).read_bytes()
        _compare_checksums(content)
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: the run was not trained to its first checkpoint") from error
    except PermissionError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); fix its permissions") from error
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise UserError(
                f"{path} is refused, and nothing in it was run: it asks for {named[1]}, not only for tensors and plain "
                "data; ask its author for the bare state dict"
            ) from error
        raise UserError(
            f"{path} is damaged or was not written by torch.save, and nothing in it was run; restore it or train again"
        ) from error
    except Exception as error:  # the decoders raise many kinds of errors for damaged files
        raise UserError(f"{path} is damaged ({first_line(error)[:120]}); restore it or train again") from error


def not_finite(weights: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors with an entry that is not finite."""
    return [name for name, value in weights.items() if not torch.isfinite(value).all()]


def _compare_checksums(content: bytes) -> None:
    """Raise ValueError or an error of zipfile if a checksum in torch.save's archive is wrong.

    Refuses compressed parts, which could unpack to any size. Files of PyTorch before 1.6 have no checksums.
    """
    if not content.startswith(b"PK\x03\x04"):
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("a compressed archive, which torch.save does not write")
        if (name := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {name} is wrong")
