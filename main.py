"""The command line: every flag, then `trainer.run` or `trainer.evaluate`."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import system.own_packages  # noqa: F401  # first: another package may have the name of one of these
from datasets import DATASETS, describe
from models import MODELS
from models.settings import GROUPS
from system.command_line import (
    CommandLine,
    Formatter,
    Parser,
    add,
    at_least,
    boolean,
    boolean_or_auto,
    command_line,
    optional,
    path,
    start,
)
from system.errors import UserError
from system.signals import EXIT_STATUS, Interrupted, Interruption

PRECISION_HELP = "fp32, tf32, bf16 (networks in bfloat16) or auto (bf16 where it is faster); none: fp32, on a GPU auto"
RESUME_HELP = "auto: continue the newest unfinished run (of --seed), else start one; once: not if one is finished"
BOOTSTRAP_HELP = "with --evaluate: 95%% intervals of the scores from N random halves; takes N + 1 times as long"
MAX_SEED = 2**32 - 1  # the largest that every generator takes
EVALUATION_ONLY = {  # flag -> what to use in training
    "epoch": "the length of a training is --epochs",
    "result_path": "a training writes to --log-path",
    "bootstrap": "score the run with it once it is trained",
}
OUT_OF_MEMORY = re.compile("not enough memory|out of memory|can't allocate memory")  # in torch's messages
ABOUT = """\
Trains VAEs that learn disentangled representations: the Commutative Lie Group
VAE and the baselines of its paper. Computes disentanglement scores, and draws
what every latent changes."""
EXAMPLES = """\
examples:
  a first run, a few minutes, on the project's own rendering of dSprites:
    main.py --dataset dsprites --recons_loss_type bce -lr 1e-3 --max-steps 1200
  your own pictures, in a folder:
    main.py --dataset images --data-path pictures --max-steps 3000
  score a trained run again:
    main.py --evaluate --log-path logs/version_0
