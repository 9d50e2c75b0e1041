"""./run as a person uses it: help, a second start, Ctrl-C, kill -9; no child is ever left."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from desk import BUILD, TOP, wait_until


def run(*arguments, **more):
    """./run with programs that are built already."""
    return subprocess.Popen([TOP / "run", "--yes", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, cwd=TOP, start_new_session=True,
                            env={**os.environ, "DESG_BUILD": str(BUILD), "PYTHONUNBUFFERED": "1"}, **more)


def processes_of(state):
    """Ids of processes whose command line names the state directory."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(state).encode() in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                pass
    return found


@pytest.fixture
def started(state):
    """./run --no-sample, up. Ended by the story, or here."""
    began = time.time()
    process = run("--no-sample", "--state", str(state / "var"))
    process.began = began
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "desg command" in line or "idle" in line:
            break
    process.lines = "".join(lines)
    assert process.poll() is None, process.lines
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(60)
    process.stdout.close()


def children_of(state):
    """Every process of this ./run: those that name its directory, and Redis, whose title does not."""
    ids = processes_of(state)
    sessions = {os.getsid(pid) for pid in ids}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent in ids or int(entry.name) in sessions:
                    ids.add(int(entry.name))
            except (OSError, IndexError):
                pass
    return ids


def is_gone(pid):
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_help_version_and_bad_arguments():
    done = run("--help")
    out, _ = done.communicate(timeout=90)
    assert done.returncode == 0 and out.startswith("Usage: ./run")
    done = run("--version")
    assert re.fullmatch(r"desg \d+\.\d+\.\d+\n", done.communicate(timeout=90)[0]) and done.returncode == 0
    for wrong in (["--nonsense"], ["--minutes", "0"], ["--minutes", "x"], ["--once", "--no-sample"]):
        done = run(*wrong)
        out, _ = done.communicate(timeout=90)
        assert done.returncode == 64 and "see ./run --help" in out, (wrong, out)


def play_once(state):
    """The ledger of a day that ended well; else all that was said of it."""
    done = run("--once", "--state", str(state / "var"))
    out, _ = done.communicate(timeout=240)
    said = "\n".join(line for line in out.splitlines() if not line.startswith("playing"))
    assert done.returncode == 0, f"ended with {done.returncode}:\n{said}"
    return json.loads(out.splitlines()[-1])


def test_once_prints_a_clean_ledger_on_its_last_line(state):
    ledger = play_once(state)
    assert ledger["missing"] == 0 and ledger["accepted"] == ledger["events"] > 400
    assert ledger["replies_sent"] >= 50 and ledger["broadcasts_published"] == 3 and ledger["posted_twice"] == 0
    assert ledger["urgent"] == ledger["alerts_accepted"] > 50
    assert not processes_of(state)


def test_a_day_on_a_state_that_has_played_one_is_answered_as_the_first_was(state):
    """Its messages lie between those of the first by the platforms' clocks: what comes last is not what is newest to read."""
    for day in ("first", "second"):
        ledger = play_once(state)
        assert ledger["replies_sent"] + ledger["replies_stale"] >= 60 and ledger["replies_stale"] < 10, (day, ledger)


def test_a_second_start_is_refused_and_disturbs_nothing(started, state):
    done = run("--no-sample", "--state", str(state / "var"))
    out, _ = done.communicate(timeout=90)
    assert done.returncode == 75, out
    assert f"already running as process {started.pid}" in out and "--state" in out
    assert started.poll() is None
    config = state / "var" / "desg.yaml"
    status = subprocess.run([BUILD / "bin" / "desg", "--config", config, "status"], capture_output=True, text=True, timeout=60,
                            check=False)
    assert status.returncode == 0, status.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_cleanly_without_a_child_left(started, state, number):
    children = children_of(state)
    assert len(children) >= 8, "redis, dispatch, notify, route, ingest, two of classify, and ./run"
    os.killpg(started.pid, number) if number == signal.SIGINT else started.send_signal(number)
    out, _ = started.communicate(timeout=90)
    assert started.returncode == 0, out
    assert "Stopping" in out and "state is kept" in out
    assert all(is_gone(pid) for pid in children)
    for log in (state / "var" / "log").glob("*.log"):
        text = log.read_text("utf-8", "replace")
        assert "drain_cut_short" not in text, log.name
        if log.stem not in ("redis", "dispatch", "outlets"):
            assert "stopped" in text, f"{log.name} ended without a word"


def test_killed_itself_no_child_is_left(started, state):
    children = children_of(state) - {started.pid}
    started.kill()
    wait_until(lambda: all(is_gone(pid) for pid in children), 60, "children gone")
    assert not processes_of(state)
    again = run("--no-sample", "--state", str(state / "var"))  # and nothing stands in the way of the next
    for line in again.stdout:
        if "idle" in line or "desg command" in line:
            break
    assert again.poll() is None
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=90)
    assert again.returncode == 0


def test_the_kept_state_is_its_owners_alone(started, state):
    for path in (state / "var").rglob("*"):
        if path.is_file() and path.parts[-2] in ("secrets", "ingest-1", "notify"):
            assert path.stat().st_mode & 0o077 == 0, path
    assert (state / "var" / "desg.yaml").stat().st_mtime >= started.began - 1, "written at this start"


def test_the_examples_of_the_readme_work_as_written(started, state):
    blocks = re.findall(r"```sh\n(.*?)```", (TOP / "README.md").read_text("utf-8"), re.DOTALL)
    script, = [block for block in blocks if "var/env" in block]
    # The story's own directory instead of var/; the queue is asked for what was just posted, so it has to be there.
    script = script.replace(". var/env", f". {state}/var/env")
    before, after = script.split("desg queue ", 1)
    wait = "for i in $(seq 600); do [ \"$(desg queue --json | grep -o '\"depth\":[1-9]' | wc -l)\" -ge 2 ] && break; sleep 0.1; done\n"
    for answers in (2, 2):  # the second time changes nothing
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", before + wait], capture_output=True, text=True, timeout=120,
                              cwd=TOP, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("200 OK") == answers, done.stdout
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", f". {state}/var/env\ndesg queue {after}"], capture_output=True,
                          text=True, timeout=60, cwd=TOP, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "urgent" in done.stdout and "cymraeg" in done.stdout and "Claimed" in done.stdout
    depths = dict(re.findall(r"^(\S+) +(\d+)", done.stdout.partition("CONVERSATION")[0], re.MULTILINE))
    assert depths["urgent"] == depths["cymraeg"] == "1", done.stdout
