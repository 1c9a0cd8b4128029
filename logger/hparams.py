"""The arguments in the form that TensorBoard's comparison view (HPARAMS) reads, in the run's own event file."""

from __future__ import annotations

from collections.abc import Collection

# Not what a run is, but where and how it was started.
LEFT_OUT = {"log_path", "data_path", "eval_data_path", "load_model", "evaluate", "quiet", "global_step"}
LEFT_OUT |= {"data_on_device", "cuda_graph"}
FIRST = {"model", "dataset", "seed", "batch_size", "learning_rate", "epochs", "max_steps"}  # and the model's own flags
# The paper's scores, then what they may be held against.
METRICS = (
    "dmetric/fac_eval",
    "dmetric/SAP_score",
    "dmetric/discrete_mig",
    "dmetric/val_hig_acc",
    "dmetric/dci_disentanglement",
    "validation/loss",
    "validation/recon",
    "validation/kl",
    "algebra/decomposition_error_relative",
    "equivariance_error/mean",
)


def comparable(args: dict) -> dict[str, bool | float | str]:
    """The arguments that tell runs of a sweep apart, in the view's three types; anything else becomes its text."""
    return {
        name: value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else str(value)
        for name, value in sorted(args.items())
        if name not in LEFT_OUT
    }


def own_flags(model) -> set[str]:
    """The arguments that the model reads and its base class does not: `flags` of both name them as `--name`."""
    classes = [kind for kind in type(model).__mro__ if "flags" in vars(kind)]
    own = model.flags.keys() - classes[-1].flags.keys() if classes else ()
    return {flag[2:].replace("-", "_") for flag in own}


def write(writer, args: dict, first: Collection[str] = ()) -> None:
    """Declare the run as one session of the comparison. The view takes the metrics from the run's own scalars.

    The view lists arguments marked as differing before the others, by name: those are FIRST and `first`.
    `SummaryWriter.add_hparams` would make a second run below this one.
    """
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from torch.utils.tensorboard.summary import hparams

    for summary in hparams(comparable(args), dict.fromkeys(METRICS, 0.0)):
        for value in summary.value:
            if value.tag == metadata.EXPERIMENT_TAG:
                experiment = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
                for info in experiment.hparam_infos:
                    info.differs = info.name in FIRST | set(first)
                marked = metadata.create_summary_metadata(HParamsPluginData(experiment=experiment))
                value.metadata.CopyFrom(marked)
        writer.file_writer.add_summary(summary)
