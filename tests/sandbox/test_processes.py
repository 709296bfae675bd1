"""Processes begin locked and end for certain, whoever ends first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradschool.errors import CallTimeout, SandboxError, WorkerDied
from gradschool.sandbox import CellSource, Limits, Zygote, capabilities, lockdown
from gradschool.sandbox.launch import spawn_locked
from gradschool.sandbox.messages import Failed
from gradschool.sandbox.process import WarmParent
from gradschool.sandbox.proof import prove
from gradschool.sandbox.wire import Channel, Protocol

CELLS = [CellSource(0, "a", "code", "import time\ndef f(): return 1\ndef sleep(): time.sleep(60)")]
ROOT = Path(__file__).resolve().parents[2]


def exists(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while exists(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not exists(pid)


def n_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.usefixtures("locked_down")
def test_every_protection_of_the_platform_holds_for_a_worker(load):
    worker = load("def f(): return 1")
    assert set(worker.protections) == set(capabilities().available)


def test_closing_a_worker_leaves_no_process_and_no_descriptor(zygote):
    with zygote.spawn() as warm:
        warm.load(CELLS)
    before = n_descriptors()
    for _ in range(5):
        with zygote.spawn() as worker:
            worker.load(CELLS)
            pid = worker.pid
            with pytest.raises(CallTimeout):
                worker.call("sleep", timeout_s=0.01)
            worker.ensure_alive()
            assert worker.call("f").value == 1
            assert worker.n_restarts == 1
        assert pid is not None
        assert not exists(pid)
    assert n_descriptors() == before


def test_closing_the_warm_parent_ends_its_children():
    zygote = Zygote(Limits(call_s=1))
    zygote.start()
    worker = zygote.spawn()
    worker.load(CELLS)
    pid = worker.pid
    assert pid is not None
    zygote.close()
    assert gone(pid)
    worker.close()


def test_a_killed_warm_parent_is_replaced():
    with Zygote(Limits(call_s=5)) as zygote, zygote.spawn() as worker:
        worker.load(CELLS)
        parent = zygote._parent
        assert parent is not None
        assert parent._process is not None
        os.kill(parent._process.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            worker.call("sleep")
        assert worker.call("f").value == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_killed_grader_leaves_nothing():
    """kill -9 in the middle of a call: warm parent and worker end too."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from gradschool.sandbox import CellSource, Zygote\n"
        "zygote = Zygote(); zygote.start(); worker = zygote.spawn()\n"
        "worker.load([CellSource(0, '', 'code', 'def f():\\n    while True: pass')])\n"
        "print(zygote._parent._process.pid, worker.pid, flush=True)\n"
        "worker.call('f', timeout_s=60)\n"
    )
    grader = subprocess.Popen([sys.executable, "-c", script, str(ROOT)], stdout=subprocess.PIPE, text=True)
    assert grader.stdout is not None
    pids = [int(word) for word in grader.stdout.readline().split()]
    assert len(pids) == 2
    assert all(exists(pid) for pid in pids)
    grader.kill()
    grader.wait()
    grader.stdout.close()
    assert all(gone(pid) for pid in pids)


def test_a_worker_started_from_a_thread_that_ended_lives_on(zygote):
    import threading

    made = []
    with Zygote() as own:
        thread = threading.Thread(target=lambda: (own.start(), made.append(own.spawn()), made[0].load(CELLS)))
        thread.start()
        thread.join()
        time.sleep(0.05)
        assert made[0].call("f").value == 1
        made[0].close()


def test_without_fork_a_fresh_process_gives_the_same(monkeypatch):
    monkeypatch.setattr(WarmParent, "possible", staticmethod(lambda: False))
    with Zygote(Limits(call_s=5)) as zygote, zygote.spawn() as worker:
        worker.load(CELLS)
        pid = worker.pid
        assert worker.call("f").value == 1
        assert set(worker.protections) == set(capabilities().available)
        with pytest.raises(CallTimeout):
            worker.call("sleep", timeout_s=0.05)
        assert worker.call("f").value == 1
        assert pid is not None
        assert not exists(pid)


def test_a_course_inside_python_s_own_folders_is_refused():
    hidden = Path(os.__file__).parent / "graders"
    with pytest.raises(SandboxError, match="must stay hidden"):
        Zygote(hidden=[hidden]).start()
    with pytest.raises(SandboxError, match="must stay hidden"):
        spawn_locked("gradschool.sandbox.worker", hidden=[hidden])


def test_a_module_that_does_not_exist_is_said_so():
    with pytest.raises(SandboxError, match="ModuleNotFoundError"):
        spawn_locked("gradschool.sandbox.nothing", profile="numpy")


def test_a_locked_process_has_a_connection_and_an_end():
    with spawn_locked("gradschool.sandbox.worker", profile="gpu") as process:
        assert process.alive
        assert set(process.protections) == set(capabilities().available)
        channel = Channel(process.stream, Protocol(Failed))
        channel.close()
    assert not process.alive
    assert gone(process.pid)


def test_a_platform_without_protections_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(lockdown.linux_seccomp, "available", lambda: False)
    here = capabilities()
    assert here.level == "none"
    assert here.missing == ("files", "network", "processes", "privileges", "memory", "lifetime")
    assert all("could" in item.sentence or "with all of your" in item.sentence for item in here.protections)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert capabilities().level == "partial"


def test_peak_memory_of_a_worker_is_known_after_it_ended(zygote):
    if not WarmParent.possible():
        pytest.skip("only a warm parent measures it")
    worker = zygote.spawn()
    worker.load([CellSource(0, "", "code", "import numpy as np\nx = np.ones(50_000_000 // 8)")])
    worker.close()
    assert worker.peak_memory_bytes > 50_000_000


def test_the_protections_hold_when_they_are_tried(zygote):
    assert prove(zygote) == ()
