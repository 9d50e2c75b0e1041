"""run_local - what ./run starts once everything is built: the suite, the sample day, the live table, the ledger."""
import argparse
import json
import os
import pathlib
import secrets
import signal
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "simulators")]
import day_out  # noqa: E402
import ledger  # noqa: E402
import outward  # noqa: E402
import platforms  # noqa: E402
import suite as suite_module  # noqa: E402

DAY = suite_module.SIMULATORS / "sample_day" / "day.jsonl"
EXIT_FAILED, EXIT_USAGE, EXIT_BUSY = 1, 64, 75


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


def parse(argv):
    parser = argparse.ArgumentParser(prog="./run", add_help=False)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true")
    mode.add_argument("--no-sample", action="store_true")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--state", default=str(suite_module.TOP / "var"))
    parser.add_argument("--seed", type=int, default=1)
    parser.error = lambda message: (print(f"./run: {message}: see ./run --help", file=sys.stderr), sys.exit(EXIT_USAGE))
    arguments = parser.parse_args(argv)
    if not 0 < arguments.minutes <= 1440:
        parser.error("--minutes takes more than 0, up to 1440")
    return arguments


def make_player(desk):
    names = [desk.ingest_name(n) for n in range(1, desk.ingests + 1)]
    return platforms.Player([("127.0.0.1", desk.ports[name]) for name in names],
                            platforms.secrets_from(desk.state / "secrets"))


def make_plan(seed):
    start_ms = int(time.time() * 1000) - 86400000
    return platforms.Planner(platforms.load_day(DAY), seed, secrets.token_hex(4), start_ms).deliveries()


def say_where(desk):
    def shown(path):
        return os.path.relpath(path)
    port = desk.ports["ingest-1"]
    print("\nThe desk is up:")
    print(f"  webhooks          http://127.0.0.1:{port}/hooks/facebook, /hooks/instagram, /hooks/whatsapp, /hooks/x, /v1/intake/web")
    print(f"  secrets           {shown(desk.state / 'secrets')}/ (meta-app, x-consumer, web-form, meta-verify-token)")
    print(f"  configuration     {shown(desk.config_path())}")
    print(f"  logs              {shown(desk.state / 'log')}/")
    print(f"  dispatch          http://127.0.0.1:{desk.ports['dispatch']}/ledger")
    print(f"  platforms         http://127.0.0.1:{desk.ports['outlets']}/ledger, what the public reads: "
          f"http://127.0.0.1:{desk.ports['feed']}/")
    print(f"  desk API          curl --unix-socket {desk.run_directory}/desk.api -H \"Authorization: Bearer "
          f"$(cat {shown(desk.token_path('control-room'))})\" http://desk/v1/queues")
    print(f"  desg command      in another shell: . {shown(desk.state / 'env')} && desg status")
    print(f"  for broadcasts    desg broadcast … --agent {day_out.WRITER} writes and publishes, --agent {day_out.APPROVER} approves\n",
          flush=True)


