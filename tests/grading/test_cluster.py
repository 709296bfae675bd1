"""A class on a cluster: a real scheduler and worker processes on this machine, one of them killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gradschool.errors import GradschoolError, UsageError
from gradschool.grading import cluster_worker
from gradschool.grading.cluster import Cluster
from gradschool.grading.cluster_address import check_address
from gradschool.grading.cluster_messages import (
    ClusterAnswer,
    ClusterOrder,
    decode_pack,
    digest_of,
    encode_pack,
)
from gradschool.grading.cluster_worker import grade_order
from gradschool.grading.cluster_workforce import Workforce
from gradschool.grading.coordinator import ClassResult, grade_class
from gradschool.grading.local_slots import run_local
from gradschool.grading.options import GradeOptions
from gradschool.grading.records import SubmissionRecord
from gradschool.grading.results import Results
from gradschool.grading.slot_messages import SlotTask
from gradschool.grading.submission_files import read_submission
from gradschool.grading.version import exercise_versions
from gradschool.pack import Pack

OPTIONS = GradeOptions(seed=3, device="interpreter", n_slots=1)
STAGE = "00_tiny"


class Machines:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, *flags: str, protocol: str = "tcp") -> None:
        self._folder = folder
        self._flags = flags
        self._processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        self._start("scheduler", "--no-dashboard", "--protocol", protocol, "--port", "0")
        wait_until(self._file.exists)
        self.address = msgspec.json.decode(self._file.read_bytes())["address"]

    def worker(self, *more: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread."""
        return self._start("worker", "--nthreads", "1", "--no-dashboard", "--no-nanny", *more)

    def workers(self, n: int) -> list[subprocess.Popen[bytes]]:
        """Start workers."""
        return [self.worker() for _ in range(n)]

    def _start(self, kind: str, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file)]
        scratch = self._folder / f"scratch{len(self._processes)}"
        scratch.mkdir()
        with (scratch / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", *self._flags, *more],
                cwd=scratch,
                env={**os.environ, "TMPDIR": str(scratch)},
                stderr=log,
            )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End all of them, workers first."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()


