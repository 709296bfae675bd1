"""Masks of active lanes: None is all lanes, False is none, otherwise a boolean array that is never changed."""

from __future__ import annotations

import numpy as np

count = np.count_nonzero


class Masks:
    """Mask arithmetic for a fixed number of lanes."""

    lanes: int

    def keep(self, m, c):
        """Lanes of `m` where the condition holds."""
        if c.ndim == 0 or c.shape[0] == 1:
            return m if c else False
        if m is None:
            n = count(c)
            return None if n == self.lanes else (c if n else False)
        t = m & c
        n = count(t)
        if n == 0:
            return False
        return m if n == count(m) else t

    def split(self, m, c):
        """Lanes of `m` where the condition holds, and those where it does not."""
        if c.ndim == 0 or c.shape[0] == 1:
            return (m, False) if c else (False, m)
        if m is None:
            n = count(c)
            if n == self.lanes:
                return None, False
            return (c, ~c) if n else (False, None)
        t = m & c
        n = count(t)
        if n == 0:
            return False, m
        return (m, False) if n == count(m) else (t, m & ~c)

    def union(self, a, b):
        """Lanes in either mask."""
        if a is False or b is None:
            return b
        if b is False or a is None or a is b:
            return a
        u = a | b
        return None if count(u) == self.lanes else u

    def merge(self, whole, a, b):
        """Lanes in either of two parts of `whole`; `whole` itself if that is all of it."""
        u = self.union(a, b)
        if u is False or u is None or u is whole or whole is None:
            return u
        return whole if count(u) == count(whole) else u

    def minus(self, m, gone):
        """Lanes of `m` that are not in `gone`."""
        if gone is False:
            return m
        if gone is None:
            return False
        left = ~gone if m is None else m & ~gone
        n = count(left)
        if n == 0:
            return False
        return m if m is not None and n == count(m) else left
