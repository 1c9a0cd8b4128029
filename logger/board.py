"""What TensorBoard shows of a run: names and descriptions of its numbers, tables of arguments, the comparison view."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary
from tensorboard.plugins.scalar import metadata as scalars

from logger.catalogue import DIAGNOSTICS
from metrics.info import HEADLINES, SCORES
from system.roles import tells_apart

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES = ("loss", "recon", "kl")  # terms of any model; also shown by images seen
# What the comparison view shows of a run, besides scores; and the arguments that stand first there.
LOSSES = ("validation/loss", "validation/recon", "validation/kl")
FIRST = {"model", "seed", "learning_rate", "batch_size", "max_steps"}
GROUP = ("algebra/decomposition_error_relative", "equivariance_error/mean")
OTHERS = {
    "speed/images_per_second": "images trained on per second, between two reports",
    "speed/utilization": "FLOP/s of training relative to those of a large matrix product on this machine",
    "speed/seconds_for_pictures": "what drawing the pictures took",
    "progress/epochs": "epochs done at a validation",
}
TERMS = {
    "loss": "what is minimised: the weighted sum of the terms",
    "recon": "reconstruction loss, summed over the pixels of an image",
    "kl": "KL divergence from the prior in nats, summed over the latents",
}


def shown(tag: str) -> tuple[str, str]:
    """A tag of scalars.csv -> its name in TensorBoard, and a description.

    TensorBoard sorts groups by their names: losses come first, then the paper's scores, then the rest.
    """
    kind, _, name = tag.partition("/")
    if kind == "dmetric":
        group = "2 scores" if name in HEADLINES else "3 more scores"
        if name not in SCORES:
            return f"{group}/{name}", ""
        score = SCORES[name]
        best = "" if score.ideal is None else f"; ideal {score.ideal:g}"
        return f"{group}/{score.name}", f"`{name}`: {score.question}{best}"
    if of_losses := re.fullmatch(r"(train|validation)_?(.*)", kind):
        when, what = of_losses.groups()
        if what == "by_images_seen":
            return f"5 losses by images/{name}, {when}", TERMS[name]
        if what:  # a number for each latent
            return f"6 {what.replace('_', ' ')}/{name}, {when}", ""
        return f"{'1 losses' if name in CURVES else '4 loss terms'}/{name}, {when}", TERMS.get(name, "")
    group = "8 run" if kind in ("speed", "progress") else f"7 {kind.replace('_', ' ')}"
    return f"{group}/{name.replace('_', ' ')}", {**DIAGNOSTICS, **OTHERS}.get(tag, "")


def scalar(tag: str, value: float, described: bool) -> Summary:
    """A number under its name in TensorBoard; its first summary of a run carries the description."""
    name, text = shown(tag)
    metadata = None
    if described:
        metadata = scalars.create_summary_metadata(name, text)
        metadata.data_class = DATA_CLASS_SCALAR  # else TensorBoard's fast loader takes no description
    return Summary(value=[Summary.Value(tag=name, simple_value=value, metadata=metadata)])


def write_arguments(writer: SummaryWriter, args: dict, model: torch.nn.Module, record: dict) -> None:
    """The command, tables of arguments and of the parameter counts of the model's parts; and the HPARAMS view."""
    writer.add_text("command/line", f"    {record['command']}")  # the view sorts by name: first
    writer.add_text("command/not at their default", _table("argument", "value", record["changed"]))
    writer.add_text("run/arguments", _table("argument", "value", args))
    if args.get("split") == 0:
        writer.add_text(
            "run/validation", "No image is held out (--split 0): curves named `validation` are of training images."
        )
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    counts["total"] = sum(p.numel() for p in model.parameters())
    writer.add_text("run/parameters", _table("part", "parameters", {name: f"{n:,}" for name, n in counts.items()}))
    _write_comparison(writer, args)


def _table(name: str, value: str, rows: dict) -> str:
    lines = [f"| {name} | `{value}` |" for name, value in sorted(rows.items())]
    return "\n".join([f"| {name} | {value} |", "|---|---|", *lines])


def _write_comparison(writer: SummaryWriter, args: dict) -> None:
    """Add the run to TensorBoard's comparison view (HPARAMS), which reads the metrics from the run's own scalars.

    By default the view shows five arguments, first those marked as differing. The mark is read from one run, which does
    not know what differs in a sweep, so it is set on FIRST. `SummaryWriter.add_hparams` would write a second run.
    """
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from torch.utils.tensorboard.summary import hparams

    values = {
        name: value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else str(value)
        for name, value in sorted(args.items())
        if tells_apart(name)
    }
    scored = args["metrics"] or args["end_metrics"]
    headlines = [f"dmetric/{key}" for key in HEADLINES if scored and SCORES[key].better]
    compared = [shown(tag)[0] for tag in (*headlines, *LOSSES, *GROUP)]
    summaries = hparams(values, dict.fromkeys(compared, 0.0))
    described = summaries[0].value[0].metadata  # of the experiment; the others start and end the session
    experiment = metadata.parse_experiment_plugin_data(described.plugin_data.content)
    for info in experiment.hparam_infos:
        info.differs = info.name in FIRST
    described.CopyFrom(metadata.create_summary_metadata(HParamsPluginData(experiment=experiment)))
    for summary in summaries:
        writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # torch declares it as None
