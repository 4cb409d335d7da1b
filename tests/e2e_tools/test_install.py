"""make install puts a tree down that works where it stands, and uninstall takes it away."""
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT

pytestmark = pytest.mark.skipif(not (BUILD / "inferwire-agent").exists(),
                                reason="the agent is not built")


def make(target, stage):
    done = subprocess.run(["make", "-s", target, f"BUILD={BUILD}", "PREFIX=/opt/iw", f"DESTDIR={stage}"],
                          cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_install_move_and_uninstall(tmp_path):
    stage = tmp_path / "stage"
    make("install", stage)
    tree = files(stage / "opt/iw")
    assert {"bin/inferwire", "bin/inferwire-run", "bin/inferwire-agent", "lib/libinferwire.so",
            "share/man/man1/inferwire.1", "share/man/man1/inferwire-run.1",
            "share/man/man8/inferwire-agent.8"} <= tree
    assert any(name.startswith("share/doc/inferwire/examples/") for name in tree)

    moved = tmp_path / "elsewhere"
    shutil.copytree(stage / "opt/iw", moved)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "INFERWIRE_", "LD_"))}
    done = subprocess.run([moved / "bin/inferwire", "verify"], text=True, capture_output=True,
                          timeout=20, env=env)
    assert done.returncode == 0, done.stdout
    assert f"{moved}/lib/libinferwire.so" in done.stdout
    done = subprocess.run([moved / "bin/inferwire-run", "sh", "-c", "echo $LD_PRELOAD"], text=True,
                          capture_output=True, timeout=20, env=env)
    assert done.stdout.strip() == f"{moved}/lib/libinferwire.so"

    make("uninstall", stage)
    assert files(stage / "opt/iw") == set()
