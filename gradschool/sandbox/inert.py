"""Modules that draw and animate, replaced by ones that do nothing.

A notebook imports matplotlib and widgets in its first cell. Grading looks at
functions, so plots are neither drawn nor paid for, and a plotting library that
is not installed costs nobody points.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

REPLACED = (
    *(
        "matplotlib",
        "mpl_toolkits",
        "seaborn",
        "plotly",
        "bokeh",
        "altair",
        "IPython",
        "ipywidgets",
        "anywidget",
    ),
    *("ipympl", "tqdm", "google"),
)


class Inert:
    """Takes every attribute, call, index and loop, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing; as a decorator, the function that was handed in."""
        decorates = len(args) == 1 and not kwargs and type(args[0]).__name__ == "function"
        return args[0] if decorates else Inert()

    def __getitem__(self, key: Any) -> Any:
        return Inert()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter((Inert(),))  # `line, = ax.plot(...)`

    def __len__(self) -> int:
        return 1

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def subplots(nrows: int = 1, ncols: int = 1, *, squeeze: bool = True, **_: Any) -> tuple[Any, Any]:
    """Stand-in for `plt.subplots`: a figure and as many axes as were asked for."""
    axes = np.empty((nrows, ncols), dtype=object)
    for place in np.ndindex(nrows, ncols):
        axes[place] = Inert()
    if not squeeze:
        return Inert(), axes
    return Inert(), axes.item() if axes.size == 1 else axes.squeeze()


def passing_through(iterable: Any = None, *_: Any, **__: Any) -> Any:
    """Stand-in for `tqdm`: the iterable itself."""
    return Inert() if iterable is None else iterable


def counting(n: int, *_: Any, **__: Any) -> range:
    """Stand-in for `tqdm.trange`."""
    return range(n)


_SPECIAL: dict[str, Callable[..., Any]] = {"subplots": subplots, "tqdm": passing_through, "trange": counting}


class _InertModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _SPECIAL.get(name) or Inert()


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.split(".")[0] not in REPLACED:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _InertModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install(names: Sequence[str] = ()) -> None:
    """Replace drawing modules, and what a notebook uses of this package, in this process.

    Args:
        names: Attributes of `gradschool` that become inert.
    """
    import gradschool

    sys.meta_path.insert(0, _Finder())
    gradschool.__dict__["_in_worker"] = True
    for name in names:
        setattr(gradschool, name, Inert())
