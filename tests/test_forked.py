"""What tests take for `python -m` behaves like it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.forked import Forked
from tests.living import PATIENCE

MODULE = """
import os, signal, sys
print(__name__, sys.argv[1:], os.getcwd(), os.environ.get("ROADWATCH_WHO"), os.getpid())
print("on the other one", file=sys.stderr)
if sys.argv[1] == "waits":
    signal.pause()
sys.exit(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1])
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Where it is, as `trial`."""
    (tmp_path / "trial.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize(("asked", "code"), [("0", 0), ("3", 3), ("a word", 1)])
def test_it_has_arguments_environment_and_folder_and_its_own_exit_code(asked: str, code: int, module: Path) -> None:
    run = Forked("trial", asked, cwd=module, env=os.environ | {"ROADWATCH_WHO": "me"})
    out, err = run.communicate(PATIENCE)
    assert out.decode().split("\n")[0] == f"__main__ {[asked]} {module} me {run.pid}"
    assert err.decode().startswith("on the other one\n")
    assert (run.poll(), run.returncode) == (code, code)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(how: signal.Signals, module: Path) -> None:
    run = Forked("trial", "waits", cwd=module)
    assert run.poll() is None
    run.send_signal(how)
    assert run.wait(PATIENCE) == -how
    run.send_signal(how)  # to nobody


def test_one_does_not_know_what_another_has_done(module: Path) -> None:
    """Not even a module that both import by the same name; of another size, for bytecode goes by that and by the second."""
    said = []
    for number in ("1", "22"):
        (module / "trial.py").write_text(f"import sys\nprint(getattr(sys, 'seen', 'nobody'), {number})\nsys.seen = {number}")
        said.append(Forked("trial", cwd=module).communicate(PATIENCE)[0])
    assert said == [b"nobody 1\n", b"nobody 22\n"]
