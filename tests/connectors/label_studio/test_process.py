"""A process is ours only while its pid and its birth agree; a lock ends with its holder."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from alearn.errors import Unavailable
from alearn_connectors.label_studio.process import Process, born, detach, last_lines, locked

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)",
]


def test_a_process_is_told_from_a_later_one_with_its_pid(tmp_path: Path) -> None:
    """The same pid with another birth is a stranger, and a stranger is not ended."""
    child = detach(SLEEP, {}, tmp_path, tmp_path / "log")
    ours = Process(child.pid, born(child.pid) or "")
    Process(child.pid, "another birth").end()
    assert ours.alive()
    ours.end()
    assert not ours.alive()
    child.wait(5)


def test_a_detached_process_leads_a_group_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C in the terminal of the command that started it does not reach it, and ending it ends its children."""
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    child = detach([sys.executable, "-c", f"{code}; time.sleep(60)"], {}, tmp_path, tmp_path / "log")
    while not (children := psutil.Process(child.pid).children()):
        time.sleep(0.05)
    Process(child.pid, born(child.pid) or "").end()
    child.wait(5)
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_process_that_ignores_the_request_is_forced(tmp_path: Path) -> None:
    """SIGTERM first; SIGKILL when patience is over."""
    child = detach(STUBBORN, {}, tmp_path, tmp_path / "log")
    while "deaf" not in last_lines(tmp_path / "log"):
        time.sleep(0.05)
    Process(child.pid, born(child.pid) or "").end(patience=0.3)
    assert child.wait(5) == -9


def test_a_process_that_has_ended_has_no_birth() -> None:
    """Also while nobody has asked for its exit code yet."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    while born(child.pid) is not None:
        time.sleep(0.05)
    child.wait(5)
    assert born(child.pid) is None


def test_a_lock_is_waited_for_and_ends_with_its_holder(tmp_path: Path) -> None:
    """The holder may be killed: nothing has to be cleaned up."""
    code = (
        "import time, sys; from pathlib import Path; from alearn_connectors.label_studio.process import locked\n"
        f"with locked(Path({str(tmp_path / 'lock')!r}), print):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told: list[bool] = []
    with (
        pytest.raises(Unavailable, match="held by another process"),
        locked(tmp_path / "lock", lambda: told.append(True), 0.3),
    ):
        pytest.fail("two holders")
    holder.kill()
    holder.wait(5)
    holder.stdout.close()
    with locked(tmp_path / "lock", lambda: pytest.fail("nobody holds it")):
        assert told == [True]
