"""A user's model with a batch norm, which draws from the global generators of Python, NumPy and PyTorch."""

import random

import numpy as np
import torch
from tiny_model import TinyVAE


class DrawingVAE(TinyVAE):
    def __init__(self, channels: int, latents: int):
        super().__init__(channels, latents)
        self.encoder.append(torch.nn.BatchNorm1d(2 * latents))
        with torch.no_grad():
            self.encoder[-2].bias += random.random() + float(np.random.rand())

    def forward(self, x, *args):
        shade = 0.1 * (random.random() + float(np.random.rand()) + torch.rand(()).item())
        return super().forward((x + shade).clamp(0, 1), *args)
