"""A small ray caster for one object in a room: hit point, material and brightness of each ray.

World coordinates: the object stands at the origin, x to the right, y away from the camera at orientation 0, z up. Room,
lamp and object are fixed; the orientation rotates the camera about the z axis. The unit of length is about the radius
of the sphere at scale 1. Arrays are over the rays of one image, `[rays]` or `[rays, 3]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKY, FLOOR, WALL, OBJECT = range(4)
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
_FAR = 1e9
_NEAR = 1e-6
_LIFT = 1e-4  # height above the floor at which shadow rays start
_FLAT = 1e-9  # normals with a smaller elevation (radians) are horizontal

# Parameters of the scene, fitted to 25 official 3D Shapes images by least squares. The field of view of 45 degrees, the
# 28 x 16 polygons and the proportions (room and cube as deep as wide, cylinder as high as wide, capsule twice as high)
# are round values near the fit.
_FOCAL = 32 / np.tan(np.deg2rad(45) / 2)  # pixels
_CENTRE = (0.0749, 0.8656)  # of the picture, in pixels right of and below the image's middle
_PITCH = 0.0361  # radians that the camera looks down
_DISTANCE = 6.4  # from the camera to the z axis
_HEIGHT = 1.8933  # of the camera
_ROOM = 7.5698  # from the z axis to each wall
_WALL_HEIGHT = 4.2646
_LAMP = np.array([-3.1282, 0.9926, 16.893])  # it shines straight down and casts the shadow
_SPOT = 11.062  # exponent of the lamp's falloff with the angle from its axis
_SIZES = (  # of the objects at scale 1
    0.8236,  # cube: half the side
    0.942,  # cylinder: radius and half the height
    0.9834,  # sphere: radius
    0.7595,  # capsule: radius and half the length of the straight part
)
_AMBIENT = 0.3244  # brightness everywhere
_LAMP_LIGHT = 0.9695  # brightness added by the lamp, times the cosine of its angle and the spot's falloff
_HEAD_LIGHT = 0.6146  # brightness added by light along the camera's axis, times its cosine; without a shadow
_GLOSS = 0.1212  # white added where the lamp shines on the object
_FACETS = (28, 16)  # polygons around and from pole to pole of round bodies; gloss is shaded between


@dataclass(frozen=True)
class Hits:
    """Hits of rays: material `[rays]`, point and outward normal `[rays, 3]`."""

    material: np.ndarray
    point: np.ndarray
    normal: np.ndarray


def camera_rays(orientation: float, size: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The camera position `[3]` and the ray directions `[size * samples * size * samples, 3]`, row by row."""
    grid = (np.arange(size * samples) + 0.5) / samples - size / 2  # [size * samples]
    right, down = np.meshgrid(grid - _CENTRE[0], grid - _CENTRE[1])  # [size * samples, size * samples]
    right, up = right.ravel() / _FOCAL, -down.ravel() / _FOCAL  # [rays]
    cos, sin = np.cos(_PITCH), np.sin(_PITCH)
    ahead, up = cos + up * sin, up * cos - sin  # [rays]
    cos, sin = np.cos(orientation), np.sin(orientation)
    origin = np.array([_DISTANCE * sin, -_DISTANCE * cos, _HEIGHT])  # [3]
    return origin, np.stack([right * cos - ahead * sin, right * sin + ahead * cos, up], axis=-1)


