"""The arguments in the form that TensorBoard's comparison view (HPARAMS) reads, in the run's own event file."""

from __future__ import annotations

import re
from collections.abc import Collection

# Not what a run is, but where and how it was started.
LEFT_OUT = {"log_path", "data_path", "eval_data_path", "load_model", "evaluate", "quiet", "global_step"}
LEFT_OUT |= {"data_on_device", "result_path", "epoch", "bootstrap"}
LOSSES = ("validation/loss", "validation/recon", "validation/kl")
DIAGNOSTICS = ("algebra/decomposition_error_relative", "equivariance_error/mean")


def shown_values(args: dict) -> list[str]:
    """Tags of the values beside the arguments; the paper's scores, where the run takes any, come first."""
    scores = []
    if args.get("metrics") or args.get("end_metrics", True):
        from metrics import headlines

        scores = [f"dmetric/{score.name}" for score in headlines() if score.better]
    return [*scores, *LOSSES, *DIAGNOSTICS]


def comparable(args: dict) -> dict[str, bool | float | str]:
    """The arguments that tell runs of a sweep apart, in the view's three types; anything else becomes its text."""
    return {
        name: value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else str(value)
        for name, value in sorted(args.items())
        if name not in LEFT_OUT
    }


def first_columns(model, args: dict) -> set[str]:
    """The five arguments that the view opens with: what was trained, and two weights of the model's loss, if it has."""
    weights = [name for name in re.findall(r"\w+", getattr(model, "equation", "")) if name in args and name != "beta"]
    return {"model", "dataset", "seed", *[*weights, "learning_rate", "batch_size"][:2]}


def write(writer, args: dict, first: Collection[str]) -> None:
    """Declare the run as one session of the comparison. The view takes the metrics from the run's own scalars.

    The view shows five arguments until more are asked for: those marked as differing, by name, before the others. The
    mark is taken from one run of a sweep, so it cannot tell what really differs; it is set on `first`.
    `SummaryWriter.add_hparams` would make a second run below this one.
    """
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from torch.utils.tensorboard.summary import hparams

    for summary in hparams(comparable(args), dict.fromkeys(shown_values(args), 0.0)):
        for value in summary.value:
            if value.tag == metadata.EXPERIMENT_TAG:
                experiment = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
                for info in experiment.hparam_infos:
                    info.differs = info.name in first
                marked = metadata.create_summary_metadata(HParamsPluginData(experiment=experiment))
                value.metadata.CopyFrom(marked)
        writer.file_writer.add_summary(summary)
