"""The convolution stacks of the 64x64 networks on a CPU: same values up to rounding, fewer bytes moved.

In float32, or under autocast in bfloat16 with sums in float32; results are bit-identical from run to run. They pay on
x86 processors: a training step has 1.3 times the images/s on Zen 3 (AVX2) and 1.6 times on Zen 5 (AVX-512), see
docs/performance.md. Other processors have not been measured.

PyTorch's own layers lose most of their time here in four places, and each has a remedy below:

- With one image channel oneDNN has no kernel that fits (3 to 6 % of the machine's product rate); a layer with its
  derivative is then a matrix product over patches (`_patches`), and its transpose a product whose result is summed into
  the image (`_fold`).
- The weight gradient of a transposed convolution runs at 38 %. It is the weight gradient of a convolution with the
  roles of input and output exchanged, which runs at 66 %; the bias gradient is then a plain sum.
- ReLU is applied in place, forward and backward: what it overwrites nobody else holds. In bfloat16 on integers.
- The batch passes in pieces of PIECE images (twice as many in bfloat16), which stay in the cache from one layer to the
  next and never reach the size at which malloc asks the system for fresh pages at every step. Weight gradients are
  summed over the pieces, in float32 or better.

All layers have kernel 4, stride 2, padding 1. A layer pairs a large image `x` `[n, c, 2h, 2w]` with a small one `y`
`[n, k, h, w]` through a weight `[k, c, 4, 4]`: `down` maps x to y and `up`, its transpose, y to x. A convolution goes
down and has `up` as its derivative; a transposed convolution the other way round; the weight gradient of both is
`weight_gradient`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

from models import kernels

PIECE = 64  # images


class ConvStack(nn.Sequential):
    """`nn.Sequential`, of which each run of layers that `runs` finds is computed as one operation.

    Equal to `nn.Sequential` of the same layers, whatever they are; names and parameters are the same, too.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not can_fuse(x):
            return super().forward(x)
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
        for run in runs(self):
            convolutions = [layer for layer in run if fits(layer)]
            if convolutions and takes(convolutions, x):
                relu = [isinstance(after, nn.ReLU) for layer, after in pairwise([*run, nn.Identity()]) if fits(layer)]
                parameters = [p for layer in convolutions for p in (layer.weight, layer.bias)]
                derived = torch.is_grad_enabled() and any(value.requires_grad for value in (x, *parameters))
                x = _Convolutions.apply(x, dtype, derived, type(run[0]) is nn.Conv2d, relu, *parameters)
            else:
                for layer in run:
                    x = layer(x)
        return x


def runs(layers: Iterable[nn.Module]) -> list[list[nn.Module]]:
    """The layers in order, in groups: convolutions of one kind that `fits`, each followed by a ReLU or by nothing.

    Every other layer is a group of its own.
    """
    groups: list[list[nn.Module]] = []
    for layer in layers:
        group = groups[-1] if groups else [nn.Identity()]
        another = fits(layer) and fits(group[0]) and type(layer) is type(group[0])
        if another or (is_plain(layer, nn.ReLU) and fits(group[-1])):
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def is_plain(layer: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Whether the layer is of one of these types itself, with nothing registered that its own call would run."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return type(layer) in kinds and not any(hooks) and "forward" not in vars(layer)


def fits(layer: nn.Module) -> bool:
    """Whether the layer is a convolution with the layout that the operations of this module assume."""
    if not is_plain(layer, nn.Conv2d, nn.ConvTranspose2d) or layer.bias is None:
        return False
    layout = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode)
    return layout == ((4, 4), (2, 2), (1, 1), (1, 1), 1, "zeros") and layer.output_padding == (0, 0)


def takes(convolutions: Sequence[nn.Module], x: torch.Tensor) -> bool:
    """Whether the sizes of x fit: a batch of images of the first layer's channels, halved by each without rest."""
    unit = 2 ** len(convolutions) if type(convolutions[0]) is nn.Conv2d else 1
    if x.dim() != 4 or x.shape[2] % unit or x.shape[3] % unit or x.shape[1] != convolutions[0].in_channels:
        return False
    return all(a.out_channels == b.in_channels for a, b in pairwise(convolutions))


