"""What isolation costs per submission: `python tests/benchmarks/sandbox.py`.

Prints medians over 30 submissions of two cells and ten calls each. Nothing is
asserted; times belong to the machine they were taken on.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from gradschool.sandbox import CellSource, Zygote

CELLS = [
    CellSource(
        0, "", "setup", "import numpy as np\nimport matplotlib.pyplot as plt\nfrom jaxtyping import Float"
    ),
    CellSource(
        1, "", "code", "def f(x: Float[np.ndarray, 'n d']):\n    return np.exp(x - x.max(-1, keepdims=True))"
    ),
]


def main() -> None:
    """Measure and print."""
    x = np.random.default_rng(0).normal(size=(64, 10))
    big = np.zeros(1 << 20)
    marks: dict[str, list[float]] = {}

    def mark(name: str, start: float) -> float:
        now = time.perf_counter()
        marks.setdefault(name, []).append((now - start) * 1000)
        return now

    start = time.perf_counter()
    with Zygote() as zygote:
        mark("warm parent, once", start)
        for _ in range(30):
            start = begin = time.perf_counter()
            worker = zygote.spawn()
            worker.load(CELLS)
            start = mark("fork, lock and load", start)
            for _ in range(10):
                worker.call("f", (x,))
            start = mark("ten calls, 5 kB each", start)
            worker.close()
            mark("end", start)
            mark("all of it", begin)
        with zygote.spawn() as worker:
            worker.load([CellSource(0, "", "code", "def f(x): return x")])
            for _ in range(5):
                start = time.perf_counter()
                worker.call("f", (big,))
                mark("one call, 8 MiB there and back", start)
    for name, values in marks.items():
        print(f"{name:32} {statistics.median(values):8.2f} ms")


if __name__ == "__main__":
    main()
