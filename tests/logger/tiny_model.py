"""A model whose steps take a millisecond, for tests of what surrounds a model."""

from argparse import Namespace

from torch import nn

from models.vae import VAE

SIDE = 8  # pixels of the images that it sees: averages of the real ones


class TinyVAE(VAE):
    """A linear encoder and a linear decoder of coarse images."""

    def __init__(self, channels: int, latents: int):
        super().__init__(channels, latents, recons_loss_type="bce", networks=None)
        pixels = channels * SIDE * SIDE
        self.encoder = nn.Sequential(nn.AvgPool2d(64 // SIDE), nn.Flatten(), nn.Linear(pixels, 2 * latents))
        self.decoder = nn.Sequential(
            nn.Linear(latents, pixels), nn.Unflatten(1, (channels, SIDE, SIDE)), nn.Upsample(scale_factor=64 // SIDE)
        )

    @classmethod
    def from_args(cls, args: Namespace, channels: int, **given) -> VAE:
        return cls(channels, args.latents)