def can_fuse(x: torch.Tensor) -> bool:
    """Whether these operations are for x: a plain tensor on a CPU, not empty, not compiled, in full precision or under
    autocast to a bfloat16 for which oneDNN has kernels."""
    if x.device.type != "cpu" or x.numel() == 0 or not kernels.on or torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    if not torch.is_autocast_enabled("cpu"):
        return x.dtype in (torch.float32, torch.float64)
    half = torch.get_autocast_dtype("cpu") == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return half and x.dtype in (torch.float32, torch.bfloat16)


class _Convolutions(torch.autograd.Function):
    """The layers one after the other over each piece of the batch in `dtype`, and their derivatives in reverse."""

    @staticmethod
    def forward(ctx, x, dtype: torch.dtype, derived: bool, downward: bool, relu: Sequence[bool], *parameters):
        """`derived`: whether a derivative will be asked for, which needs every layer's input, and patches of x."""
        weights, biases = [p.to(dtype) for p in parameters[::2]], [p.to(dtype) for p in parameters[1::2]]
        results: list[torch.Tensor] = []
        kept: list[torch.Tensor | None] = []  # of every piece, the input of each layer and what the last ReLU gave
        for piece in x.split(piece_size(dtype)):
            piece = piece.to(dtype, memory_format=torch.channels_last)
            values = [operand(piece) if downward and derived else piece]
            for weight, bias, rectified in zip(weights, biases, relu, strict=True):
                piece = (down if downward else up)(values[-1], weight, bias)
                values = [*(values if derived else []), rectify(piece) if rectified else piece]
            results.append(piece)
            if derived:  # what comes after may overwrite the result, but for that of a ReLU
                kept += [*values[:-1], values[-1] if relu[-1] else None]
        if derived:
            ctx.save_for_backward(*weights, *kept)
            ctx.like, ctx.dtype, ctx.downward, ctx.relu = x.dtype, dtype, downward, relu
        return torch.cat(results) if len(results) > 1 else results[0]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor):
        layers = len(ctx.relu)
        saved = ctx.saved_tensors  # read once: checkpointing computes them anew each time
        weights, kept = saved[:layers], saved[layers:]
        totals: list[torch.Tensor | None] = [None] * (2 * layers)  # of weights and biases, as in `parameters`
        of_x = []
        for piece, g in enumerate(grad.split(piece_size(ctx.dtype))):
            g = g.to(ctx.dtype, memory_format=torch.channels_last)
            values = kept[piece * (layers + 1) : (piece + 1) * (layers + 1)]
            for i in reversed(range(layers)):
                if ctx.relu[i]:  # in place, but for the gradient that came from outside, and one that is not dense
                    own = i < layers - 1 and g.is_contiguous(memory_format=torch.channels_last)
                    g = rectify_gradient(g, values[i + 1], into=g if own else torch.empty_like(values[i + 1]))
                of_bias = g.sum((0, 2, 3))  # [channels]
                g = g if ctx.downward else operand(g)
                of_weight = weight_gradient(*(values[i], g) if ctx.downward else (g, values[i]))  # [k, c, 4, 4]
                for place, value in ((2 * i, of_weight), (2 * i + 1, of_bias)):
                    total = totals[place]
                    totals[place] = exact(value) if total is None else total.add_(value)
                if i > 0 or ctx.needs_input_grad[0]:
                    g = (up if ctx.downward else down)(g, weights[i], None)
            of_x.append(g)
        return (torch.cat(of_x).to(ctx.like) if ctx.needs_input_grad[0] else None), None, None, None, None, *totals


def piece_size(dtype: torch.dtype) -> int:
    """Images a piece: twice as many of half the size."""
    return 2 * PIECE if dtype == torch.bfloat16 else PIECE


