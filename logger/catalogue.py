"""Every picture of a run: where it goes, what it is called, and how to read it, for all who show pictures."""

from __future__ import annotations

from typing import NamedTuple

# Anchor of a section of the report -> its heading, in the order of the page.
SECTIONS = {
    "scores": "Scores",
    "curves": "Learning curves",
    "latents": "What each latent does",
    "group": "The group",
    "symmetries": "Symmetries",
}


class Picture(NamedTuple):
    """`tag` is its place in TensorBoard, `file` its name in the run directory, `section` that in the report, `reading`
    one or two sentences."""

    tag: str
    file: str
    section: str
    title: str
    reading: str


PICTURES = {
    "reconstructions": Picture(
        "reconstructions/examples",
        "reconstructions.png",
        "latents",
        "Reconstructions",
        "Images of the data above what the model makes of them: by the latent path (encode to the code, exponential "
        "map, decode) and, for a Lie group VAE, from the encoder's group features directly. Rows that look alike mean "
        "that the group element carries what the encoder saw.",
    ),
    "traversals": Picture(
        "traversals/around_image",
        "traversals.png",
        "latents",
        "Traversals around an image",
        "Each row moves one latent from -4 to 4 and leaves the others as in the code of one image, which stands above; "
        "a frame marks the value nearest to the image's own, which is the number beside the row. Rows are ordered by "
        "the KL divergence of their latent, in nats: a row with a KL near 0 is unused and stays still; a good row "
        "changes one thing.",
    ),
    "traversals_mean": Picture(
        "traversals/around_mean",
        "traversals_mean.png",
        "latents",
        "Traversals around the mean",
        "The same around z = 0, the mean of the prior; in a Lie group VAE, its group element is the identity.",
    ),
    "group_elements": Picture(
        "group/elements",
        "group_elements.png",
        "group",
        "Group elements",
        "exp(t A_j) - I for each latent j and five values of t: purple entries are negative, orange positive, white "
        "is 0. An empty row is a latent that moves nothing; rows with disjoint patterns act on parts of their own.",
    ),
    "algebra": Picture(
        "diagnostics/algebra",
        "algebra.png",
        "group",
        "The Lie algebra",
        "Left: the norm of each basis matrix, split into how much of it rotates, scales and shears. Middle: norms of "
        "the products A_i A_j, which the Hessian penalty drives to 0 off the diagonal. Right: norms of the "
        "commutators, 0 where two latents act independently of their order.",
    ),
    "eigenvalues": Picture(
        "diagnostics/eigenvalues",
        "eigenvalues.png",
        "group",
        "Eigenvalues of each basis matrix",
        "Pairs on the vertical axis turn, values on the horizontal axis grow (right) or shrink (left), and a matrix "
        "that is not zero but whose eigenvalues all are shears. The title gives the three shares of the norm.",
    ),
    "equivariance": Picture(
        "diagnostics/equivariance",
        "equivariance_error.png",
        "symmetries",
        "Equivariance error",
        "A factor of real images is moved by an eighth of its range; a latent's group action, by one and the same t "
        "for all images, tries to do likewise. 0: it does; 1: no better than leaving the image alone. A factor with "
        "one dark cell is carried by one latent.",
    ),
    "composition": Picture(
        "symmetry/composition",
        "composition.png",
        "symmetries",
        "Two one-parameter subgroups composed",
        "The image moved by the two latents of the largest KL: one down the rows, the other along the columns. Right: "
        "what changes when they act in the other order; black where the two commute.",
    ),
    "factor_paths": Picture(
        "symmetry/factor_paths",
        "factor_paths.png",
        "symmetries",
        "Factors in latent space",
        "One image with one factor run through all its values. Above: the code of the four latents that move most. "
        "Below: the path in the plane of the two that move most, coloured from the first value (dark) to the last "
        "(bright). A factor that one latent carries is a straight line along an axis; a turn that comes back to its "
        "start is a loop.",
    ),
    "mutual_information": Picture(
        "scores/mutual_information",
        "mutual_information.png",
        "scores",
        "Mutual information of factors and latents",
        "In nats. A disentangled code has one bright cell per row, each in a column of its own.",
    ),
    "importance": Picture(
        "scores/importance",
        "importance.png",
        "scores",
        "Importance of latents for factors",
        "How much the trees of the DCI score rely on a latent when they predict a factor; every row sums to 1.",
    ),
    "traversal_animation": Picture(
        "animations/traversals",
        "traversals.gif",
        "latents",
        "Traversals, animated",
        "All latents at once, each swept from -4 to 4 and back around one image, which stands first.",
    ),
    "training_animation": Picture(
        "animations/training",
        "training.gif",
        "latents",
        "Traversals over training",
        "The traversals around one image as training went on; rows are the latents in their own order, the step "
        "stands above.",
    ),
}
