"""Writes the arguments for TensorBoard's comparison view (HPARAMS) to the run's event file."""

from __future__ import annotations

import re
from collections.abc import Collection

# Arguments that do not affect the results.
LEFT_OUT = {"log_path", "data_path", "eval_data_path", "load_model", "evaluate", "quiet", "global_step"}
LEFT_OUT |= {"data_on_device", "result_path", "epoch", "bootstrap"}
LOSSES = ("validation/loss", "validation/recon", "validation/kl")
DIAGNOSTICS = ("algebra/decomposition_error_relative", "equivariance_error/mean")


def shown_values(args: dict) -> list[str]:
    """Tags of the values to show; the paper's scores come first, if the run is scored."""
    scores = []
    if args.get("metrics") or args.get("end_metrics", True):
        from metrics import headlines

        scores = [f"dmetric/{score.name}" for score in headlines() if score.better]
    return [*scores, *LOSSES, *DIAGNOSTICS]


def comparable(args: dict) -> dict[str, bool | float | str]:
    """The arguments that distinguish the runs of a sweep, as bool, float or text."""
    return {
        name: value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else str(value)
        for name, value in sorted(args.items())
        if name not in LEFT_OUT
    }


def first_columns(model, args: dict) -> set[str]:
    """The five arguments to show first: model, dataset, seed, and two weights of the loss or training settings."""
    weights = [name for name in re.findall(r"\w+", getattr(model, "equation", "")) if name in args and name != "beta"]
    return {"model", "dataset", "seed", *[*weights, "learning_rate", "batch_size"][:2]}


def write(writer, args: dict, first: Collection[str]) -> None:
    """Add the run to the comparison view, which reads the metrics from the run's own scalars.

    By default the view shows five arguments, first those marked as differing. The mark is read from one run, which does
    not know what differs in a sweep, so it is set on `first`. `SummaryWriter.add_hparams` would write a second run.
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
