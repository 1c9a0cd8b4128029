"""Small files of each data set, in exactly the layout in which it is published, from random images."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image
from scipy.io import savemat

CARS = ["car_002_mesh", "car_001_mesh", "car_010_mesh"]  # the list's order is not that of the names
CHAIRS = ["f3", "a1"]


def noise(*shape, seed=0):
    """uint8, uniform."""
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def blocks(side: int, height: int, width: int, *shape, seed=0):
    """Noise in squares of `side` pixels, which is packed several times faster: uint8 `[height, width, *shape]`."""
    return noise(height // side, width // side, *shape, seed=seed).repeat(side, axis=0).repeat(side, axis=1)


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file in a tar."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def mat(**arrays) -> bytes:
    """A MATLAB file."""
    content = io.BytesIO()
    savemat(content, arrays, do_compression=True)
    return content.getvalue()


def cars3d(directory):
    """Three cars, in the archive in another order than in the list. Returns im by car."""
    ims = {car: blocks(4, 128, 128, 3, 24, 4, seed=number) for number, car in enumerate(CARS)}
    directory.mkdir(exist_ok=True)
    with tarfile.open(directory / "nips2015-analogy-data.tar.gz", "w:gz", compresslevel=1) as archive:
        add(archive, "data/shapes48.mat", b"not read")
        for car in sorted(CARS):
            add(archive, f"data/cars/{car}.mat", mat(im=ims[car], mask=np.zeros((128, 128, 24, 4), np.uint8)))
        add(archive, "data/cars/list.txt", "\n".join(CARS).encode())
    return ims


def norb_matrix(array: np.ndarray) -> bytes:
    """smallNORB's format."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[str(array.dtype)]
    sizes = [*array.shape, 1, 1][: max(3, array.ndim)]
    return (
        struct.pack(f"<{2 + len(sizes)}i", magic, array.ndim, *sizes)
        + array.astype(array.dtype.newbyteorder("<")).tobytes()
    )


NORB_SIZES = (2, 2, 2, 3, 2)  # category, instance of a split, elevation, azimuth, lighting


def smallnorb(directory, splits=("training", "testing"), unpacked=False):
    """Both splits, their rows mixed. Returns split -> (labels [48, 5] as read, images [48, 2, 96, 96])."""
    directory.mkdir(exist_ok=True)
    written = {}
    for number, split in enumerate(splits):
        instances = {"training": [4, 6], "testing": [0, 1]}[split]
        labels = np.stack(np.unravel_index(np.arange(48), NORB_SIZES), axis=1)
        labels = labels[np.random.RandomState(number).permutation(48)]
        images = noise(48, 2, 96, 96, seed=number)
        toys = {"training": "46789", "testing": "01235"}[split]
        stem = f"smallnorb-5x{toys}x9x18x6x2x96x96-{split}-"
        info = np.stack([np.array(instances)[labels[:, 1]], labels[:, 2], 2 * labels[:, 3], labels[:, 4]], axis=1)
        for kind, array in (("dat", images), ("cat", labels[:, 0].astype(np.int32)), ("info", info.astype(np.int32))):
            content = norb_matrix(array)
            name = f"{stem}{kind}.mat"
            if unpacked:
                (directory / name).write_bytes(content)
            else:
                (directory / f"{name}.gz").write_bytes(gzip.compress(content))
        labels[:, 1] = np.array(instances)[labels[:, 1]]
        written[split] = (labels, images)
    return written


def mpi3d(path, factors, compressed=False):
    """All combinations of the factors. Returns the images."""
    images = noise(int(np.prod(list(factors.values()))), 64, 64, 3)
    path.parent.mkdir(exist_ok=True)
    (np.savez_compressed if compressed else np.savez)(path, images=images)
    return images


def idx(array: np.ndarray) -> bytes:
    """MNIST's format."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def mnist(directory, unpacked=False):
    """Seven training digits and three for the test. Returns the images [10, 28, 28]."""
    directory.mkdir(exist_ok=True)
    images = noise(10, 28, 28)
    for split, part in (("train", images[:7]), ("t10k", images[7:])):
        name = directory / f"{split}-images-idx3-ubyte"
        name.write_bytes(idx(part)) if unpacked else name.with_suffix(".gz").write_bytes(gzip.compress(idx(part)))
    return images


def celeba(directory, count=6, unpacked=False):
    """Faces of a grey level each, and three attributes. Returns levels and attributes [n, 3]."""
    directory.mkdir(exist_ok=True)
    levels = np.arange(count) * 40
    attributes = np.where(np.random.RandomState(0).rand(count, 3) < 0.5, -1, 1)
    attributes[:2] = [[-1], [1]]
    files = {}
    for number, level in enumerate(levels):
        pixels = np.full((218, 178, 3), level, np.uint8)
        pixels[:20] = 255  # above what is kept
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG", quality=95)
        files[f"img_align_celeba/{number + 1:06d}.jpg"] = content.getvalue()
    if unpacked:
        (directory / "img_align_celeba").mkdir()
        for name, content in files.items():
            (directory / name).write_bytes(content)
    else:
        with zipfile.ZipFile(directory / "img_align_celeba.zip", "w") as archive:
            archive.writestr("img_align_celeba/", "")
            for name, content in files.items():
                archive.writestr(name, content)
    rows = [f"{n + 1:06d}.jpg " + "  ".join(map(str, row)) for n, row in enumerate(attributes)]
    text = "\n".join([str(count), "Bald Smiling Young ", *rows])
    (directory / "list_attr_celeba.txt").write_text(text + "\n")
    return levels, attributes


def chairs3d(directory):
    """Two chairs from 2 x 3 sides, stored in another order. Returns images by (chair, elevation, azimuth)."""
    directory.mkdir(exist_ok=True)
    views = [(chair, p, t) for chair in range(2) for p in (20, 30) for t in (11, 23, 348)]
    images = {view: blocks(5, 600, 600, 3, seed=number) // 2 + 100 for number, view in enumerate(views)}
    with tarfile.open(directory / "rendered_chairs.tar", "w") as archive:
        for number, view in enumerate(reversed(views)):
            chair, p, t = view
            content = io.BytesIO()
            Image.fromarray(images[view]).save(content, "PNG", compress_level=1)
            name = f"rendered_chairs/{CHAIRS[chair]}/renders/image_{number:03d}_p{p:03d}_t{t:03d}_r096.png"
            add(archive, name, content.getvalue())
        names = np.array([[chair] for chair in CHAIRS], dtype=object)
        add(archive, "rendered_chairs/all_chair_names.mat", mat(folder_names=names, instance_names=names))
    return images