"""


def add_settings(group, title: str) -> None:
    """Add the flags of `models.settings` under this title."""
    for flag, kind, default, meaning, choices in GROUPS[title]:
        add(group, flag, kind, default, meaning, **({"choices": choices} if choices else {}))


def build_parser() -> argparse.ArgumentParser:
    """Every flag, in groups."""
    parser = Parser(
        prog="main.py",
        description=ABOUT,
        epilog=EXAMPLES,
        usage="%(prog)s [flags]",
        formatter_class=Formatter,
        allow_abbrev=False,
    )

    group = parser.add_argument_group("data")
    add(group, "--dataset", str, "shapes3d", "data set to train on; images, arrays: your own", choices=tuple(DATASETS))
    add(group, "--data-path", optional(path), None, "the data files, or their folder; none: render a replica")
    add(group, "--fixed_shape", optional(at_least(0)), None, "dSprites: only this shape (0 square, 1 ellipse, 2 heart)")
    add(group, "--channels", optional(at_least(1)), None, "1 (grey) or 3 (RGB); none: as they are")
    add(group, "--resize", optional(str), None, "how to make images square: crop, pad or stretch, see --help-data")
    add(group, "--help-data", boolean, False, "describe --dataset and its flags, then exit")
    add(group, "--split", at_least(0, float, below=1), 0.1, "fraction of the images held out for validation")
    add(group, "--shuffle", boolean, True, "train in a new random order every epoch")

    group = parser.add_argument_group("model")
    add(group, "--model", str, "lie_group", f"one of {', '.join(MODELS)}", choices=tuple(MODELS))
    add_settings(group, "model")
    add(group, "--base-model", str, "beta_celeb", "model of a --base-model-path model.pt", choices=tuple(MODELS))
    add(group, "--base-model-path", optional(path), None, "run or model.pt that initialises encoder and decoder")

    for title in ("Lie group VAE", "other models"):
        add_settings(parser.add_argument_group(title), title)

    group = parser.add_argument_group("training")
    add(group, "--epochs", at_least(0), 50, "passes over the training data")
    add(group, "--max-steps", optional(at_least(0)), None, "stop after this many steps, also within an epoch")
    add(group, "--batch-size", at_least(1), 128, "images per step")
    add(group, "--learning-rate", at_least(0, float), 1e-4, "Adam's learning rate", "-lr")
    add(group, "--seed", optional(at_least(0, most=MAX_SEED)), None, "random seed; none: drawn, printed and recorded")
    add(group, "--checkpoint-steps", optional(at_least(1)), None, "checkpoint every N steps, and after every epoch")
    add(group, "--keep-epochs", optional(at_least(1)), None, "keep the weights of every N-th epoch, see --epoch")
    add(group, "--resume", str, "no", RESUME_HELP, choices=("no", "auto", "once"))
    add(group, "--load-model", boolean, False, "continue the newest run under --log-path; there must be one")
    add(
        group,
        "--global-step",
        optional(at_least(0)),
        None,
        "number of the first step of a new run; with --load-model, of the next one",
    )

    group = parser.add_argument_group("logging and evaluation")
    add(group, "--log-path", path, "logs", "folder for the run directory version_<n>; with --evaluate, the run itself")
    add(group, "--visualise", boolean, True, "draw reconstructions and traversals")
    add(group, "--metrics", boolean, False, "compute scores after every epoch")
    add(group, "--end-metrics", boolean, True, "compute scores after training")
    add(group, "--metric-preset", str, "full", "sample sizes; full: the literature's", choices=("full", "fast"))
    add(group, "--evaluate", boolean, False, "score the run in --log-path, without training")
    add(group, "--result-path", optional(path), None, "with --evaluate: folder for the scores; none: the run")
    add(group, "--bootstrap", optional(at_least(2)), None, BOOTSTRAP_HELP)
    add(group, "--epoch", optional(at_least(1)), None, "with --evaluate: score the weights kept after this epoch")
    sets = (*DATASETS, None)
    add(group, "--eval_dataset", optional(str), None, "data set to score on; none: --dataset", choices=sets)
    add(group, "--eval_data_path", optional(path), None, "its data files, or their folder; none: --data-path")

    group = parser.add_argument_group("machine")
    add(group, "--device", str, "auto", "auto: cuda, else mps, else cpu", choices=("auto", "cpu", "cuda", "mps"))
    add(group, "--num-threads", optional(at_least(1)), None, "CPU threads; none: one per core")
    precisions = ("fp32", "tf32", "bf16", "auto", None)
    add(group, "--precision", optional(str), None, PRECISION_HELP, choices=precisions, metavar="NAME")
    add(group, "--compile", boolean, False, "use torch.compile: needs a C++ compiler; the first steps are slow")
    add(group, "--data-on-device", boolean_or_auto, "auto", "copy images to the device; auto: to a GPU with room")
    add(group, "--quiet", boolean, False, "no progress bars, only results and errors")
    return parser


@command_line
def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 2 for an error that the user can fix, or 75 after a signal (system/signals.py)."""
    command = parse(argv)
    args = command.args
    if args.help_data:
        print(describe(args.dataset))
        return 0
    for name in EVALUATION_ONLY if not args.evaluate else ():
        if getattr(args, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag} is for --evaluate: add that flag, or leave {flag} out; {EVALUATION_ONLY[name]}")
    del args.help_data  # not recorded with the run
    try:
        with contextlib.nullcontext() if args.evaluate else Interruption() as interruption:
            import trainer  # imports torch: slow, so not for --help, and a signal may come meanwhile

            trainer.run(command, interruption) if interruption else trainer.evaluate(command)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not OUT_OF_MEMORY.search(str(error)):
            raise
        raise UserError("out of memory: lower --batch-size, --latents or --subgroup_sizes_ls") from error
    except Interrupted as error:
        sys.stderr.write(f"{error}; the same command with --resume auto continues from the last checkpoint\n")
        return EXIT_STATUS
    return 0


def load_model(run: str | Path, *flags: str):
    """The model of a run, in evaluation mode on the CPU, and its data set: for notebooks (docs/notebooks.md).

    Args:
        run: the run directory, of this project or of the authors' code.
        flags: flags of `--evaluate`, such as `--epoch=30` or `--data-path=data/dsprites`.
    Raises:
        UserError: one line that names the file or flag and the remedy.
    """
    import torch

    import trainer
    from system import randomness

    command = parse(["--evaluate", "--quiet", f"--log-path={run}", *flags])
    with randomness.kept():  # whoever draws between two calls does not draw the same again
        *_, dataset, model = trainer.load(command, torch.device("cpu"))
    return model, dataset


def parse(argv: Sequence[str] | None) -> CommandLine:
    """The flags of a command line, and which of them were given, also if set to their default."""
    parser, unset = build_parser(), object()
    args, defaults = parser.parse_args(argv), vars(parser.parse_args([]))
    again = parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(vars(args), unset)))
    given = frozenset(name for name, value in vars(again).items() if value is not unset)
    changed = {name: value for name, value in vars(args).items() if value != defaults[name]}
    typed = shlex.join(["python", "main.py", *(sys.argv[1:] if argv is None else argv)])
    return CommandLine(args, given, typed, changed)


if __name__ == "__main__":
    start(main)
