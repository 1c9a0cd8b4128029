"""Draws all pictures of one validation, from a model and the run's picture inputs. Returns arrays; logs nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

import matplotlib
import numpy as np
import torch

from logger import charts, grids, pictures
from logger.catalogue import beside_random

SHOWN_VALUES = (-4.0, -2.0, 0.0, 2.0, 4.0)
UNUSED = 0.05  # nats; a latent of a smaller KL says nothing about the image
HELD = 0.3  # squared correlation from which the row of a latent is named after a factor
STRONGEST = 4  # number of latents drawn per factor
FEW_TICKS = 4  # on small axes: each tick takes a millisecond or two to draw
SMALLEST_PLANE = 0.5  # minimum width of the axes of a path, so that noise looks small
LONGEST_TITLE = 26  # characters of the name of a factor above its panel


class Drawn(NamedTuple):
    """The result of `draw`.

    pictures: name in the catalogue -> uint8 `[Y, X, 3]`.
    scalars: tag -> number.
    texts: tag -> Markdown.
    """

    pictures: dict[str, np.ndarray]
    scalars: dict[str, float]
    texts: dict[str, str]


@torch.no_grad()
def draw(model, inputs: pictures.PictureInputs) -> Drawn:
    """Draw all pictures of a VAE of this project, which is then in evaluation mode."""
    model.eval()
    mu, kl = codes(model, inputs)  # [sample, latents], [latents]
    order = by_kl(kl)  # [latents]
    held = [what_it_holds(values, inputs.factors) for values in mu.cpu().numpy().T]  # of each latent
    names = [f"z{j}{held[j]}\nKL {kl[j]:.2f}" if kl[j] > UNUSED else f"z{j}\nKL {kl[j]:.2f}, unused" for j in order]
    traversals = pictures.traversals(model, mu[:1])  # uint8 [latents, steps, h, w, c]
    own = mu[0].cpu().numpy()  # [latents], code of the image
    around_mean = pictures.traversals(model, torch.zeros_like(mu[:1]))
    pairs = {name: tuple(map(model.mean_code, pair)) for name, pair in inputs.pairs.items()}
    paths = {name: model.mean_code(x).cpu().numpy() for name, x in inputs.paths.items()}
    findings = model.diagnostics(mu, pairs)
    examples = {"input": inputs.examples, **model.reconstructions(inputs.examples)}
    rows = {name: pictures.to_uint8(images) for name, images in examples.items()}  # uint8 [examples, h, w, c] each
    image = rows["input"][0]  # uint8 [h, w, c]
    drawn = {
        "reconstructions": reconstruction_picture(rows),
        "traversals": own_traversal_picture(traversals[order], names, own[order], image),
        "traversals_mean": traversal_picture(around_mean[order], names, "Traversals around the mean, z = 0"),
        **diagnostic_pictures(findings, order),
    }
    if paths:
        drawn["factor_paths"] = factor_path_picture(paths)
    if len(order) > 1:
        i, j = order[:2].tolist()
        drawn["composition"] = composition_picture(*pictures.compositions(model, mu[:1], i, j), f"z{i}", f"z{j}")
    elements = _elements_along(model, mu.shape[1], mu.device)  # float [latents, values, M, M] or None
    texts = {}
    if elements is not None:
        drawn["group_elements"] = element_picture(elements[order], [f"z{j}\nKL {kl[j]:.2f}" for j in order])
        texts["group/features"] = element_text(elements[order], order)
    return Drawn(drawn, findings.scalars, texts)


def what_it_holds(values: np.ndarray, factors: dict[str, np.ndarray]) -> str:
    """The factor with the largest squared correlation with a latent `[n]`, as in `: x, 0.91`; empty below HELD."""
    if not factors or values.std() == 0:
        return ""
    fits = {name: float(np.corrcoef(values, levels)[0, 1] ** 2) for name, levels in factors.items()}
    best = max(fits, key=lambda name: fits[name])
    return f": {_title(best)}, {fits[best]:.2f}" if fits[best] >= HELD else ""


@torch.no_grad()
def codes(model, inputs: pictures.PictureInputs) -> tuple[torch.Tensor, np.ndarray]:
    """Mean codes of the sample, `[sample, latents]`; and the mean KL of each latent in nats, `[latents]`."""
    mu, logvar = model.encode(inputs.sample)  # [sample, latents] each
    return mu, model.code_terms(mu, logvar, mu, 0)["kl_per_latent"].cpu().numpy()


def by_kl(kl: np.ndarray) -> np.ndarray:
    """The latents by descending KL, their order in all pictures: `[latents]` -> int64 `[latents]`."""
    return np.argsort(-kl, kind="stable")


def traversal_picture(traversals: np.ndarray, names: list[str], title: str, **more) -> np.ndarray:
    """uint8 `[latents, steps, h, w, c]` -> the labelled grid; `more` goes to `grids.labelled`."""
    values = [f"{value:g}" for value in pictures.steps(traversals.shape[1])]
    return grids.labelled(traversals, names, values, title=title, x_label="value of the latent", every=2, **more)


def own_traversal_picture(traversals: np.ndarray, names: list[str], own: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Traversals around an image, shown above; each row gives the latent's value for the image and frames the nearest.

    Args:
        traversals: uint8 `[latents, steps, h, w, c]`.
        names: names of the latents, such as `z3`, each with a second line.
        own: code of the image, float `[latents]`.
        image: uint8 `[h, w, c]`.
    """
    values = np.linspace(*pictures.TRAVERSAL_RANGE, traversals.shape[1])  # [steps]
    nearest = np.abs(own[:, None] - values).argmin(axis=1)  # [latents]
    shown = np.round(own, 1) + 0.0  # no -0.0
    rows = [re.sub(r"^(z\d+)", rf"\1 = {value:.1f}", name) for name, value in zip(names, shown, strict=True)]
    title = "Traversals around the image; framed: nearest to its value"
    return grids.with_header(traversal_picture(traversals, rows, title, framed=nearest), image, "The image")


