"""Every picture of a run: its TensorBoard tag, file, section of the report, title and description; its diagnostics."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Picture(NamedTuple):
    """tag: in TensorBoard. file: name in the run directory. section: of the report. reading: its caption."""

    tag: str
    file: str
    section: str
    title: str
    reading: str


# A line that names the picture, then its caption.
# fmt: off
PICTURES = {
    "reconstructions": Picture("reconstructions/examples", "reconstructions.png", "latents", "Reconstructions",
        "Images of the data, and below them their reconstructions: by the latent path (code, exponential map, decoder) "
        "and, for a Lie group VAE, from the encoder's group features directly. If the two rows look alike, the group "
        "element keeps what the encoder extracted."),
    "traversals": Picture("traversals/around_image", "traversals.png", "latents", "Traversals around an image",
        "Each row varies one latent from -4 to 4 and keeps the others as in the code of one image, shown above. The "
        "number of the row is the latent's value for that image; a frame marks the nearest step. A name is that of the "
        "factor that follows the latent best, with their squared correlation. Rows are ordered by the KL divergence of "
        "their latent, in nats. The row of a disentangled latent changes one property."),
    "traversals_mean": Picture("traversals/around_mean", "traversals_mean.png", "latents", "Traversals around the mean",
        "The same around z = 0, the mean of the prior; in a Lie group VAE, its group element is the identity."),
    "group_elements": Picture("group/elements", "group_elements.png", "group", "Group elements",
        "exp(t A_j) - I for each latent j and five values of t: purple entries are negative, orange positive, white "
        "is 0. The latent of an empty row has no effect; rows with disjoint patterns act on different entries."),
    "algebra": Picture("diagnostics/algebra", "algebra.png", "group", "The Lie algebra",
        "Left: the norm of each basis matrix, split into rotation, scaling and shear. Middle: norms of the products "
        "A_i A_j relative to those of their factors, which the Hessian penalty drives to 0 off the diagonal. Right: "
        "those of the commutators, 0 if the order in which the two latents act does not matter. The titles compare "
        "their root mean squares with those of random matrices."),
    "eigenvalues": Picture("diagnostics/eigenvalues", "eigenvalues.png", "group", "Eigenvalues of each basis matrix",
        "Pairs on the vertical axis are rotations; values on the horizontal axis are growth (right) or decay (left). A "
        "nonzero matrix whose eigenvalues are all 0 is a shear. The titles give the three shares of the norm."),
    "equivariance": Picture("diagnostics/equivariance", "equivariance_error.png", "symmetries", "Equivariance error",
        "A factor of real images is changed by an eighth of its values, at least by one. The error compares this with "
        "the group action of a latent, by the same t for all images. 0: both do the same; 1: no better than leaving "
        "the image unchanged. A factor with one dark cell is represented by one latent."),
    "composition": Picture("symmetry/composition", "composition.png", "symmetries",
        "Two one-parameter subgroups composed",
        "The two latents with the largest KL act on the image: one varies along the rows, the other along the columns. "
        "Right: the difference if they act in the other order; black if they commute."),
    "factor_paths": Picture("symmetry/factor_paths", "factor_paths.png", "symmetries", "Factors in latent space",
        "One factor of one image takes all its values. Above: the codes of the four latents that change most. Below: "
        "the path in the plane of the two that change most, from the first value (dark) to the last (bright). A factor "
        "represented by one latent is a straight line along an axis; a full rotation is a loop."),
    "mutual_information": Picture("scores/mutual_information", "mutual_information.png", "scores",
        "Mutual information of factors and latents",
        "In nats, of all kept codes, less that of shuffled factors. Latents that are not in use are grey. A "
        "disentangled code has one bright cell per row, each in a different column."),
    "importance": Picture("scores/importance", "importance.png", "scores", "Importance of latents for factors",
        "Importance of each latent to the trees of the DCI score that predict a factor; every row sums to 1. Latents "
        "that are not in use are grey."),
}
# fmt: on

# Tag of a diagnostic -> what it is, in the order of the report.
DIAGNOSTICS = {
    "algebra/product_norm": "mean norm of the products A_i A_j, i not j",
    "algebra/product_norm_relative": "products relative to ||A_i|| ||A_j||",
    "algebra/commutator_norm": "mean norm of the commutators [A_i, A_j]",
    "algebra/commutator_norm_relative": "commutators relative to ||A_i|| ||A_j||",
    "algebra/product_norm_random": "the same of products of random matrices",
    "algebra/decomposition_error": "decomposition error ||exp(sum z_j A_j) - prod exp(z_j A_j)||",
    "algebra/decomposition_error_relative": "the same relative to ||exp(sum z_j A_j) - I||",
    "algebra/condition_number_median": "condition number of the group elements, median",
    "algebra/condition_number_max": "condition number of the group elements, largest",
    "equivariance_error/mean": "equivariance error of the best latent, mean over factors",
}


def beside_random(last: Callable[[str], float | None], kind: str) -> tuple[float, float, str] | None:
    """How the products or commutators of the basis compare with those of random matrices.

    Args:
        last: tag -> the newest value of a diagnostic, or None.
        kind: `product` or `commutator`.
    Returns:
        Their relative norm, that of random matrices (docs/pictures.md), and `zero`, `smaller` or `as random`; None
        without a group of several latents.
    """
    relative, random = last(f"algebra/{kind}_norm_relative"), last("algebra/product_norm_random")
    if relative is None or not random:
        return None
    random *= 2**0.5 if kind == "commutator" else 1
    words = "zero" if relative < 0.1 * random else "smaller" if relative <= 0.8 * random else "as random"
    return relative, random, words