def trace(orientation: float, shape: int, scale: float, size: int = 64, samples: int = 3) -> Hits:
    """Trace every ray of one image to its first hit."""
    origin, rays = camera_rays(orientation, size, samples)
    reach = np.where(rays[:, 2] < 0, -origin[2] / _nonzero(rays[:, 2]), _FAR)  # [rays]
    material = np.where(reach < _FAR, FLOOR, SKY)  # [rays]
    normal = np.tile([0.0, 0.0, 1.0], (len(rays), 1))  # [rays, 3]
    for axis, place in ((1, _ROOM), (0, _ROOM), (0, -_ROOM)):
        t = (place - origin[axis]) / _nonzero(rays[:, axis])  # [rays]
        side = origin[1 - axis] + t * rays[:, 1 - axis]  # [rays]
        top = origin[2] + t * rays[:, 2]  # [rays]
        met = (t > 0) & (t < reach) & (top <= _WALL_HEIGHT) & (np.abs(side) <= _ROOM)  # [rays]
        reach, material = np.where(met, t, reach), np.where(met, WALL, material)
        normal[met] = -np.sign(place) * np.eye(3)[axis]
    t, facing = hit_object(shape, scale, np.broadcast_to(origin, rays.shape), rays)
    met = t < reach  # [rays]
    reach, material = np.where(met, t, reach), np.where(met, OBJECT, material)
    normal[met] = facing[met]
    point = origin + np.where(material == SKY, 1.0, reach)[:, None] * rays  # [rays, 3]
    return Hits(material, point, normal)