def wait_until(holds: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def machines(folder: Path, *flags: str, protocol: str = "tcp") -> Iterator[Machines]:
    folder.mkdir()
    found = Machines(folder, *flags, protocol=protocol)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Three workers that live as long as these tests."""
    with machines(tmp_path_factory.mktemp("cluster") / "three") as found:
        found.workers(3)
        yield found


def students(submit, n: int) -> Path:
    first = submit("s000")
    for index in range(1, n):
        shutil.copytree(first.parent, first.parents[1] / f"s{index:03}")
    return first.parents[1]


def run(submissions: Path, pack: Pack, address: str, out: str = "results", **changes: Any) -> ClassResult:
    on_record = changes.pop("on_record", lambda record, kept: None)
    options = msgspec.structs.replace(OPTIONS, **changes)
    where = Cluster(address) if address else run_local
    return grade_class(
        submissions, submissions.parent / out, options, pack=pack, run=where, on_record=on_record
    )


def timeless(record: SubmissionRecord) -> Any:
    return msgspec.to_builtins(msgspec.structs.replace(record, seconds=0.0, graded_at=""))


def test_a_cluster_gives_the_records_that_this_machine_gives(submit, pack: Pack, three: Machines) -> None:
    submissions = submit("ada").parents[1]
    submit("bela", {"double": "def double(x):\n    return x"})
    submit("chidi", kernel="not a kernel")
    (submit("dana") / "scale_shift.wgsl").unlink()
    emil = submit("emil")
    (emil / f"{STAGE}.ipynb").unlink()
    (emil / f"{STAGE}.ipynb").symlink_to(submissions / "ada" / STAGE / f"{STAGE}.ipynb")
    here = run(submissions, pack, "", out="here")
    there = run(submissions, pack, three.address, out="there")
    assert there.failures == []
    assert [timeless(record) for record in there.records] == [timeless(record) for record in here.records]
    assert any("not a regular file" in text for text in there.records[4].problems)
    again = run(submissions, pack, three.address, out="there")
    assert (again.n_graded, again.n_kept) == (0, 5)


def test_a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing(
    submit, pack: Pack, tmp_path: Path
) -> None:
    submissions = students(submit, 30)
    seen: list[str] = []
    with machines(tmp_path / "machines") as found:
        victim, *_ = found.workers(3)
        graders: list[int] = []

        def on_record(record: SubmissionRecord, kept: bool) -> None:
            assert not kept
            seen.append(record.student)
            if len(seen) == 4:
                graders.extend(children(victim.pid))
                victim.send_signal(signal.SIGKILL)

        result = run(submissions, pack, found.address, on_record=on_record)
        assert victim.wait() == -signal.SIGKILL
    assert result.failures == []
    assert sorted(seen) == [f"s{index:03}" for index in range(30)]
    assert [record.score for record in result.records] == [8.0] * 30
    assert run(submissions, pack, "").n_kept == 30
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in graders))


def children(pid: int) -> set[int]:
    tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
    return {int(word) for path in tasks for word in path.read_text().split()}


def test_a_coordinator_that_ends_is_taken_up_where_it_was(submit, pack: Pack, three: Machines) -> None:
    submissions = students(submit, 12)
    seen: list[str] = []

    def on_record(record: SubmissionRecord, kept: bool) -> None:
        seen.append(record.student)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(submissions, pack, three.address, on_record=on_record)
    result = run(submissions, pack, three.address)
    assert (result.n_kept, result.n_graded, result.failures) == (5, 7, [])


def test_one_exercise_is_judged_again_on_a_cluster(submit, pack: Pack, three: Machines) -> None:
    submissions = students(submit, 3)
    run(submissions, pack, three.address)
    result = run(submissions, pack, three.address, exercises=("halve",), seed=8)
    assert result.n_graded == 3
    for record in result.records:
        assert [item.id for item in record.exercises if item.regraded] == ["halve"]


def test_stages_with_kernels_go_to_tagged_workers_until_there_are_none(
    submit, pack: Pack, tmp_path: Path
) -> None:
    from distributed import Client

    submissions = students(submit, 16)
    seen: list[bool] = []
    with machines(tmp_path / "machines") as found:
        tagged = found.worker("--resources", "kernels=1", "--name", "tagged")
        found.worker("--name", "plain")
        with Client(found.address, set_as_default=False) as client:
            client.wait_for_workers(2)

            def who() -> dict[str, bool]:
                """Whether each worker has graded; the text of a task is loaded where it runs."""
                code = "'gradschool.grading.cluster_worker' in __import__('sys').modules"
                names = {
                    address: worker["name"]
                    for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()
                }
                answers: Any = client.run(eval, code)
                return {names[address]: used for address, used in answers.items()}

            def on_record(record: SubmissionRecord, kept: bool) -> None:
                if not seen:
                    assert who() == {"tagged": True, "plain": False}
                    tagged.kill()
                seen.append(kept)

            result = run(submissions, pack, found.address, on_record=on_record)
            assert who() == {"plain": True}
    assert result.failures == []
    assert len(seen) == 16


@pytest.fixture
def certificates(tmp_path: Path) -> Iterator[list[str]]:
    """A certificate for this test, in Dask's configuration as a coordinator has it; flags for the others."""
    from dask import config
    from distributed import Security

    security = Security.temporary()
    texts = {
        "ca-file": security.tls_ca_file,
        "cert": security.tls_client_cert,
        "key": security.tls_client_key,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    ours = {"ca-file": "ca-file", "client.cert": "cert", "client.key": "key"}
    with config.set({f"distributed.comm.tls.{key}": str(tmp_path / name) for key, name in ours.items()}):
        yield [word for name in texts for word in (f"--tls-{name}", str(tmp_path / name))]


def test_a_cluster_is_reached_through_tls_with_dasks_own_configuration(
    submit, pack: Pack, tmp_path: Path, certificates: list[str]
) -> None:
    submissions = students(submit, 2)
    with machines(tmp_path / "machines", *certificates, protocol="tls") as found:
        found.worker()
        assert found.address.startswith("tls://")
        assert run(submissions, pack, found.address).n_graded == 2


def test_tls_without_certificates_is_said(submit, pack: Pack) -> None:
    with pytest.raises(GradschoolError, match="cannot be reached") as error:
        run(students(submit, 1), pack, "tls://127.0.0.1:1")
    assert "distributed.comm.tls" in error.value.help


@pytest.mark.parametrize("address", ["tcp://10.1.2.3:8786", "10.1.2.3:8786", "grader.example.org:8786"])
def test_a_plain_address_of_another_machine_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="plain TCP to another machine"):
        check_address(address, insecure=False)
    assert check_address(address, insecure=True).endswith(address)


@pytest.mark.parametrize("address", ["ucx://10.1.2.3:1", "inproc://10.1.2.3/1/1", "8786", "tcp://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a scheduler"):
        check_address(address, insecure=True)


def test_loopback_and_tls_are_accepted() -> None:
    for address in ("tcp://127.0.0.1:8786", "tcp://[::1]:8786", "localhost:8786", "tls://10.1.2.3:8786"):
        assert check_address(address, insecure=False).endswith(address)


def test_the_command_refuses_an_open_cluster_before_it_connects(submit, pack: Pack) -> None:
    submissions = students(submit, 1)
    command = [sys.executable, "-m", "gradschool", "grade", str(submissions), "--pack", str(pack.root)]
    command += ["--out", str(submissions.parent / "results"), "--cluster", "tcp://10.1.2.3:8786"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--insecure-cluster" in done.stderr


def test_a_missing_dask_is_said(submit, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="needs Dask") as error:
        run(students(submit, 1), pack, "tcp://127.0.0.1:1")
    assert "gradschool[cluster]" in error.value.help


def test_a_scheduler_without_workers_is_not_waited_for_for_ever(
    submit, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workforce, "WAIT_S", 0.5)
    monkeypatch.setattr(Workforce, "LOOK_EVERY_S", 0.1)
    with (
        machines(tmp_path / "machines") as found,
        pytest.raises(GradschoolError, match="no worker for"),
    ):
        run(students(submit, 1), pack, found.address)


ONE, TWO, OPEN = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://10.1.2.3:1"


def fake_client(workers: dict[str, dict[str, float]], scheduler: str = ONE) -> Any:
    found = {name: {"nthreads": 2, "resources": given} for name, given in workers.items()}
    return SimpleNamespace(scheduler_info=lambda n_workers: {"address": scheduler, "workers": found})


def test_a_worker_that_cannot_grade_gets_nothing_more_and_the_last_one_is_an_error() -> None:
    workforce = Workforce(fake_client({ONE: {}, TWO: {"GPU": 1}}), insecure=False)
    workforce.look()
    assert (workforce.n_wanted, workforce.fit_workers(), workforce.tag) == (8, None, "GPU")
    workforce.refuse(ONE, "it has gradschool 0.0")
    assert (workforce.n_wanted, workforce.fit_workers()) == (4, [TWO])
    with pytest.raises(GradschoolError, match=f"{TWO}: it has no sandbox"):
        workforce.refuse(TWO, "it has no sandbox")


@pytest.mark.parametrize(
    "client",
    [fake_client({ONE: {}, OPEN: {}}), fake_client({ONE: {}}, scheduler=OPEN)],
    ids=["worker", "scheduler"],
)
def test_a_cluster_that_listens_on_a_network_is_refused_by_its_own_address_as_well(client: Any) -> None:
    with pytest.raises(UsageError, match="plain TCP to another machine"):
        Workforce(client, insecure=False).look()
    Workforce(client, insecure=True).look()


@pytest.fixture
def order(submit, pack: Pack) -> Iterator[Callable[..., ClusterAnswer]]:
    """Have this process grade an order as a worker does."""
    folder = submit("ada")
    data = encode_pack(pack)
    files = read_submission(folder, pack.stages[0])

    def order(data: bytes = data, **changes: Any) -> ClusterAnswer:
        asked = ClusterOrder("0.1.0", digest_of(data), OPTIONS, SlotTask("", STAGE, files=files))
        asked = msgspec.structs.replace(asked, **changes)
        return msgspec.json.decode(grade_order(msgspec.json.encode(asked), data), type=ClusterAnswer)

    yield order
    cluster_worker.close()


def test_an_order_carries_no_name_and_its_record_fits_the_coordinators_graders(
    order: Callable[..., ClusterAnswer], pack: Pack
) -> None:
    record = order().record
    assert record is not None
    assert (record.student, record.score) == ("", 8)
    versions = {item.id: item.grader_version for item in record.exercises}
    assert versions == exercise_versions(pack.stages[0])


def test_a_worker_of_another_version_says_so(order: Callable[..., ClusterAnswer]) -> None:
    answer = order(package="9.9")
    assert answer.record is None
    assert "not 9.9" in answer.unfit


def test_a_course_that_is_not_the_one_that_was_sent_is_refused(order: Callable[..., ClusterAnswer]) -> None:
    assert "not the one that was sent" in order(pack="0" * 64).unfit


def test_an_archive_cannot_leave_its_folder(tmp_path: Path) -> None:
    import zlib

    data = zlib.compress(msgspec.msgpack.encode([("../outside.py", b"")]))
    with pytest.raises(GradschoolError, match="leaves its folder"):
        decode_pack(data, digest_of(data), tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_holds_what_judges_and_nothing_else(pack: Pack, tmp_path: Path) -> None:
    (pack.root / "solutions" / STAGE / "twin.py").write_text("import torch")
    data = encode_pack(pack)
    decode_pack(data, digest_of(data), tmp_path / "copy")
    names = {path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert names == {
        "lesson.py",
        "scale_shift.wgsl",
        "test_tiny.py",
        "checks.py",
        "hints.toml",
        "misconceptions.toml",
    }
    assert exercise_versions(Pack(tmp_path / "copy").stages[0]) == exercise_versions(pack.stages[0])


def test_slots_stay_warm_for_the_next_order_and_end_when_there_is_none(
    order: Callable[..., ClusterAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    order()
    first = [idle.slot for idle in cluster_worker._slots._idle]
    order()
    assert [idle.slot for idle in cluster_worker._slots._idle] == first
    other = msgspec.structs.replace(OPTIONS, seed=4)
    order(options=other)
    assert not first[0].is_alive, "a slot of an earlier run has kept its place"
    monkeypatch.setattr(cluster_worker, "IDLE_S", 0.1)
    order(options=other)
    wait_until(lambda: not cluster_worker._slots._idle)


def test_the_record_of_other_work_is_refused(
    submit, pack: Pack, three: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradschool.grading import cluster

    submissions = students(submit, 2)
    # As if the worker had judged by other graders.
    monkeypatch.setattr(cluster, "grader_version", lambda stage: "another")
    result = run(submissions, pack, three.address)
    assert [record.status for record in result.records] == ["not-graded"] * 2
    assert "other work" in result.failures[0]
    assert Results(submissions.parent / "results").read("s000", STAGE) is not None
