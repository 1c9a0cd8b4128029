"""The scene of 3D Shapes in numbers, fitted to 25 images of the published set by least squares.

The unit of length is arbitrary. A field of view of 45 degrees, 28 x 16 polygons, and proportions (the room and the cube
are as deep as wide, the cylinder as high as wide, the capsule twice that) were taken as round values near the fit.
"""

from __future__ import annotations

import numpy as np

from datasets.render.scene import Scene

SKY_COLOUR = np.array([153, 226, 249])
SCENE = Scene(
    focal=32 / np.tan(np.deg2rad(45) / 2),
    centre=(0.0749, 0.8656),
    pitch=0.0361,
    distance=6.4,
    height=1.8933,
    wall=7.5698,
    wall_height=4.2646,
    lamp=(-3.1282, 0.9926, 16.893),
    spot=11.062,
    cube=0.8236,
    cylinder=0.942,
    sphere=0.9834,
    capsule=0.7595,
    ambient=0.3244,
    lamp_light=0.9695,
    head_light=0.6146,
    gloss=0.1212,
    facets=(28, 16),
)
