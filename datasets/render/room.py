"""The scene of 3D Shapes in numbers, fitted to 25 images of the published set by least squares."""

from __future__ import annotations

import numpy as np

from datasets.render.scene import Scene, Surface

SKY_COLOUR = np.array([153, 226, 249])
SCENE = Scene(
    focal=74.473,
    centre=(0.1313, 0.0943),
    pitch=0.1027,
    distance=6.3058,
    height=2.4316,
    back_wall=4.9033,
    side_wall=5.3744,
    wall_height=3.5143,
    lamp=(-2.4117, 0.5942, 15.3358),
    aim=(-1.9811, 0.3591),
    spot=15.607,
    cube=(0.8466, 1.7098),
    cylinder=(0.9666, 1.9368),
    sphere=1.0193,
    capsule=(0.778, 1.558),
    floor=Surface(ambient=0.3918, lamp=0.876, head=0.0),
    wall=Surface(ambient=0.3696, lamp=0.9449, head=0.5599),
    solid=Surface(ambient=0.3817, lamp=0.4232, head=0.5636),
    gloss=0.1255,
    facets=(28, 16),
)
