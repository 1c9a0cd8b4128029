"""What a run does when the training loop reports to it: log, draw, score, save, stop."""

from __future__ import annotations

import functools
from argparse import Namespace

import numpy as np
import torch

import datasets
import metrics
from logger import checkpoints, inputs
from logger.run_directory import RunDirectory
from logger.run_logger import RunLogger
from logger.scores import score_table
from models.vae import VAE
from system.processes import Group
from system.signals import Interruption
from training_loop import Position, permutation

KEPT_CODES = 10_000  # images whose mean codes are written down, for scores that compare runs


class Session:
    """What a run does when the training loop reports: log, draw, score, save."""

    def __init__(
        self,
        args: Namespace,
        model: VAE,
        dataset,
        optimisers: dict[str, torch.optim.Optimizer],
        run_dir: RunDirectory | None,
        log: RunLogger | None,
        device: torch.device,
        interruption: Interruption,
        group: Group,
    ):
        self.args, self.model, self.dataset, self.optimisers = args, model, dataset, optimisers
        self.run_dir, self.log, self.device, self.interruption = run_dir, log, device, interruption
        self.group = group

    @functools.cached_property
    def picture_inputs(self) -> inputs.PictureInputs:
        """The images that all pictures of this run are drawn from."""
        index = permutation(np.arange(len(self.dataset)), self.args.seed, "pictures")
        return inputs.gather(self.dataset, index, self.device)

    def on_report(self, position: Position, terms: dict[str, torch.Tensor], images_per_second: float) -> None:
        self.log.training(terms, images_per_second, position.step, position.images)
        if self.args.visualise:
            self.log.frame(self.model, self.picture_inputs, position.step)

    def wants_checkpoint(self, position: Position, epoch_ends: bool) -> bool:
        """Before slow scores a checkpoint is written as well as after, so that no step is lost to them."""
        due = self.args.checkpoint_steps and position.step % self.args.checkpoint_steps == 0
        return self._told_to_stop() or bool(due or (epoch_ends and self.args.metrics))

    def on_checkpoint(self, position: Position) -> None:
        """Save; then stop, where that was asked for."""
        self.save(position)
        if self.interruption.requested:
            self.interruption.stop()

    def on_epoch(self, position: Position, validation: dict[str, torch.Tensor]) -> None:
        """Log, draw and score before the checkpoint: a run that dies on the way does all of it again."""
        self.log.validation(validation, position.step, position.images)
        if self.args.visualise:
            self.draw(position.step)
        if self.args.metrics:
            self.score(position)
        self._told_to_stop()
        self.on_checkpoint(position)

    def save(self, position: Position) -> None:
        logs = self.log.lengths()
        due = self.args.keep_epochs and position.batch == 0 and position.epoch % self.args.keep_epochs == 0
        kept = self.run_dir.kept_file(position.epoch) if due and position.epoch else None
        checkpoints.save(self.run_dir, self.model, self.optimisers, position.as_dict(), vars(self.args), logs, kept)

    def finish(self, position: Position) -> None:
        """After the last step: the animation of the training, and the scores, unless the last epoch was scored."""
        if self.args.visualise:
            self.log.animate_training(position.step)
        if self.args.end_metrics and not (self.args.metrics and position.step):
            self.score(position)
        self.log.close()

    def _told_to_stop(self) -> bool:
        """Whether any process of the run got a signal. All stop after the same step."""
        if self.group.any(self.interruption.requested is not None):
            self.interruption.requested = self.interruption.requested or "a signal to another process"
        return self.interruption.requested is not None

    def draw(self, step: int) -> None:
        self.log.pictures(self.model, self.picture_inputs, step)

    def score(self, position: Position) -> None:
        """Disentanglement scores on the whole data set, on the screen and in the run."""
        values, protocol, matrices = self.measure()
        self.log.scores(values, protocol, position.step)
        if self.args.visualise:
            self.log.score_matrices(matrices, self.evaluation_dataset.factor_names, position.step)
        settings = {"device": self.device, "progress": not self.args.quiet}
        self.model.eval()
        self.log.codes(metrics.mean_codes(self._mean_code, self.evaluation_dataset, KEPT_CODES, **settings))
        self.model.train()

    @functools.cached_property
    def evaluation_dataset(self):
        """What --eval_dataset names, else the data of the training."""
        return datasets.evaluation_from_args(self.args, self.dataset)

    def measure(self) -> tuple[dict[str, float], dict, dict[str, np.ndarray]]:
        """The scores, shown on the screen, how they were measured, and the matrices behind them."""
        dataset = self.evaluation_dataset
        names, left_out = metrics.taken_from(dataset)
        settings = {"seed": self.args.seed, "preset": self.args.metric_preset}
        self.model.eval()
        matrices: dict[str, np.ndarray] = {}
        with self.interruption.deferred(False):  # scores take minutes and keep no state: a signal stops them at once
            values = metrics.evaluate(
                self._mean_code,
                dataset,
                names,
                decoder=self._image,
                device=self.device,
                progress=not self.args.quiet,
                keep=matrices,
                **settings,
            )
        self.model.train()
        protocol = {
            **metrics.protocol(names, **settings),
            "dataset": dataset.name,
            "data_source": dataset.source,
            "images": len(dataset),
        }
        print(score_table(values, protocol) + (f"\nnote: {left_out}" if left_out else ""))
        return values, protocol, matrices

    @torch.no_grad()
    def _mean_code(self, x: torch.Tensor) -> torch.Tensor:
        """x `[n, channels, 64, 64]` -> the mean code `[n, latents]`."""
        mu, _ = self.model.encode(x)  # [n, latents]
        return mu

    @torch.no_grad()
    def _image(self, z: torch.Tensor) -> torch.Tensor:
        """z `[n, latents]` -> the image `[n, channels, 64, 64]` in [0, 1]."""
        return torch.sigmoid(self.model.decode(z))


class Follower(Session):
    """What the other processes of a run do at the same moments: nothing but to stop with the leading one."""

    def on_report(self, position: Position, terms: dict[str, torch.Tensor], images_per_second: float) -> None:
        pass

    def on_epoch(self, position: Position, validation: dict[str, torch.Tensor]) -> None:
        self._told_to_stop()  # waits until the leading process has drawn and scored
        self.on_checkpoint(position)

    def save(self, position: Position) -> None:
        pass
