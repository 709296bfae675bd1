"""Colours and fonts of what notebooks show.

JupyterLab's own variables come first, so that cards follow its light and dark themes; the
fallbacks serve VS Code, nbconvert and nbgrader's pages. Styles are inline: Lab removes style
elements from the outputs of a notebook it does not trust.
"""

from __future__ import annotations

INK = "var(--jp-content-font-color1, #1d1f24)"
QUIET = "var(--jp-content-font-color2, #5d6068)"
LINE = "var(--jp-border-color2, #d8d8d8)"
PAPER = "var(--jp-layout-color1, #ffffff)"
SOFT = "var(--jp-layout-color2, #f4f4f4)"
LINK = "var(--jp-content-link-color, #1f56b0)"
SANS = "var(--jp-content-font-family, system-ui, -apple-system, 'Segoe UI', sans-serif)"
MONO = "var(--jp-code-font-family, ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace)"

# One hue per state, readable on a light and on a dark page.
STATE_COLORS = {"full": "#2e8b57", "some": "#c08a1e", "none": "#cf4a35", "quiet": "#8a8f98"}

CODE = f"font-family:{MONO};font-size:0.92em"
