"""Data sets by name. A new one is a line in DATASETS and the module it names (docs/adding_a_data_set.md)."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from pkgutil import resolve_name

from datasets.factor_dataset import FactorDataset, split_indices
from system.errors import UserError

__all__ = ["DATASETS", "FactorDataset", "check_data_path", "load_dataset", "split_indices"]

# name on the command line -> the module that loads it, or, of a module with several, `module:object`. Each has
#   FILE: DataFile                        the official file; or `files(**options)`, several; neither: a person's own
#   load(path, *, progress, **options) -> FactorDataset   reads the file, or the directory of several
#   ABOUT: About                          what `python -m datasets --list` says of it
#   OPTIONS: dict[str, Collection]        the flags of the command line that it takes -> their values; left out for none
#   RENDER: str                           `module:function`, (directory, progress) -> path: draws a replica of the file
#   REPLICA_VERSION: int                  to be raised when it draws other pixels than before
#   check(path)                           a person's own: raises UserError for a path that cannot be right
# It is imported when it is used, so that `main.py --help` waits for nothing.
DATASETS: dict[str, str] = {
    "dsprites": "datasets.dsprites",
    "shapes3d": "datasets.shapes3d",
    "cars3d": "datasets.cars3d",
    "smallnorb": "datasets.smallnorb",
    "mpi3d_toy": "datasets.mpi3d:TOY",
    "mpi3d_realistic": "datasets.mpi3d:REALISTIC",
    "mpi3d_real": "datasets.mpi3d:REAL",
    "mpi3d_complex": "datasets.mpi3d:COMPLEX",
    "color_dsprites": "datasets.drawn_sprites:COLOR",
    "noisy_dsprites": "datasets.drawn_sprites:NOISY",
    "scream_dsprites": "datasets.scream_dsprites",
    "celeba": "datasets.celeba",
    "mnist": "datasets.digits:MNIST",
    "fashion_mnist": "datasets.digits:FASHION_MNIST",
    "chairs3d": "datasets.chairs3d",
    "images": "datasets.image_folder",
    "arrays": "datasets.arrays",
}

# The flags that choose among the forms of a data set, as they are spelt.
OPTIONS = {
    "fixed_shape": "--fixed_shape",
    "channels": "--channels",
    "resize": "--resize",
    "resample": "--resample",
    "crop": "--crop",
    "part": "--part",
    "data_seed": "--data-seed",
}


def find(name: str):
    """The module, or the object of a module, that loads the data set `name` of DATASETS."""
    return resolve_name(DATASETS[name])


def check_args(args: Namespace) -> None:
    """Refuse data sets and paths of the command line that cannot be used. Raises UserError."""
    for flag, name in (("--dataset", args.dataset), ("--eval_dataset", args.eval_dataset)):
        if name is not None and name not in DATASETS:
            raise UserError(f"{flag}: {name!r} is no data set; choose from {', '.join(DATASETS)}")
    check_data_path(args.dataset, args.data_path, **_options(args))
    name, path = args.eval_dataset or args.dataset, args.eval_data_path or args.data_path
    if (name, path) != (args.dataset, args.data_path):
        try:
            check_data_path(name, path, **_options(args, name))
        except UserError as error:
            raise UserError(str(error).replace("--data-path", "--eval_data_path")) from error


def from_args(args: Namespace) -> FactorDataset:
    """The data set that the command line's namespace names. Raises UserError as `load_dataset`."""
    return load_dataset(args.dataset, args.data_path, progress=not args.quiet, **_options(args))


def evaluation_from_args(args: Namespace, trained_on: FactorDataset) -> FactorDataset:
    """What --eval_dataset and --eval_data_path name; without them, or where nothing is scored, the training's data.

    Raises UserError where its images have other channels.
    """
    name, path = args.eval_dataset or args.dataset, args.eval_data_path or args.data_path
    if (name, path) == (args.dataset, args.data_path) or not (args.metrics or args.end_metrics):
        return trained_on
    dataset = load_dataset(name, path, progress=not args.quiet, **_options(args, name))
    if dataset.channels != trained_on.channels:
        raise UserError(
            f"--eval_dataset {name} has {dataset.channels} channels, the model {trained_on.channels}: leave it out, or "
            "name a data set of as many"
        )
    return dataset


def _options(args: Namespace, dataset: str | None = None) -> dict:
    """The options of --dataset; for another data set they mean nothing."""
    if dataset not in (None, args.dataset):
        return {}
    return {name: getattr(args, name, None) for name in OPTIONS}  # runs of older versions recorded fewer


def load_dataset(
    name: str, data_path: str | Path | None = None, *, progress: bool = True, download: bool = True, **options
) -> FactorDataset:
    """The data set `name`, from its file, from its publisher, or from the project's own renderer.

    Args:
        data_path: the file, or the directory that has it, or into which it is fetched. None: the replica is drawn into
            the cache directory at the first use (`$LIE_VAE_CACHE`, else `~/.cache/lie-group-vae`).
        progress: whether long work shows a bar on stderr.
        download: whether a missing file may be fetched.
        options: names of OPTIONS that the data set takes, such as `fixed_shape=1`; None counts as not given.

    Raises: UserError, one line that names the flag or the file and the remedy.
    """
    from datasets.locate import prepared

    given = check_data_path(name, data_path, **options)
    module = find(name)
    path = prepared(name, module, None if data_path is None else Path(data_path), given, progress, download)
    return module.load(path, progress=progress, **given)


def check_data_path(name: str, data_path: str | Path | None, **options) -> dict:
    """Raises UserError if the data set cannot be loaded from `data_path`, as far as can be told without any work.

    A file must begin as one of its kind does; a directory must have it, or be one into which it can be fetched.

    Returns: the options that were given, each one that the data set takes.
    """
    from datasets.locate import check

    if name not in DATASETS:
        raise UserError(f"--dataset {name} is not known: choose from {', '.join(DATASETS)}")
    module = find(name)
    given = {option: value for option, value in options.items() if value is not None}
    allowed = getattr(module, "OPTIONS", {})
    for option, value in given.items():
        flag = f"{OPTIONS[option]} {value}"
        if option not in allowed:
            raise UserError(f"{flag} does nothing for --dataset {name}: leave it out")
        if value not in allowed[option]:
            raise UserError(f"{flag}: give {described(allowed[option])}, or leave it out")
    check(name, module, None if data_path is None else Path(data_path), given)
    return given


def described(values) -> str:
    """The values that an option may have, in words."""
    if isinstance(values, range):
        return f"a number from {values.start} to {values.stop - 1}"
    return " or ".join(map(str, values))
