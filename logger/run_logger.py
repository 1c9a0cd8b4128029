"""Where a run's numbers and pictures go: TensorBoard, log_metrics.txt, PNG files."""

from __future__ import annotations

import numpy as np
import torch

from logger import pictures
from logger.run_directory import RunDirectory
from logger.scores import write_scores


class RunLogger:
    """Writes what a run reports into its directory. Tags are grouped: `train/`, `validation/`, `kl_per_latent/`, ...

    log_metrics.txt holds validation losses as `metric/<term>` and scores as `dmetric/<score>`.
    """

    def __init__(self, run: RunDirectory):
        from torch.utils.tensorboard import SummaryWriter  # imports TensorBoard: slow

        self.run = run
        self.writer = SummaryWriter(str(run.path))

    def arguments(self, args: dict, model: torch.nn.Module) -> None:
        """The arguments, and the parameter counts of the model's parts, as tables."""
        rows = "\n".join(f"| {name} | `{value}` |" for name, value in sorted(args.items()))
        self.writer.add_text("run/arguments", f"| argument | value |\n|---|---|\n{rows}")
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
        counts["total"] = sum(p.numel() for p in model.parameters())
        rows = "\n".join(f"| {name} | {count:,} |" for name, count in counts.items())
        self.writer.add_text("run/parameters", f"| part | parameters |\n|---|---|\n{rows}")

    def training(self, terms: dict[str, torch.Tensor], images_per_second: float, step: int) -> None:
        """Loss terms of one training step."""
        self._scalars("train", terms, step)
        self.writer.add_scalar("speed/images_per_second", images_per_second, step)

    def validation(self, terms: dict[str, torch.Tensor], step: int) -> None:
        """Loss terms averaged over the validation batches."""
        self._scalars("validation", terms, step)
        self.run.append_metrics({f"metric/{name}": term.item() for name, term in terms.items() if term.dim() == 0})
        self.writer.flush()

    def scores(self, scores: dict[str, float], protocol: dict, step: int) -> None:
        """Disentanglement scores, and how they were measured (plain data) beside them in scores.json."""
        for name, value in scores.items():
            self.writer.add_scalar(f"dmetric/{name}", value, step)
        self.run.append_metrics({f"dmetric/{name}": value for name, value in scores.items()})
        write_scores(self.run.scores_file, scores, {**protocol, "step": step})
        self.writer.flush()

    def pictures(self, model, x: torch.Tensor, step: int) -> None:
        """Reconstructions of x and traversals around its first image, to TensorBoard and as PNG."""
        self._picture("reconstructions", pictures.grid(pictures.reconstructions(model, x)), step)
        self._picture("traversals", pictures.grid(pictures.traversals(model, x[:1])), step)
        self.writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()

    def _scalars(self, group: str, terms: dict[str, torch.Tensor], step: int) -> None:
        for name, term in terms.items():
            if term.dim() == 0:
                self.writer.add_scalar(f"{group}/{name}", term.item(), step)
            else:
                for i, value in enumerate(term.tolist()):
                    self.writer.add_scalar(f"{group}_{name}/{i:02d}", value, step)

    def _picture(self, name: str, picture: np.ndarray, step: int) -> None:
        self.writer.add_image(f"pictures/{name}", picture, step, dataformats="HWC")
        pictures.save_png(picture, self.run.path / f"{name}.png")