def progress_line(done, total):
    if not sys.stdout.isatty():
        if done == total or done % max(total // 10, 1) == 0:
            print(f"playing the sample day: {done}/{total} deliveries", flush=True)
        return
    width = 30
    filled = width * done // max(total, 1)
    sys.stdout.write(f"\rplaying the sample day [{'#' * filled}{'.' * (width - filled)}] {done}/{total} deliveries ")
    if done == total:
        sys.stdout.write("\n")
    sys.stdout.flush()


class Table:
    """Processes, queues and alerts, drawn in place on a terminal, as a line every few seconds elsewhere."""

    def __init__(self, desk):
        self.desk = desk
        self.is_terminal = sys.stdout.isatty()
        self.drawn = 0
        self.next_line = 0.0

    def rows(self, status, headline):
        yield headline
        yield f"{'PROCESS':<14}{'STATE':<10}{'PID':>8}{'MEMORY':>10}{'BACKLOG':>9}  NOTE"
        states = {process["name"]: process for process in status.get("processes", [])}
        for name, process in self.desk.processes.items():
            told = states.get(name, {})
            state = told.get("state", "running") if process.is_alive() else "ended"
            yield (f"{name:<14}{state:<10}{process.pid or '-':>8}{process.memory_kib() / 1024:>8.1f} M"
                   f"{told.get('backlog', ''):>9}  {told.get('note', '')}")
        yield ""
        yield f"{'QUEUE':<16}{'WAITING':>8}{'OLDEST':>9}{'CLAIMED':>9}"
        for queue in status.get("queues", []):
            yield f"{queue['name']:<16}{queue['depth']:>8}{queue['oldest_waiting_ms'] / 1000:>8.0f}s{queue['claimed']:>9}"
        alerts = states.get("notify", {}).get("detail", {})
        yield ""
        yield (f"ALERTS          {alerts.get('alerts_open', '-')} open, {alerts.get('alerts_unaccepted', '-')} not accepted by "
               f"dispatch, {alerts.get('alerts_unacknowledged', '-')} not acknowledged")

    def draw(self, headline):
        out = self.desk.desg("status", "--json")
        status = json.loads(out.stdout) if out.stdout.strip() else {}
        if not self.is_terminal:
            if time.monotonic() >= self.next_line:
                self.next_line = time.monotonic() + 5
                depths = ", ".join(f"{q['name']} {q['depth']}" for q in status.get("queues", []))
                print(f"{headline}; queues: {depths or 'empty'}", flush=True)
            return
        lines = list(self.rows(status, headline))
        sys.stdout.write(f"\033[{self.drawn}A" if self.drawn else "")
        sys.stdout.write("".join(f"\033[K{line}\n" for line in lines))
        sys.stdout.write("\033[J")
        sys.stdout.flush()
        self.drawn = len(lines)


def play_once(desk, seed):
    player = make_player(desk)
    plan = make_plan(seed)
    before = len(desk.outlets.entries(operation=""))  # days played earlier with this state said the same words
    day = day_out.Day(desk).start()
    player.play(plan, progress=progress_line)
    print("agents answer, broadcasts go out; waiting until everything has settled …", flush=True)
    day.finish()
    settled = ledger.wait_settled(desk, 90, lambda desk: ledger.is_settled(desk) and day.is_settled())
    taken = desk.outlets.entries(operation="")[before:]
    book = {**ledger.balance(desk, player), **day.balance(), "posted_twice": outward.posted_twice(taken)}
    book["faults"] = book["faults"] + day.faults
    for name in ("missing_events", "doubled_events", "urgent_not_accepted", "posted_twice", "faults"):
        details = book.pop(name)
        for detail in details[:20]:
            print(f"{name}: {detail}")
        book[name] = len(details)
    if not settled:
        print("did not settle within 90 s")
    desk.stop()
    shown = ("accepted", "events", "queued", "urgent", "alerts_accepted", "duplicates_collapsed", "quarantined", "missing",
             "replies_asked", "replies_sent", "replies_stale", "replies_refused", "broadcasts_published", "posted_twice", "faults")
    print(json.dumps({key: book[key] for key in shown}), flush=True)
    is_whole = book["replies_sent"] + book["replies_stale"] == book["replies_asked"] and book["replies_sent"] > 0 and book["broadcasts_published"] == 3
    is_good = settled and is_whole and not any(book[key] for key in ("missing", "urgent_not_accepted", "posted_twice", "faults"))
    return 0 if is_good else EXIT_FAILED


def play_paced(desk, seed, minutes):
    player = make_player(desk)
    plan = make_plan(seed)
    state = {"done": 0}
    thread = threading.Thread(target=player.play, args=(plan, minutes * 60, lambda n, _: state.update(done=n)), daemon=True)
    table = Table(desk)
    thread.start()
    day = day_out.Day(desk, pause_s=minutes * len(day_out.AGENTS)).start()
    try:
        while True:
            ended = [name for name, process in desk.processes.items() if not process.is_alive()]
            if ended:
                print(f"ended by itself: {', '.join(ended)}; see {desk.state / 'log'}")
                return EXIT_FAILED
            playing = f"{state['done']}/{len(plan)} deliveries" if thread.is_alive() else "day played; Ctrl-C stops"
            table.draw(f"{time.strftime('%H:%M:%S')}  {playing}, {len(player.accepted)} events accepted, "
                       f"{player.forged_refused} forged refused, {len(day.items)} replies, {len(day.broadcasts)} broadcasts")
            time.sleep(1)
    finally:
        day.is_over.set()
        player.is_stopping = True


def idle(desk):
    table = Table(desk)
    while True:
        ended = [name for name, process in desk.processes.items() if not process.is_alive()]
        if ended:
            print(f"ended by itself: {', '.join(ended)}; see {desk.state / 'log'}")
            return EXIT_FAILED
        table.draw(f"{time.strftime('%H:%M:%S')}  idle, waiting for webhooks; Ctrl-C stops")
        time.sleep(1)


def stop_on_signals():
    def on_signal(_number, _frame):
        raise Stopped
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def main(argv):
    arguments = parse(argv)
    stop_on_signals()
    build = os.environ.get("DESG_BUILD") or suite_module.TOP / "build" / "dev"
    desk = suite_module.Suite(arguments.state, build=build, is_outward=True)
    code = 0
    try:
        print("Starting …", flush=True)
        desk.start()
        if arguments.once:
            code = play_once(desk, arguments.seed)
        else:
            for name in (day_out.WRITER, day_out.APPROVER):
                desk.admit(name, day_out.COMMS)
            say_where(desk)
            code = idle(desk) if arguments.no_sample else play_paced(desk, arguments.seed, arguments.minutes)
    except suite_module.AlreadyRunning as busy:
        print(f"./run: {busy}", file=sys.stderr)
        return EXIT_BUSY
    except suite_module.DidNotStart as failure:
        print(f"./run: {failure}", file=sys.stderr)
        code = EXIT_FAILED
    except Stopped:
        print("\nStopping …", flush=True)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        desk.stop()
    if not arguments.once and code == 0:
        print("Stopped; state is kept in", os.path.relpath(arguments.state))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
