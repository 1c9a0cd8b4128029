"""The arguments in the form that TensorBoard's comparison view (HPARAMS) reads, in the run's own event file."""

from __future__ import annotations

# Not what a run is, but where and how it was started.
LEFT_OUT = {"log_path", "data_path", "eval_data_path", "load_model", "evaluate", "quiet", "global_step"}
LEFT_OUT |= {"data_on_device", "cuda_graph"}
METRICS = (
    "validation/loss",
    "validation/recon",
    "validation/kl",
    "dmetric/fac_eval",
    "dmetric/val_hig_acc",
    "dmetric/discrete_mig",
    "dmetric/dci_disentanglement",
    "dmetric/SAP_score",
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


def write(writer, args: dict) -> None:
    """Declare the run as one session of the comparison. The view takes the metrics from the run's own scalars.

    `SummaryWriter.add_hparams` would make a second run below this one.
    """
    from torch.utils.tensorboard.summary import hparams

    for summary in hparams(comparable(args), dict.fromkeys(METRICS, 0.0)):
        writer.file_writer.add_summary(summary)
