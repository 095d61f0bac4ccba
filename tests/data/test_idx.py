"""Images and labels from idx files: every pixel in its place, every fault named."""

import gzip
import struct

import numpy as np
import pytest

from realdata import real
from unroll.data.examples.idx import is_idx, read_idx, read_pixels
from unroll.errors import DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(values, kind=0x08):
    """An idx file, written after its definition."""
    values = np.asarray(values)
    head = struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape)
    return head + values.tobytes()


def write(folder, images, labels=None, *, packed=False):
    for name, values in ((IMAGES, images), (LABELS, labels)):
        if values is not None:
            data = idx(np.asarray(values, np.uint8))
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data) if packed else data)
    return folder / (f"{IMAGES}.gz" if packed else IMAGES)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("train-images-idx3-ubyte.gz", True), ("t10k-labels-idx1-ubyte", True), ("train-images.idx3-ubyte", True),
        ("x.idx", True), ("x.idx3", True), ("emnist-letters-test-images-idx3-ubyte.GZ", True), ("x.csv", False),
        ("idx.csv", False), ("a-idx3-ubyte.csv", False), ("x.gz", False), ("midx", False),
    ],
)  # fmt: skip
def test_names_of_idx_files_are_known(tmp_path, name, found):
    assert is_idx(tmp_path / name) is found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 5), (1, 1, 1), (4, 3), (2, 2, 2, 3)])
def test_every_pixel_is_read_in_its_place(tmp_path, shape, packed):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=shape)
    labels = rng.integers(0, 256, size=shape[0])
    path = write(tmp_path, images, labels, packed=packed)
    assert np.array_equal(read_idx(path), images)
    found = read_pixels(path)
    assert found.labels == tuple(map(str, labels))
    assert found.scaled
    for k, sequence in enumerate(found.sequences):
        assert sequence.shape == (images[k].size, 1)
        np.testing.assert_allclose(sequence[:, 0], images[k].reshape(-1) / 255, rtol=1e-6)
        assert found.where[k] == f"image {k + 1} of {path.name}"


def test_packed_or_not_is_the_same_data(tmp_path):
    prints = set()
    for packed in (False, True):
        folder = tmp_path / str(packed)
        folder.mkdir()
        prints.add(read_pixels(write(folder, np.ones((2, 2, 2)), [0, 1], packed=packed)).fingerprint)
    assert len(prints) == 1
    other = write(tmp_path, np.ones((2, 2, 2)), [1, 1])
    assert read_pixels(other).fingerprint not in prints


def test_new_images_need_no_labels(tmp_path):
    path = write(tmp_path, np.zeros((3, 2, 2)))
    assert read_pixels(path, labels=False).labels == (None, None, None)
    with pytest.raises(DataError, match=rf"no labels for {IMAGES}\nexpected {LABELS} beside it"):
        read_pixels(path)
    (tmp_path / "x.idx").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="images in the name of its file"):
        read_pixels(tmp_path / "x.idx")


WHOLE = idx(np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: 0 bytes"),
        (b"\x89PNG....", r"begins with 89 50 4e 47(.|\n)*magic number of an idx file: 00 00 08"),
        (b"\0\0\x07\1" + b"0" * 20, "begins with 00 00 07 01"),
        (b"\0\0\x08\0", "begins with 00 00 08 00"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (idx(np.zeros((2, 3, 3), ">f4"), 0x0D), r"holds floats \(type 0d\)(.|\n)*unsigned bytes"),
        (WHOLE[:9], "is cut in its header: 9 bytes(.|\n)*16 bytes for 3 dimensions"),
        (WHOLE[:-1], r"is cut short: 17 bytes after its header\nexpected 18 for 2 x 3 x 3"),
        (WHOLE + b"0", "goes on after its values: 19 bytes"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "is not a whole gzip file"),
        (idx(np.zeros(4, np.uint8)), "has one dimension, as labels have"),
        (idx(np.zeros((0, 3, 3), np.uint8)), "has no pixels: 0 x 3 x 3"),
        (idx(np.zeros((3, 0, 3), np.uint8)), "has no pixels: 3 x 0 x 3"),
    ],
)
def test_faults_are_named(tmp_path, content, message):
    (tmp_path / IMAGES).write_bytes(content)
    with pytest.raises(DataError, match=f"{IMAGES} {message}"):
        read_pixels(tmp_path / IMAGES, labels=False)


def test_labels_that_do_not_fit_are_named(tmp_path):
    path = write(tmp_path, np.zeros((3, 2, 2)), [1, 2])
    with pytest.raises(DataError, match=rf"{LABELS} has 2 labels\nexpected 3, one per image of {IMAGES}"):
        read_pixels(path)
    (tmp_path / LABELS).write_bytes(idx(np.zeros((3, 1), np.uint8)))
    with pytest.raises(DataError, match="has 2 dimensions"):
        read_pixels(path)


def test_the_real_digits():
    """The counts of LeCun & Cortes' own page, and the mean that every recipe for this set standardises with."""
    images = real("mnist/t10k-images-idx3-ubyte.gz")
    found = read_pixels(images)
    assert len(found) == 10_000
    assert {s.shape for s in found.sequences} == {(784, 1)}
    assert [found.labels.count(str(k)) for k in range(10)] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train = read_idx(real("mnist/train-images-idx3-ubyte.gz"))
    assert train.shape == (60_000, 28, 28)
    assert abs(train.mean() / 255 - 0.1307) < 5e-5