def exact(x: torch.Tensor) -> torch.Tensor:
    """x in float32 at least, the type in which sums are kept."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def rectify(x: torch.Tensor) -> torch.Tensor:
    """ReLU in place. A bfloat16 is compared as the integer of the same bits: several times faster, and nan stays.

    As integers, -inf is -128 and finite negative numbers are below; nan of either sign, 0 and positive numbers above.
    """
    if x.dtype != torch.bfloat16:
        return x.relu_()
    torch.threshold_(x.view(torch.int16), -128, 0)
    return x


def rectify_gradient(g: torch.Tensor, y: torch.Tensor, into: torch.Tensor) -> torch.Tensor:
    """The derivative of `y = rectify(x)`: g where y > 0, else 0. All of one shape."""
    if g.dtype != torch.bfloat16:
        return torch.ops.aten.threshold_backward.grad_input(g, y, 0, grad_input=into)
    bits = (t.view(torch.int16) for t in (g, y))
    torch.ops.aten.threshold_backward.grad_input(*bits, 0, grad_input=into.view(torch.int16))
    return into


def images(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """Memory for images `[n, c, h, w]`, channels-last: no view, which layers that follow could not change in place."""
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def operand(x: torch.Tensor) -> torch.Tensor:
    """What `down` and `weight_gradient` take for x: its patches where one channel makes the product win, else x."""
    return _patches(x) if x.shape[1] == 1 else x


def down(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The convolution. x `[n, c, 2h, 2w]`, or its patches; weight `[k, c, 4, 4]`, bias `[k]` -> `[n, k, h, w]`."""
    if x.dim() == 4:
        return F.conv2d(x, weight, bias, stride=2, padding=1)
    (n, h, w), k = x.shape[2:], len(weight)
    patches, matrix = x.view(-1, n * h * w).T, weight.reshape(k, -1).T  # [n*h*w, c*16], [c*16, k]
    y = images(x, n, k, h, w)
    pixels = y.permute(0, 2, 3, 1).view(-1, k)  # [n*h*w, k]
    torch.mm(patches, matrix, out=pixels) if bias is None else torch.addmm(bias, patches, matrix, out=pixels)
    return y


def up(y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The transposed convolution. y `[n, k, h, w]`, weight `[k, c, 4, 4]`, bias `[c]` -> `[n, c, 2h, 2w]`."""
    k, c = weight.shape[:2]
    if c > 3:
        return F.conv_transpose2d(y, weight, bias, stride=2, padding=1)
    n, _, h, w = y.shape
    pixels = y.permute(0, 2, 3, 1).reshape(-1, k)  # [n*h*w, k]
    patches = weight.reshape(k, c * 16).T @ pixels.T  # [c*16, n*h*w]
    return _fold(patches.view(c, 16, n, h, w), bias)


def weight_gradient(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The gradient of the weight. x `[n, c, 2h, 2w]`, or its patches; y `[n, k, h, w]` -> `[k, c, 4, 4]`."""
    k = y.shape[1]
    if x.dim() == 4:
        return conv2d_weight(x, (k, x.shape[1], 4, 4), y, stride=2, padding=1)  # type: ignore[arg-type]
    pixels = y.permute(0, 2, 3, 1).reshape(-1, k)  # [n*h*w, k]
    return (x.view(-1, len(pixels)) @ pixels).T.reshape(k, x.shape[0], 4, 4)


def _patches(x: torch.Tensor) -> torch.Tensor:
    """Every 4x4 patch: x `[n, c, 2h, 2w]` -> `[c, 16, n, h, w]`, in the order of the weight's entries."""
    n, c, height, width = x.shape
    h, w = height // 2, width // 2
    padded = F.pad(x, (1, 1, 1, 1)).view(n, c, h + 1, 2, w + 1, 2)
    phases = padded.permute(3, 5, 1, 0, 2, 4).contiguous()  # [2, 2, c, n, h + 1, w + 1]: rows and columns by parity
    shifted = [phases[i % 2, j % 2, :, :, i // 2 : i // 2 + h, j // 2 : j // 2 + w] for i in range(4) for j in range(4)]
    return torch.stack(shifted, dim=1)  # [c, 16, n, h, w]


def _fold(patches: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The transpose of `_patches`, and the bias `[c]` added: patches `[c, 16, n, h, w]` -> `[n, c, 2h, 2w]`."""
    c, _, n, h, w = patches.shape
    phases = exact(patches.new_zeros(2, 2, c, n, h + 1, w + 1))
    if bias is not None:
        phases += bias.view(c, 1, 1, 1)
    for i in range(4):
        for j in range(4):
            phases[i % 2, j % 2, :, :, i // 2 : i // 2 + h, j // 2 : j // 2 + w] += patches[:, 4 * i + j]
    x = images(phases, n, c, 2 * h, 2 * w)
    for i in range(2):
        for j in range(2):  # parity 0 of the padded image is parity 1 of the image
            x[:, :, 1 - i :: 2, 1 - j :: 2] = phases[i, j, :, :, 1 - i : h + 1 - i, 1 - j : w + 1 - j].transpose(0, 1)
    return x
