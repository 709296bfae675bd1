import hashlib

import numpy as np
import pytest

from gradschool.data import load_canvas_digits, load_digits, load_iris, split


def test_the_digits_are_8_by_8_pictures_between_0_and_1():
    x, y = load_digits()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((1797, 64), np.float64, (1797,), np.int64)
    assert (x.min(), x.max()) == (0.0, 1.0)
    assert np.array_equal(x * 16, np.round(x * 16))
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_a_canvas_holds_its_digit_unchanged_and_nothing_else():
    pictures, labels = load_digits()
    x, y = load_canvas_digits()
    assert (x.shape, x.dtype) == ((1797, 256), np.float64)
    assert np.array_equal(y, labels)
    # The same ink in the same order: only the place is new.
    for i in range(0, 1797, 31):
        canvas = x[i].reshape(16, 16)
        windows = np.lib.stride_tricks.sliding_window_view(canvas, (8, 8)).reshape(81, 64)
        assert np.any(np.all(windows == pictures[i], axis=1))
        assert canvas.sum() == pictures[i].sum()


def test_canvas_digits_are_everywhere_and_the_same_for_ever():
    x, _ = load_canvas_digits(seed=3)
    ink = (x > 0).sum(axis=0).reshape(16, 16)
    # Every place but the margins of the pictures themselves is reached.
    assert ink[1:-1, 1:-1].min() > 0
    assert hashlib.sha256((x * 16).astype(np.uint8).tobytes()).hexdigest()[:16] == "6611bb48ca4c6fcb"
    assert np.array_equal(x, load_canvas_digits(seed=3)[0])
    assert not np.array_equal(x, load_canvas_digits(seed=4)[0])


def test_the_same_digits_are_held_back_wherever_they_lie_on_the_canvas():
    _, _, plain, labels = split(*load_digits())
    for seed in (0, 1):
        _, _, x_test, y_test = split(*load_canvas_digits(seed))
        assert np.array_equal(y_test, labels)
        np.testing.assert_array_equal(x_test.sum(axis=1), plain.sum(axis=1))


def test_the_irises_are_fishers():
    x, y = load_iris()
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((150, 4), np.float64, (150,), np.int64)
    assert x[0].tolist() == [5.1, 3.5, 1.4, 0.2]
    # Flowers 35 and 38 are the two that UCI's copy has wrong.
    assert x[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert x[37].tolist() == [4.9, 3.6, 1.4, 0.1]
    assert np.bincount(y).tolist() == [50, 50, 50]


def test_each_call_returns_fresh_arrays():
    load_iris()[0][:] = 0
    assert load_iris()[0].max() > 0


def test_the_copies_equal_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not needed by the course")
    for ours, theirs in ((load_digits(), datasets.load_digits()), (load_iris(), datasets.load_iris())):
        scale = theirs.data.max() if theirs.data.max() == 16 else 1.0
        np.testing.assert_allclose(ours[0], theirs.data / scale, rtol=1e-15)
        assert np.array_equal(ours[1], theirs.target)


def test_a_split_is_the_same_for_ever_and_loses_nobody():
    x, y = load_digits()
    x_train, y_train, x_test, y_test = split(x, y)
    assert (len(y_train), len(y_test)) == (1438, 359)
    assert hashlib.sha256(y_test.astype(np.uint8).tobytes()).hexdigest()[:16] == "dbd7568812eee09c"
    together = np.concatenate([x_train, x_test])
    assert np.array_equal(np.sort(together, axis=0), np.sort(x, axis=0))
    assert np.array_equal(np.sort(np.concatenate([y_train, y_test])), np.sort(y))


def test_a_split_takes_the_same_share_of_every_class():
    x, y = load_iris()
    _, y_train, _, y_test = split(x, y, test_share=0.3)
    assert np.bincount(y_train).tolist() == [35, 35, 35]
    assert np.bincount(y_test).tolist() == [15, 15, 15]


def test_examples_keep_their_labels():
    index = np.arange(100)
    x_train, y_train, x_test, y_test = split(index[:, None], index % 7)
    assert np.array_equal(x_train[:, 0] % 7, y_train)
    assert np.array_equal(x_test[:, 0] % 7, y_test)


def test_another_seed_gives_another_split():
    x, y = load_iris()
    assert not np.array_equal(split(x, y, seed=0)[0], split(x, y, seed=1)[0])


@pytest.mark.parametrize(("n", "share"), [(149, 0.2), (150, -0.1), (150, 1.5)])
def test_a_bad_split_is_refused(n, share):
    x, y = load_iris()
    with pytest.raises(ValueError):
        split(x[:n], y, test_share=share)