def reconstruction_picture(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Name -> uint8 `[n, h, w, c]`: one row of a labelled grid per name."""
    return grids.labelled(np.stack(list(rows.values())), [name.replace("_", "\n") for name in rows])


def composition_picture(images: np.ndarray, difference: np.ndarray, first: str, second: str) -> np.ndarray:
    """Two grids side by side, from uint8 `[9, 9, h, w, c]` each."""
    values = [f"{value:g}" for value in pictures.steps(len(images))]
    sides = {f"{first} down, then {second} across": images, "difference to the other order": difference}
    drawn = [grids.labelled(side, values, values, title=title, x_label=second) for title, side in sides.items()]
    return np.hstack([np.pad(side, ((0, 0), (0, 12), (0, 0)), constant_values=grids.BACKGROUND) for side in drawn])


def element_picture(elements: np.ndarray, names: list[str]) -> np.ndarray:
    """Heat maps of `exp(t A_j) - I` with a common colour scale. elements: `exp(t A_j)`, `[latents, values, M, M]`."""
    moved = elements - np.eye(elements.shape[-1])
    limit = float(np.quantile(np.abs(moved), 0.995)) or 1.0
    enlarge = max(1, 64 // elements.shape[-1])
    purple_to_orange = matplotlib.colormaps["PuOr_r"]
    colours = purple_to_orange(0.5 + 0.5 * np.clip(moved / limit, -1, 1))[..., :3]  # white at 0
    cells = (255 * colours).astype(np.uint8).repeat(enlarge, axis=2).repeat(enlarge, axis=3)
    values = [f"t = {value:g}" for value in SHOWN_VALUES]
    title = f"exp(t A) - I, colours from {-limit:.2g} to {limit:.2g}"
    return grids.labelled(cells, names, values, title=title, x_label="")


def element_text(elements: np.ndarray, order: np.ndarray) -> str:
    """The elements `exp(t A_j)` as a Markdown table, one row per latent and value."""
    lines = ["| latent | t | group features |", "|---|---|---|"]
    for latent, row in zip(order, elements, strict=True):
        for value, element in zip(SHOWN_VALUES, row, strict=True):
            lines.append(f"| z{latent} | {value:g} | {' '.join(f'{entry:.3g}' for entry in element.ravel())} |")
    return "\n".join(lines)


def diagnostic_pictures(findings, order: np.ndarray) -> dict[str, np.ndarray]:
    """Draw the diagnostics of a model (`models.diagnostics.Findings`), latents in the given order."""
    latents = [f"z{j}" for j in order]
    drawn = {}
    if "equivariance_error" in findings.matrices:
        values = findings.matrices["equivariance_error"][:, order]  # [factors, latents]
        title = "Equivariance error of each latent's action (0 perfect, 1 as doing nothing)"
        drawn["equivariance"] = charts.heat_map_picture(
            values, findings.factors, latents, title, "latent", "factor moved", vmin=0, vmax=2
        )
    if findings.per_latent:
        drawn["algebra"] = _algebra_picture(findings, order, latents)
        drawn["eigenvalues"] = eigenvalue_picture(findings, order, latents)
    return drawn


def _algebra_picture(findings, order: np.ndarray, latents: list[str]) -> np.ndarray:
    with charts.figure(16, 5.0, right=0.5, top=0.7) as canvas:
        canvas.subplots_adjust(wspace=0.25)
        left, *others = canvas.subplots(1, 3)
        scale, unit = charts.unit_of(sum(findings.per_latent.values()))
        bottom = np.zeros(len(order))  # of the next part of each bar
        for part, values in findings.per_latent.items():
            left.bar(latents, values[order] / scale, bottom=bottom, label=part)
            bottom += values[order] / scale
        left.set_ylim(0, 1.18 * bottom.max(initial=0) or 1)
        left.legend(ncols=len(findings.per_latent), loc="upper center")
        left.set(title="Norm of each basis matrix  ||A_j||", xlabel="latent", ylabel=f"norm{unit}, split into parts")
        for axes, kind in zip(others, ("product", "commutator"), strict=True):
            values = findings.matrices[f"{kind}_norms"][np.ix_(order, order)]  # [latents, latents]
            charts.heat_map(axes, values, latents, latents, _norms_title(findings.scalars, kind), vmin=0)
            axes.set(xlabel="latent j", ylabel="latent i")
        return charts.to_array(canvas)


def _norms_title(scalars: dict[str, float], kind: str) -> str:
    """Products or commutators: their relative norm, that of random matrices, a verdict."""
    words = {"zero": "commutative", "smaller": "partly commutative", "as random": "as random: not commutative"}
    found = "one latent, nothing to compare"
    if compared := beside_random(scalars.get, kind):
        relative, random, verdict = compared
        found = f"{relative:.3f} (random matrices {random:.3f})\n{words[verdict]}"
    return f"{kind.capitalize()}s, relative: {found}"


def eigenvalue_picture(findings, order: np.ndarray, latents: list[str]) -> np.ndarray:
    """The eigenvalues of each latent's matrix in the complex plane, on a common scale: uint8 `[Y, X, 3]`.

    Very small and large values are in units of a power of ten, named in the label, so that tick labels do not overlap.
    """
    columns = min(5, len(order))
    rows = -(-len(order) // columns)
    limit = max(np.abs(findings.spectra[j]).max(initial=0) for j in order) * 1.15 or 1.0
    scale, unit = charts.unit_of(limit, smallest=-1)
    norms = sum(findings.per_latent.values())  # [latents]
    width = max(2.5 * columns + 1, 6.5)  # room for the label
    with charts.figure(width, 2.8 * rows + 0.55, left=0.9, bottom=0.75) as canvas:
        planes = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, j, name in zip(planes, order, latents, strict=False):
            axes.axhline(0, color="0.7", lw=0.8)
            axes.axvline(0, color="0.7", lw=0.8)
            axes.plot(findings.spectra[j].real / scale, findings.spectra[j].imag / scale, "o", ms=5, alpha=0.8)
            percent = [f"{100 * values[j] / max(norms[j], 1e-12):.0f}%" for values in findings.per_latent.values()]
            axes.set_title(f"{name}: {' / '.join(percent)}", fontsize=11)
            axes.set(xlim=(-limit / scale, limit / scale), ylim=(-limit / scale, limit / scale), aspect="equal")
            axes.locator_params(nbins=FEW_TICKS)
        for axes in planes[len(order) :]:
            axes.set_axis_off()
        canvas.supxlabel(
            f"real part{unit}.  Titles: {' / '.join(findings.per_latent)}, shares of the squared norm", fontsize=11
        )
        canvas.supylabel(f"imaginary part{unit}", x=0.005, fontsize=11)
        return charts.to_array(canvas)


def factor_path_picture(paths: dict[str, np.ndarray]) -> np.ndarray:
    """Curves (above) and planar paths (below) of mean codes along each factor. paths: name -> `[size, latents]`."""
    with charts.figure(3.2 * len(paths) + 0.6, 6.4) as canvas:
        canvas.subplots_adjust(wspace=0.33, hspace=0.33)
        grid = canvas.subplots(2, len(paths), squeeze=False)
        for (name, codes), above, below in zip(paths.items(), *grid, strict=True):
            strongest = np.argsort(-np.ptp(codes, axis=0), kind="stable")[:STRONGEST]
            for j in strongest:
                above.plot(codes[:, j], label=f"z{j}")
            above.set(title=_title(name), xlabel="value of the factor")
            above.locator_params(axis="x", integer=True, nbins=FEW_TICKS)
            above.locator_params(axis="y", nbins=FEW_TICKS)
            above.legend(fontsize=9, ncols=2, handlelength=1, loc="upper center")
            low, high = above.get_ylim()
            above.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
            i, j = strongest[0], strongest[min(1, len(strongest) - 1)]
            below.plot(codes[:, i], codes[:, j], color="0.75", lw=1)
            below.scatter(codes[:, i], codes[:, j], c=np.arange(len(codes)), s=22)
            reach = max(np.ptp(codes[:, i]), np.ptp(codes[:, j]), SMALLEST_PLANE) * 0.6
            for set_limits, latent in ((below.set_xlim, i), (below.set_ylim, j)):
                middle = (codes[:, latent].min() + codes[:, latent].max()) / 2
                set_limits(middle - reach, middle + reach)
            below.set(xlabel=f"z{i}", ylabel=f"z{j}")
            below.locator_params(nbins=FEW_TICKS)
        grid[0, 0].set_ylabel("mean code")
        return charts.to_array(canvas)


def _title(name: str) -> str:
    """The name of a factor in one line, short enough for a panel."""
    name = " ".join(name.replace("_", " ").split())
    return name if len(name) <= LONGEST_TITLE else f"{name[: LONGEST_TITLE // 2]}…{name[-LONGEST_TITLE // 2 :]}"


def _elements_along(model, latents: int, device: torch.device) -> np.ndarray | None:
    """`exp(t A_j)` for every latent and each of SHOWN_VALUES: float `[latents, values, M, M]`; None without a group.

    The matrices of several subgroups are joined into one block-diagonal matrix.
    """
    values = torch.tensor(SHOWN_VALUES, device=device)  # [values]
    z = torch.eye(latents, device=device)[:, None, :] * values[None, :, None]  # [latents, values, latents]
    parts = [part.cpu() for part in model.group_elements(z.flatten(0, 1))]  # each [latents * values, m_k, m_k]
    if not parts:
        return None
    whole = torch.stack([torch.block_diag(*blocks) for blocks in zip(*parts, strict=True)])
    return whole.view(latents, len(values), *whole.shape[1:]).numpy()
