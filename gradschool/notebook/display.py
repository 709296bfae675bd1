"""Show something in a notebook as HTML, anywhere else as text."""

from __future__ import annotations

import sys
from typing import Any


def shell() -> Any:
    """Return IPython's shell if this process is a notebook's kernel, else None."""
    ipython = sys.modules.get("IPython")
    found = ipython.get_ipython() if ipython else None
    return found if getattr(found, "kernel", None) is not None else None


def show(html: str, text: str) -> None:
    """Show `html` in a notebook, `text` in a terminal and wherever HTML is not shown."""
    if shell() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/html": html, "text/plain": text}, raw=True)
