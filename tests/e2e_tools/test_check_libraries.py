"""inferwire check: the libraries of a program are those that the loader takes."""
import os
import subprocess

import pytest

from checking import PYTHON, READS, alter, check, compile_program, run_check


def test_extension_may_want_what_another_loads(installed, tmp_path):
    site = tmp_path / "site"
    (site / "served/deep").mkdir(parents=True)
    gone = compile_program(tmp_path / "libgone.so", "-shared", "-fPIC", code=READS)
    compile_program(site / "served/deep/_x.so", "-shared", "-fPIC", f"-L{tmp_path}", "-Wl,--no-as-needed",
                    "-lgone", code="#include <unistd.h>\nlong x(int f) { char c; return readlink(\"a\", &c, 1) + dup2(f, 99); }")
    gone.unlink()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "served").symlink_to(site / "served")
    for folder in (site, linked):
        facts = check(installed, PYTHON, "-m", "served", PYTHONPATH=f"/nowhere:{folder}")
        assert facts["python"]["path"] == str(folder / "served")
        assert [p for p in facts["libraries"] if p.endswith("served/deep/_x.so")]
        assert facts["libraries_missing"] == [] and facts["warnings"] == []


@pytest.mark.parametrize("flags,environment", [
    (["-Wl,-rpath,{0}/libs"], False),
    (["-Wl,-rpath,{0}/libs", "-Wl,--disable-new-dtags"], False),
    (["-Wl,-rpath,$ORIGIN/libs"], False),
    (["-Wl,-rpath,/nowhere:${{ORIGIN}}/libs"], False),
    ([], True),
])
def test_library_is_found_where_the_loader_finds_it(installed, tmp_path, flags, environment):
    (tmp_path / "libs").mkdir()
    deep = compile_program(tmp_path / "libs/libdeep.so", "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}/libs", "-ldeep",
                           *(f.format(tmp_path) for f in flags),
                           code="int deep(void);\nint main(void) { return deep(); }")
    more = {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}/libs"} if environment else {}
    env = {k: v for k, v in os.environ.items() if not k.startswith("LD_")} | more
    loader = subprocess.run(["ldd", path], text=True, capture_output=True, env=env).stdout
    facts = check(installed, path, **more)
    assert str(deep) in loader and str(deep) in facts["libraries"]
    assert "read" in facts["hooks"]


def test_library_that_is_missing(installed, tmp_path):
    gone = compile_program(tmp_path / "libgone.so", "-shared", "-fPIC", code=READS)
    also = compile_program(tmp_path / "libalso.so", "-shared", "-fPIC", "-Wl,--no-as-needed",
                           f"-L{tmp_path}", "-lgone", code="int also(void) { return 1; }")
    path = compile_program(tmp_path / "server", f"-L{tmp_path}", "-Wl,--no-as-needed", "-lgone", also,
                           code="int deep(void);\nint main(void) { return deep(); }")
    gone.unlink()
    facts = check(installed, path)
    assert facts["libraries_missing"] == ["libgone.so"]
    assert [w for w in facts["warnings"] if "libgone.so is not found" in w]


def test_library_of_another_machine_is_passed_by(installed, tmp_path):
    for folder in ("wrong", "right"):
        (tmp_path / folder).mkdir()
    right = compile_program(tmp_path / "right/libdeep.so", "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}/right", "-ldeep",
                           f"-Wl,-rpath,{tmp_path}/wrong:{tmp_path}/right",
                           code="int deep(void);\nint main(void) { return deep(); }")
    alter(right, tmp_path / "wrong/libdeep.so", machine=8)
    assert str(right) in check(installed, path)["libraries"]


def test_libraries_that_need_each_other(installed, tmp_path):
    one, two = tmp_path / "libone.so", tmp_path / "libtwo.so"
    compile_program(two, "-shared", "-fPIC", "-Wl,-soname,libtwo.so", code="int two(void) { return 2; }")
    compile_program(one, "-shared", "-fPIC", "-Wl,-soname,libone.so", "-Wl,--no-as-needed", two,
                    code=READS)
    compile_program(two, "-shared", "-fPIC", "-Wl,-soname,libtwo.so", "-Wl,--no-as-needed", one,
                    code="int two(void) { return 2; }")
    path = compile_program(tmp_path / "server", "-Wl,--no-as-needed", one, two,
                           f"-Wl,-rpath,{tmp_path}")
    found = check(installed, path)["libraries"]
    assert found.count(str(one)) == found.count(str(two)) == 1


def test_fifo_and_device_hold_nobody(installed, tmp_path):
    fifo = tmp_path / "libdeep.so"
    library = compile_program(fifo, "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}", "-ldeep", f"-Wl,-rpath,{tmp_path}",
                           code="int deep(void);\nint main(void) { return deep(); }")
    library.unlink()
    os.mkfifo(fifo)
    assert check(installed, path)["libraries_missing"] == ["libdeep.so"]
    fifo.unlink()
    fifo.symlink_to("/dev/zero")
    assert check(installed, path)["libraries_missing"] == ["libdeep.so"]
    os.mkfifo(tmp_path / "fifo", 0o777)
    assert run_check(installed, tmp_path / "fifo").returncode == 2
