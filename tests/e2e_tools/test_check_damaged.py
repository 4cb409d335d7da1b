"""inferwire check of what is no program, or a damaged one."""
import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

from checking import SERVER, alter, compile_program, refused, run_check


def test_command_that_is_not_there(installed, tmp_path):
    done = run_check(installed, "--", "no-such-command")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "inferwire check: no-such-command: command not found\n"
    for path in (tmp_path, "/etc/passwd", "/dev/zero"):
        done = run_check(installed, "--json", path)
        assert (done.returncode, done.stdout) == (2, "") and "cannot be executed" in done.stderr


def test_cut_program(installed, tmp_path):
    whole = pathlib.Path("/usr/bin/true").read_bytes()
    path = tmp_path / "server"
    for length in [0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 200, *range(1000, len(whole), 4999)]:
        path.write_bytes(whole[:length])
        path.chmod(0o755)
        done = run_check(installed, "--json", path)
        assert done.returncode in (0, 1) and done.stderr == "", length
        assert json.loads(done.stdout)["program"]
    path.write_bytes(whole[:40])
    refused(installed, path, reason="damaged", word="damaged")


@pytest.mark.parametrize("fields", [{"shnum": 0xffff}, {"shnum": 0}, {"phnum": 0xffff}, {"shoff": 2**63},
                                    {"shoff": 0}, {"shentsize": 0}, {"shstrndx": 0xffff},
                                    {"shoff": 64, "shnum": 0}])
def test_counts_that_cannot_be(installed, tmp_path, fields):
    path = alter("/usr/bin/true", tmp_path / "server", **fields)
    done = run_check(installed, "--json", path)
    assert done.returncode in (0, 1) and done.stderr == ""
    json.loads(done.stdout)


def test_damaged_programs(installed, tmp_path):
    chance = random.Random(7)
    whole = compile_program(tmp_path / "whole", code=SERVER).read_bytes()
    path = tmp_path / "server"
    for _ in range(80):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 4, 40, 400])):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)])
        path.write_bytes(data)
        path.chmod(0o755)
        done = run_check(installed, "--json", path)
        assert done.returncode in (0, 1) and done.stderr == ""
        json.loads(done.stdout)


def test_names_that_are_no_utf8(installed, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe"
    shutil.copy("/usr/bin/true", path)
    done = subprocess.run([installed.inferwire, "check", "--json", path], capture_output=True,
                          timeout=30, env=installed.environment())
    assert json.loads(done.stdout)["program"].endswith("/??")
