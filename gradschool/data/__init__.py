"""Small real datasets that come with the course, and a split that never changes."""

from gradschool.data.loaders import load_canvas_digits, load_digits, load_iris, split

__all__ = ["load_canvas_digits", "load_digits", "load_iris", "split"]