def hit_object(shape: int, scale: float, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances `[rays]` to the object along rays `[rays, 3]` from origins `[rays, 3]` (1e9: no hit), and normals."""
    r = _SIZES[shape] * scale
    if shape == CUBE:
        return _box(origin, rays, np.array([-r, -r, 0.0]), np.array([r, r, 2 * r]))
    if shape == CYLINDER:
        return _nearest(_tube(origin, rays, r, 0.0, 2 * r), _disc(origin, rays, r, 2 * r))
    if shape == SPHERE:
        return _ball(origin, rays, r, r)
    return _nearest(_tube(origin, rays, r, r, 3 * r), _ball(origin, rays, r, r), _ball(origin, rays, r, 3 * r))


def brightness(hits: Hits, orientation: float, shape: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The factor to multiply the colour of the material by, and the white to add: two arrays `[rays]`."""
    to_lamp = _LAMP - hits.point  # [rays, 3]
    to_lamp /= np.linalg.norm(to_lamp, axis=1, keepdims=True)
    lit = np.maximum((hits.normal * to_lamp).sum(1), 0) * np.maximum(to_lamp[:, 2], 0) ** _SPOT  # [rays]
    ground = np.flatnonzero(hits.material == FLOOR)
    start = hits.point[ground] + [0.0, 0.0, _LIFT]  # [floor rays, 3]
    lit[ground] *= hit_object(shape, scale, start, to_lamp[ground])[0] >= _FAR
    head = np.maximum(hits.normal @ _backwards(orientation), 0)  # [rays]
    white = np.zeros(len(lit))  # [rays]
    solid = hits.material == OBJECT
    white[solid] = _GLOSS * gloss(shape, hits.normal[solid], to_lamp[solid])
    return _AMBIENT + _LAMP_LIGHT * lit + _HEAD_LIGHT * head, white


def _backwards(orientation: float) -> np.ndarray:
    """The direction opposite to the view of the camera: `[3]`."""
    flat = np.cos(_PITCH)
    return np.array([np.sin(orientation) * flat, -np.cos(orientation) * flat, np.sin(_PITCH)])


def gloss(shape: int, normal: np.ndarray, to_lamp: np.ndarray) -> np.ndarray:
    """The share of the gloss of the object, 0 to 1, for normals and directions to the lamp `[rays, 3]`.

    A corner of a polygon is glossy if the lamp is in front of it; between corners, gloss is interpolated. In the
    official images, too, the edge of the gloss on round bodies follows the polygons.
    """
    if shape == CUBE:
        return ((normal * to_lamp).sum(1) > 0).astype(float)
    around, poles = 2 * np.pi / _FACETS[0], np.pi / _FACETS[1]
    azimuth = np.arctan2(normal[:, 1], normal[:, 0]) / around  # [rays]
    rise = np.arcsin(np.clip(normal[:, 2], -1, 1))  # [rays]
    if shape == CYLINDER:
        rows = [(rise, 1.0)]
    else:
        # The straight part of a capsule has no corners between its ends.
        low = np.where(np.abs(rise) < _FLAT, 0.0, np.floor(rise / poles) * poles)  # [rays]
        high = np.where(np.abs(rise) < _FLAT, 0.0, low + poles)  # [rays]
        share = (rise - low) / poles  # [rays]
        rows = [(low, 1 - share), (high, share)]
    left = np.floor(azimuth)  # [rays]
    seen = np.zeros(len(normal))  # [rays]
    for column, across in ((left, left + 1 - azimuth), (left + 1, azimuth - left)):
        x, y = np.cos(column * around), np.sin(column * around)  # [rays], [rays]
        for angle, along in rows:
            corner = np.stack([x * np.cos(angle), y * np.cos(angle), np.sin(angle)], axis=-1)  # [rays, 3]
            seen += across * along * ((corner * to_lamp).sum(1) > 0)
    return seen


def _nonzero(values: np.ndarray) -> np.ndarray:
    """The values, with small ones replaced by 1e-9 to avoid overflow in divisions."""
    return np.where(np.abs(values) < 1e-9, 1e-9, values)


def _nearest(*hits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    distances = np.stack([distance for distance, _ in hits])  # [parts, rays]
    first = distances.argmin(0)  # [rays]
    rays = np.arange(len(first))
    return distances[first, rays], np.stack([normal for _, normal in hits])[first, rays]


def _roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The smaller root t of a t^2 + 2 b t + c, or 1e9 if there is none or it is not positive: `[rays]`."""
    under = b * b - a * c  # [rays]
    t = (-b - np.sqrt(np.maximum(under, 0))) / a  # [rays]
    return np.where((under >= 0) & (t > _NEAR), t, _FAR)


def _tube(origin, rays, radius, bottom, top):
    """The side of an upright cylinder about the z axis."""
    flat, start = rays[:, :2], origin[:, :2]  # [rays, 2]
    t = _roots(_nonzero((flat**2).sum(1)), (start * flat).sum(1), (start**2).sum(1) - radius**2)
    z = origin[:, 2] + t * rays[:, 2]  # [rays]
    t = np.where((z >= bottom) & (z <= top), t, _FAR)
    normal = np.zeros_like(rays)  # [rays, 3]
    met = t < _FAR
    normal[met, :2] = (start[met] + t[met, None] * flat[met]) / radius
    return t, normal


def _disc(origin, rays, radius, height):
    """The flat top of a cylinder."""
    t = (height - origin[:, 2]) / _nonzero(rays[:, 2])  # [rays]
    place = origin[:, :2] + t[:, None] * rays[:, :2]  # [rays, 2]
    t = np.where((t > _NEAR) & ((place**2).sum(1) <= radius**2), t, _FAR)
    return t, np.tile([0.0, 0.0, 1.0], (len(rays), 1))


def _ball(origin, rays, radius, height):
    """A sphere whose centre is on the z axis."""
    start = origin - [0.0, 0.0, height]  # [rays, 3]
    t = _roots((rays**2).sum(1), (start * rays).sum(1), (start**2).sum(1) - radius**2)
    normal = np.tile([0.0, 0.0, 1.0], (len(rays), 1))  # [rays, 3]
    met = t < _FAR
    normal[met] = (start[met] + t[met, None] * rays[met]) / radius
    return t, normal


def _box(origin, rays, low, high):
    """A box along the axes, by its three slabs."""
    one, other = (low - origin) / _nonzero(rays), (high - origin) / _nonzero(rays)  # [rays, 3]
    enter, leave = np.minimum(one, other), np.maximum(one, other)  # [rays, 3]
    axis = enter.argmax(1)  # [rays]
    t = enter.max(1)  # [rays]
    met = (t <= leave.min(1)) & (leave.min(1) > _NEAR)  # [rays]
    normal = -np.sign(rays) * np.eye(3)[axis]  # [rays, 3]
    return np.where(met, np.maximum(t, _NEAR), _FAR), normal
