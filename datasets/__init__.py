"""Data sets by name. A new one is a line in DATASETS and the module it names (docs/adding_a_data_set.md)."""

from __future__ import annotations

import inspect
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from pkgutil import resolve_name

from datasets.factor_dataset import FactorDataset, split_indices
from datasets.files import fetch, locate
from datasets.spec import OPTIONS, DatasetSpec, allowed
from datasets.store import check_replica
from system.errors import UserError

__all__ = ["DATASETS", "FactorDataset", "check_data_path", "load_dataset", "split_indices"]

# Name on the command line -> `module:object` of its DatasetSpec, imported on use, so that `main.py --help` is fast.
DATASETS: dict[str, str] = {
    "dsprites": "datasets.dsprites:SPEC",
    "shapes3d": "datasets.shapes3d:SPEC",
    "cars3d": "datasets.cars3d:SPEC",
    "smallnorb": "datasets.smallnorb:SPEC",
    "mpi3d_toy": "datasets.mpi3d:TOY",
    "mpi3d_realistic": "datasets.mpi3d:REALISTIC",
    "mpi3d_real": "datasets.mpi3d:REAL",
    "mpi3d_complex": "datasets.mpi3d:COMPLEX",
    "color_dsprites": "datasets.drawn_sprites:COLOR",
    "noisy_dsprites": "datasets.drawn_sprites:NOISY",
    "celeba": "datasets.celeba:SPEC",
    "mnist": "datasets.digits:MNIST",
    "fashion_mnist": "datasets.digits:FASHION_MNIST",
    "chairs3d": "datasets.chairs3d:SPEC",
    "images": "datasets.image_folder:SPEC",
    "arrays": "datasets.arrays:SPEC",
}


def find(name: str) -> DatasetSpec:
    """The spec of the data set `name` of DATASETS."""
    return resolve_name(DATASETS[name])


def describe(name: str) -> str:
    """The description of a data set, one line per item, for `--help-data` and `python -m datasets --list`."""
    spec = find(name)
    lines = {name: spec.title, **spec.description()}
    width = max(map(len, lines)) + 2
    return "\n".join(f"{key:{width}}{value}" for key, value in lines.items())


def check_args(args: Namespace) -> None:
    """Check the data sets and paths of the command line, without loading them. Raises UserError."""
    check_data_path(args.dataset, args.data_path, **_options(args, args.dataset))
    name, path = _evaluated_on(args)
    if (name, path) != (args.dataset, args.data_path):
        try:
            check_data_path(name, path, **_options(args, name))
        except UserError as error:
            raise UserError(str(error).replace("--data-path", "--eval_data_path")) from error


def check_given(asked: Namespace, given: Collection[str], used: Namespace) -> None:
    """Check, before a run is scored, that the given flags `asked` for no other images than those of `used`, the run's.

    Raises UserError.
    """
    for name in {"dataset", *OPTIONS}.intersection(given):
        own, value = getattr(used, name, None), getattr(asked, name)
        if value != own and not (name == "dataset" and asked.eval_dataset):
            flag, chosen = OPTIONS.get(name, "--dataset"), "not given" if own is None else own
            raise UserError(
                f"{flag} {value}: a run is scored on the images that its own flag chooses ({chosen}): leave it out; "
                "--eval_dataset and --eval_data_path name other data, as a whole"
            )


def from_args(args: Namespace) -> FactorDataset:
    """Load the training data set of the command line. Raises UserError as `load_dataset`."""
    return load_dataset(args.dataset, args.data_path, progress=not args.quiet, **_options(args, args.dataset))


def evaluation_from_args(args: Namespace, trained_on: FactorDataset) -> FactorDataset:
    """The data set of --eval_dataset and --eval_data_path; `trained_on` without these flags, or if nothing is scored.

    Raises UserError if its images have another number of channels, or as `load_dataset`.
    """
    name, path = _evaluated_on(args)
    if (name, path) == (args.dataset, args.data_path) or not (args.metrics or args.end_metrics):
        return trained_on
    dataset = load_dataset(name, path, progress=not args.quiet, **_options(args, name))
    if dataset.channels != trained_on.channels:
        raise UserError(
            f"--eval_dataset {name} has {dataset.channels} channels, the model {trained_on.channels}: leave it out, or "
            "name a data set with the same number"
        )
    return dataset


def _evaluated_on(args: Namespace) -> tuple[str, str | None]:
    """Name and path of the data set to evaluate on: those of training where no flag names others.

    The path of another data set is never that of training: without --eval_data_path it is its replica, if it has one.
    """
    name = args.eval_dataset or args.dataset
    return name, args.eval_data_path or (args.data_path if name == args.dataset else None)


def _options(args: Namespace, name: str) -> dict:
    """The options of the command line for the data set `name`: they are those of --dataset, and apply to no other."""
    return {option: getattr(args, option, None) for option in OPTIONS if name == args.dataset}  # older runs lack some


def load_dataset(name: str, data_path: str | Path | None = None, *, progress: bool = True, **options) -> FactorDataset:
    """Load a data set: from its file, downloaded if missing, or as a replica.

    Args:
        name: one of DATASETS.
        data_path: the file, or its directory; a missing file is downloaded there. None: a replica, rendered on first
            use into the cache directory (`$LIE_VAE_CACHE`, else `~/.cache/lie-group-vae`).
        progress: show a progress bar on stderr.
        options: options of the data set (see OPTIONS), such as `fixed_shape=1`; None means not given.

    Raises: UserError if the data set or an option is unknown, or the file is missing, damaged or not the expected one.
    """
    spec, given = _declared(name, options)
    paths = locate(name, spec, data_path)
    for file, path in zip(spec.files, paths, strict=False):  # user data have a path and no file
        if path is not None and not path.exists():
            fetch(file, path.parent, progress=progress)
    dataset = spec.load(*paths, progress=progress, **given)
    usual = {name: parameter.default for name, parameter in inspect.signature(spec.load).parameters.items()}
    chosen = [f"{option} {value}" for option, value in given.items() if value != usual.get(option)]
    dataset.source = ", ".join([dataset.source, *chosen])  # so that other images are not taken for the same
    return dataset


def check_data_path(name: str, data_path: str | Path | None, **options) -> None:
    """Check that the data set can be loaded from `data_path` with these options, without loading it.

    A directory must hold the file, or be writable to download it; a replica must be drawn, or have a place.
    Raises: UserError also for options that the data set does not take.
    """
    spec, _ = _declared(name, options)
    if locate(name, spec, data_path) == [None]:
        check_replica(spec.replica)


def _declared(name: str, options: dict) -> tuple[DatasetSpec, dict]:
    """The spec of the data set, and the options without those that are None. Raises UserError if one is not its own."""
    if name not in DATASETS:
        raise UserError(f"--dataset {name} is not known: choose from {', '.join(DATASETS)}")
    spec = find(name)
    given = {option: value for option, value in options.items() if value is not None}
    for option, value in given.items():
        flag = f"{OPTIONS.get(option, option)} {value}"
        if option not in spec.options:
            raise UserError(f"{flag} does nothing for --dataset {name}: leave it out")
        if value not in spec.options[option]:
            raise UserError(f"{flag}: give {allowed(spec.options[option])}, or leave it out")
    return spec, given
