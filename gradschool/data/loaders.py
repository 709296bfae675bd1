"""Load the course's datasets from the package: no download, no pickle, the same bytes everywhere."""

from __future__ import annotations

from importlib.resources import files

import numpy as np


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1,797 handwritten digits, 8 by 8 pixels each.

    Returns:
        x: float64 (1797, 64), ink from 0 to 1 in steps of 1/16; `x[i].reshape(8, 8)` is a picture.
        y: int64 (1797,), the digit that was meant, 0 to 9.

    Source:
        E. Alpaydin & C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine
        Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0. These are its
        1,797 test images, written by 13 people, as scikit-learn (BSD-3-Clause) distributes them.
    """
    data = _load("digits.npz")
    return data["pixels"] / 16.0, data["labels"].astype(np.int64)


def load_canvas_digits(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of `load_digits`, each at a random place on a canvas of 16 by 16 pixels.

    There are 9 by 9 = 81 places. Every seed puts each digit at another one of them and keeps the
    order of the digits, so `split` holds back the same digits whatever the seed. That is how more
    than one place of a digit can be had: join the training parts of several seeds.

    Args:
        seed: Another seed gives other places; the same seed the same ones on every machine.

    Returns:
        x: float64 (1797, 256), ink from 0 to 1; `x[i].reshape(16, 16)` is a picture, and
            `x.reshape(-1, 1, 16, 16)` is the whole set as images (n, c, h, w).
        y: int64 (1797,), the digit that was meant, 0 to 9.

    Source:
        The pictures are those of `load_digits`.
    """
    pictures, y = load_digits()
    # Raw bits are promised for ever, what a Generator makes of them is not; 2**64 hardly favours any place.
    place = (np.random.PCG64(seed).random_raw(len(y)) % np.uint64(81)).astype(np.int64)
    rows = place[:, None] // 9 + np.arange(8)
    columns = place[:, None] % 9 + np.arange(8)
    canvas = np.zeros((len(y), 16, 16))
    canvas[np.arange(len(y))[:, None, None], rows[:, :, None], columns[:, None, :]] = pictures.reshape(
        -1, 8, 8
    )
    return canvas.reshape(-1, 256), y


def load_iris() -> tuple[np.ndarray, np.ndarray]:
    """Return Fisher's 150 iris flowers, 50 of each of three species.

    Returns:
        x: float64 (150, 4), sepal length, sepal width, petal length, petal width, in centimetres.
        y: int64 (150,), 0 setosa, 1 versicolor, 2 virginica.

    Source:
        R. A. Fisher 1936, "The use of multiple measurements in taxonomic problems"; UCI Machine
        Learning Repository, https://doi.org/10.24432/C56C76, licence CC BY 4.0. These are the
        numbers of Fisher's paper as scikit-learn (BSD-3-Clause) distributes them; two flowers
        differ in UCI's own copy.
    """
    data = _load("iris.npz")
    return data["millimetres"] / 10.0, data["labels"].astype(np.int64)


def split(
    x: np.ndarray, y: np.ndarray, test_share: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shuffle examples and hold some back for testing: the same ones on every machine.

    Each class gives the same share of its examples to the test set.

    Args:
        x: Examples along the first axis.
        y: Integer labels, one per example.
        test_share: Share of each class to hold back, between 0 and 1.
        seed: Another seed gives another split.

    Returns:
        x_train, y_train, x_test, y_test.

    Raises:
        ValueError: `x` and `y` differ in length, or `test_share` is not between 0 and 1.
    """
    if len(x) != len(y):
        raise ValueError(f"There are {len(x)} examples and {len(y)} labels; each example needs one.")
    if not 0 <= test_share <= 1:
        raise ValueError(f"test_share is {test_share}; it must lie between 0 and 1.")
    # NumPy promises the raw bits of PCG64 for ever; the shuffling of a Generator may change.
    order = np.argsort(np.random.PCG64(seed).random_raw(len(y)), kind="stable")
    is_test = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = order[y[order] == label]
        is_test[members[: round(test_share * len(members))]] = True
    train, test = order[~is_test[order]], order[is_test[order]]
    return x[train], y[train], x[test], y[test]


def _load(name: str) -> dict[str, np.ndarray]:
    with (
        files("gradschool.data").joinpath(name).open("rb") as file,
        np.load(file, allow_pickle=False) as data,
    ):
        return dict(data)
