"""measures - the five things measured. Each takes a Bench and returns a Result; pairs are measured in turn, round by round, and
what is counted is what was applied: records in the journal, events in Redis, DONEs that came back."""
import collections
import contextlib
import json
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from machine import CannotRun, Redis, Spread, cpu_seconds, pss_mib

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "deploy" / "local")]
import suite as suite_module  # noqa: E402

CLASSIFY = TOP / "services" / "classify"
MODEL = CLASSIFY / "model" / "desk.model"
URGENT, REVIEW = 4, 3  # numbers of desg.v1.Severity
URGENT_EVERY = 20
COUNT_EVENTS = "local n = 0 for i = 0, 4095 do n = n + redis.call('HLEN', string.format('desg:{gwent}:index:%03x', i)) end return n"

# Target: words, figure reached, what was aimed at, whether it was met.
Target = collections.namedtuple("Target", "what reached aim is_met")


class Sizes:
    """How much is measured. full: some four minutes; quick: one round, under 90 s; smoke: a second each, for ctest."""

    def __init__(self, rounds, http_s, chain_s, calls, triage_s, window_s, saturated, urgent_s):
        self.rounds, self.http_s, self.chain_s, self.calls = rounds, http_s, chain_s, calls
        self.triage_s, self.window_s, self.saturated, self.urgent_s = triage_s, window_s, saturated, urgent_s


FULL = Sizes(3, 3.0, 1.5, 2000, 1.0, 5.0, 50000, 4.0)
QUICK = Sizes(1, 2.0, 1.0, 1000, 0.5, 3.0, 20000, 2.0)
SMOKE = Sizes(1, 0.3, 0.2, 50, 0.1, 0.4, 500, 0.4)


class Result:
    def __init__(self):
        self.figures = collections.defaultdict(Spread)  # "what, unit" -> Spread
        self.targets = []
        self.remarks = []

    def add(self, figure, value):
        self.figures[figure].add(value)

    def aim(self, what, figure, is_met, aim):
        spread = self.figures[figure]
        self.targets.append(Target(what, str(spread), aim, is_met(spread.median)))


class Bench:
    """Where things are, and the texts: invented messages of the sample day, sorted by what triage says of them."""

    def __init__(self, build, sizes):
        self.build = pathlib.Path(build).resolve()
        self.sizes = sizes
        self.tag = 0
        # Beside the build: on a real disk, which a temporary folder need not be.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=self.build))
        self.texts = {}

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def program(self, name):
        path = self.build / "bench" / name
        if not path.exists():
            raise CannotRun(f"{path} is not built: cmake --build {self.build}")
        return str(path)

    def call(self, name, *arguments):
        out = subprocess.run([self.program(name), *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
        if out.returncode != 0:
            raise CannotRun(f"{name} failed: {out.stderr.strip().splitlines()[-1:]}")
        return out.stdout

    def rules(self):
        return ["--rules", CLASSIFY / "rules", "--model", MODEL if MODEL.exists() else ""]

    def make_texts(self):
        """Four short messages of the day make one of the length that people write to a desk (bodies of some 600 bytes)."""
        day = suite_module.SIMULATORS / "sample_day" / "day.jsonl"
        items = [json.loads(line) for line in day.read_text("utf-8").splitlines() if line.strip()]
        chance = random.Random(1)
        pools = {is_urgent: [" ".join(item["text"].split()) for item in items if item["text"] and item["urgent"] == is_urgent]
                 for is_urgent in (False, True)}
        texts = [". ".join(chance.choices(pools[False], k=3) + chance.choices(pools[n % 2 == 0], k=1)) for n in range(1200)]
        everything = self.write_texts("all", [(False, text) for text in texts])
        severities = [int(line) for line in self.call("bench_triage", *self.rules(), "--texts", everything, "--severities").split()]
        urgent = [text for text, severity in zip(texts, severities) if severity >= URGENT]
        bulk = [text for text, severity in zip(texts, severities) if severity < REVIEW]
        if len(urgent) < 20 or len(bulk) < 20:
            raise CannotRun(f"of {len(texts)} texts triage finds {len(urgent)} urgent and {len(bulk)} routine: too few to mix")
        mixed = [(True, chance.choice(urgent)) if n % URGENT_EVERY == 0 else (False, chance.choice(bulk)) for n in range(4000)]
        self.write_texts("mixed", mixed)
        self.write_texts("bulk", [(False, text) for text in bulk])
        self.write_texts("urgent", [(True, text) for text in urgent])

    def write_texts(self, name, lines):
        path = self.directory / f"{name}.tsv"
        path.write_text("".join(f"{int(is_urgent)}\t{text}\n" for is_urgent, text in lines), "utf-8")
        self.texts[name] = path
        return path

    def load(self, port, secret, count, texts="mixed", **options):
        self.tag += 1
        command = [self.program("bench_load"), "--port", port, "--secret-file", secret, "--texts", self.texts[texts],
                   "--count", int(count), "--tag", self.tag]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", value]
        return Load([str(part) for part in command])


class Load:
    """A load generator with its requests made and its connections open."""

    def __init__(self, command):
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.popen.stdout.readline().strip() != "ready":
            raise CannotRun(f"bench_load: {self.popen.stderr.read().strip()}")

    def go(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return self

    def result(self):
        out, err = self.popen.communicate(timeout=180)
        if self.popen.returncode != 0:
            raise CannotRun(f"bench_load: {err.strip()}")
        return json.loads(out)


def start_printing_port(command):
    popen = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    line = popen.stdout.readline().strip()
    if not line.isdigit():
        raise CannotRun(f"{command[0]} did not start")
    return popen, int(line)


# --- 1. HTTP ---

def http_bare(bench, number):
    directory = bench.directory / f"bare-{number}"
    directory.mkdir()
    secret = bench.directory / "secret"
    if not secret.exists():
        secret.touch(0o600)
        secret.write_text("an invented secret of the benchmark", "ascii")
    popen, port = start_printing_port([bench.program("bare_intake"), "--directory", directory, "--secret-file", secret,
                                       "--size-mib", 2048])
    try:
        answer, cpu = run_http(bench, port, secret, popen.pid)
    finally:
        popen.terminate()
    records = int(popen.communicate(timeout=20)[0])
    shutil.rmtree(directory)
    return answer, cpu, records


def http_desg(bench, number):
    state = bench.directory / f"ingest-{number}"
    desk = suite_module.Suite(state, build=bench.build, changes={"ingest": {"journal": {"size_mib": 2048}}})
    try:
        desk.start(["ingest-1"])
        secret = desk.secret("meta-app")
        answer, cpu = run_http(bench, desk.ports["ingest-1"], secret, desk.processes["ingest-1"].pid)
        records = desk.status("ingest-1")["detail"]["journal"]["newest_sequence"]
    finally:
        desk.processes["ingest-1"].kill9()  # nobody takes its events: a drain would wait for that
        desk.stop()
    shutil.rmtree(state)
    return answer, cpu, records


def run_http(bench, port, secret, pid):
    load = bench.load(port, secret, bench.sizes.http_s * 75000, seconds=bench.sizes.http_s)
    cpu = cpu_seconds(pid)
    answer = load.go().result()
    return answer, cpu_seconds(pid) - cpu


def measure_http(bench):
    result = Result()
    for number in range(bench.sizes.rounds):
        for name, run in (("bare", http_bare), ("desg", http_desg)):
            answer, cpu, records = run(bench, number)
            if records < answer["ok"]:
                raise CannotRun(f"{name}: {answer['ok']} answered 200, but {records} records stored")
            result.add(f"{name}: stored POSTs/s", answer["rate"])
            result.add(f"{name}: CPU s per 10,000", cpu * 1e4 / answer["ok"])
            result.add(f"{name}: POST→200 p50 ms, 64 at once", answer["answered"]["p50_ms"])
            result.add(f"{name}: POST→200 p99 ms, 64 at once", answer["answered"]["p99_ms"])
        result.add("desg of bare", result.figures["desg: stored POSTs/s"].values[-1]
                   / result.figures["bare: stored POSTs/s"].values[-1])
    result.remarks.append(f"bodies of {answer['body_bytes']:.0f} bytes on average")
    result.aim("durable signed POSTs, of the bare handler", "desg of bare", lambda v: v >= 0.70, "≥ 0.70")
    return result


# --- 2. chain ---

def measure_chain(bench):
    result = Result()
    for _ in range(bench.sizes.rounds):
        for batch in (1, 16):
            rates = {}
            for kind in ("raw", "link"):
                answer = json.loads(bench.call(f"bench_chain_{kind}", "--batch", batch, "--seconds", bench.sizes.chain_s))
                rates[kind] = answer["rate"]
                result.add(f"{kind}, {batch} in a frame: events/s", answer["rate"])
                result.add(f"{kind}, {batch} in a frame: CPU s per 10,000", answer["cpu_s_per_10000"])
            result.add(f"link of raw, {batch} in a frame", rates["link"] / rates["raw"])
    for batch in (1, 16):
        result.aim(f"ZeroMQ chain with DONE, {batch} in a frame, events/s", f"link, {batch} in a frame: events/s",
                   lambda v: v >= 100000, "≥ 100,000")
    return result


# --- 3. functions ---

@contextlib.contextmanager
def private_redis(bench, name):
    directory = bench.directory / name
    directory.mkdir()
    # A short path of its own: a socket's name has room for 107 bytes.
    run_directory = pathlib.Path(tempfile.mkdtemp(prefix="desg-"))
    path = run_directory / "redis.sock"
    redis = suite_module.Process("redis", [
        "redis-server", "--port", "0", "--unixsocket", path, "--unixsocketperm", "700", "--dir", directory, "--appendonly", "yes",
        "--appendfsync", "everysec", "--save", "", "--auto-aof-rewrite-percentage", "0"], directory / "log")
    redis.start()
    try:
        deadline = time.monotonic() + 10
        while not path.exists():
            if time.monotonic() > deadline or not redis.is_alive():
                raise CannotRun("redis-server did not start")
            time.sleep(0.01)
        yield path
    finally:
        redis.kill9()
        shutil.rmtree(run_directory, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def measure_functions(bench):
    result = Result()
    with private_redis(bench, "redis") as path:
        lines = bench.call("bench_functions", "--redis", path, "--calls", bench.sizes.calls,
                           "--rounds", bench.sizes.rounds).splitlines()
    names = {"bare_single": "bare, 1 call in flight: events/s", "store_single": "store, 1 thread: events/s",
             "bare": "bare, 2 connections × 2 in flight: events/s", "store_pair": "store, 2 threads: events/s"}
    for line in lines:
        answer = json.loads(line)
        for key, name in names.items():
            result.add(name, answer[key])
        result.add("store of bare, 2 threads of 2 × 2", answer["store_pair"] / answer["bare"])
        result.add("store of bare, 1 thread of 1 in flight", answer["store_single"] / answer["bare_single"])
        result.add("store of bare, 1 thread of 2 × 2", answer["store_single"] / answer["bare"])
    result.remarks.append(f"a call of 16 events has {answer['call_bytes']:,} bytes; every event a conversation of its own; "
                          "1 in 20 urgent")
    result.aim("Redis functions, both lanes, of the bare function saturated", "store of bare, 2 threads of 2 × 2",
               lambda v: v >= 0.70, "≥ 0.70")
    return result


# --- 4. the whole way ---

SERVICES = ("redis", "notify", "route", "ingest-1", "classify-1", "classify-2")
# 50,000 events make a file of about 64 MiB, where Redis begins to rewrite it: a few bytes an event more or less would decide whether
# a window has a second process beside it.
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")


class Desk:
    """The whole desk with a dispatch system that costs nothing, in a directory of its own."""

    def __init__(self, bench, number):
        self.bench = bench
        self.state = bench.directory / f"way-{number}"
        changes = {"ingest": {"journal": {"size_mib": 1024}}, "notify": {"journal": {"size_mib": 256}}}
        self.suite = suite_module.Suite(self.state, build=bench.build, workers=2, changes=changes,
                                        redis_options=NO_REWRITE)
        self.suite.prepare()
        self.suite.processes["dispatch"] = suite_module.Process(
            "dispatch", [bench.program("bare_intake"), "--answer-only", "--port", self.suite.ports["dispatch"]],
            self.state / "log" / "dispatch.log")
        self.redis = None

    def close(self):
        if self.redis:
            self.redis.close()
        for process in self.suite.processes.values():
            process.kill9()  # what is measured is over
        self.suite.stop()
        shutil.rmtree(self.state, ignore_errors=True)

    def start(self):
        """Seconds from the start of the first process until the first message could be claimed."""
        self.suite.start(["dispatch"])
        request = self._first_request()
        began = time.monotonic()
        for name in SERVICES:
            self.suite.processes[name].start()
        self._post_when_it_listens(request, began + 20)
        while self._queues() == 0:
            if time.monotonic() > began + 20:
                raise CannotRun("the first message was not claimable within 20 s")
            time.sleep(0.001)
        took = time.monotonic() - began
        for name in SERVICES:
            self.suite.wait_ready(name)
        return took

    def _first_request(self):
        sys.path[:0] = [str(suite_module.SIMULATORS)]
        import platforms  # noqa: PLC0415: needed here only
        item = {"id": "first", "at": "00:00:00", "channel": "facebook", "kind": "message", "person": "bench", "text": "Hello"}
        delivery = platforms.Writer("bench", int(time.time() * 1000)).meta([item])
        headers = delivery.headers(platforms.secrets_from(self.suite.state / "secrets"))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return (f"POST {delivery.path} HTTP/1.1\r\nHost: desk\r\nContent-Length: {len(delivery.body)}\r\n{head}\r\n".encode()
                + delivery.body)

    def _post_when_it_listens(self, request, deadline):
        while True:
            with socket.socket() as client:
                try:
                    client.connect(("127.0.0.1", self.suite.ports["ingest-1"]))
                    client.sendall(request)
                    if client.recv(4096).startswith(b"HTTP/1.1 200"):
                        return
                except OSError:
                    pass
            if time.monotonic() > deadline:
                raise CannotRun("the first message was not taken within 20 s")
            time.sleep(0.001)

    def _queues(self):
        if not self.redis:
            try:
                self.redis = Redis(self.suite.run_directory / "redis.sock")
            except OSError:
                return 0
        return self.redis.ask("SCARD", "desg:{gwent}:queues")

    def count(self):
        return self.redis.ask("EVAL", COUNT_EVENTS, 0)

    def cpu(self):
        return {name: cpu_seconds(self.suite.processes[name].pid) for name in SERVICES}

    def pss(self):
        return {name: pss_mib(self.suite.processes[name].pid) for name in SERVICES}

    def load(self, count, is_watched=True, **options):
        watch = {"redis": self.suite.run_directory / "redis.sock", "id_key": self.suite.secret("id-key")} if is_watched else {}
        return self.bench.load(self.suite.ports["ingest-1"], self.suite.secret("meta-app"), count, **watch, **options)

    def wait_for(self, events, seconds=60.0):
        """Until Redis holds so many events; returns the moment (monotonic seconds, to some 10 ms). Counting costs Redis a
        millisecond, so it is not asked before it can be through."""
        began = time.monotonic()
        first = last = self.count()
        while last < events:
            elapsed = time.monotonic() - began
            if elapsed > seconds:
                raise CannotRun(f"{last} of {events} events were applied within {seconds:g} s")
            rate = (last - first) / elapsed if last > first else 20000.0
            time.sleep(min(max((events - last) / rate * 0.8, 0.01), 1.0))
            last = self.count()
        return time.monotonic()

    def settle(self):
        """Until alerts and acknowledgements of the last window are done: CPU time stands still."""
        for _ in range(40):
            before = sum(self.cpu().values())
            time.sleep(0.25)
            if sum(self.cpu().values()) - before <= 0.02:
                return


def family(name):
    return name.rstrip("-12")


def add_cpu(result, title, before, after, messages):
    used = {name: after[name] - before[name] for name in before}
    result.add(f"{title}: CPU s per 10,000", sum(used.values()) * 1e4 / messages)
    return used


def way_at_rate(result, desk, rate):
    count = rate * desk.bench.sizes.window_s
    load = desk.load(count, rate=rate)
    held, before = desk.count(), desk.cpu()
    answer = load.go().result()
    after = desk.cpu()
    desk.wait_for(held + answer["ok"])
    if answer["ok"] != answer["posted"] or answer["seen"] != answer["ok"]:
        result.remarks.append(f"{rate}/s: {answer['posted']} posted, {answer['ok']} answered 200, {answer['seen']} seen claimable")
    title = f"{rate:,}/s"
    for key, name in (("answered", "POST→200"), ("claimable", "POST→claimable"), ("urgent_claimable", "urgent POST→claimable")):
        result.add(f"{title}: {name} p50 ms", answer[key]["p50_ms"])
        result.add(f"{title}: {name} p99 ms", answer[key]["p99_ms"])
    add_cpu(result, title, before, after, answer["ok"])


def way_saturated(result, desk):
    """Without the sampler: what goes through, and what it costs."""
    desk.redis.ask("CONFIG", "SET", "notify-keyspace-events", "")
    load = desk.load(desk.bench.sizes.saturated, is_watched=False)
    held, before = desk.count(), desk.cpu()
    answer = load.go().result()
    applied_at = desk.wait_for(held + answer["ok"])
    desk.settle()
    after = desk.cpu()
    result.add("saturated: accepted POSTs/s", answer["rate"])
    result.add("saturated: applied events/s, end to end", answer["ok"] / (applied_at - answer["started_ns"] / 1e9))
    result.add("saturated: POST→200 p99 ms", answer["answered"]["p99_ms"])
    used = add_cpu(result, "saturated", before, after, answer["ok"])
    for name in ("ingest", "classify", "route", "notify", "redis"):
        share = sum(value for key, value in used.items() if family(key) == name)
        result.add(f"saturated: … of it {name}", share * 1e4 / answer["ok"])


def way_saturated_watched(result, desk):
    load = desk.load(desk.bench.sizes.saturated)
    held = desk.count()
    answer = load.go().result()
    desk.wait_for(held + answer["ok"])
    for key, name in (("claimable", "POST→claimable"), ("urgent_claimable", "urgent POST→claimable")):
        result.add(f"saturated: {name} p50 ms", answer[key]["p50_ms"])
        result.add(f"saturated: {name} p99 ms", answer[key]["p99_ms"])
    desk.settle()


def way_flood(result, desk):
    """Urgent messages at 50/s, alone and while 64 connections post routine ones as fast as they can."""
    rate, seconds = 50, desk.bench.sizes.urgent_s
    held = desk.count()
    idle = desk.load(rate * seconds, texts="urgent", rate=rate, connections=16).go().result()
    bulk = desk.load(40000 * seconds, is_watched=False, texts="bulk", seconds=seconds)
    urgent = desk.load(rate * seconds, texts="urgent", rate=rate, connections=16)
    bulk.go()
    flooded = urgent.go().result()
    bulk_answer = bulk.result()
    desk.wait_for(held + idle["ok"] + flooded["ok"] + bulk_answer["ok"])
    result.add("urgent alone: POST→claimable p99 ms", idle["claimable"]["p99_ms"])
    result.add("urgent under flood: POST→200 p99 ms", flooded["answered"]["p99_ms"])
    result.add("urgent under flood: POST→claimable p50 ms", flooded["claimable"]["p50_ms"])
    result.add("urgent under flood: POST→claimable p99 ms", flooded["claimable"]["p99_ms"])
    result.add("urgent under flood: times idle", flooded["claimable"]["p99_ms"] / idle["claimable"]["p99_ms"])


def way_round(result, bench, number):
    desk = Desk(bench, number)
    try:
        result.add("start → first message claimable, ms", desk.start() * 1000)
        desk.settle()
        for name, mib in (memory := desk.pss()).items():
            result.add(f"idle: PSS MiB {name}", mib)
        result.add("idle: PSS MiB, all and Redis", sum(memory.values()))
        way_at_rate(result, desk, 200)
        way_at_rate(result, desk, 1000)
        desk.settle()
        way_saturated(result, desk)
        way_saturated_watched(result, desk)
        way_flood(result, desk)
    finally:
        desk.close()


def measure_way(bench):
    result = Result()
    for number in range(bench.sizes.rounds):
        way_round(result, bench, number)
    aims = [
        ("CPU s per 10,000, saturated", "saturated: CPU s per 10,000", 0.58, "≤ 0.58"),
        ("CPU s per 10,000 at 1,000/s", "1,000/s: CPU s per 10,000", 6.1, "≤ 6.1"),
        ("POST→200 p50 at 1,000/s, ms", "1,000/s: POST→200 p50 ms", 0.67, "≤ 0.67"),
        ("POST→200 p99 at 1,000/s, ms", "1,000/s: POST→200 p99 ms", 2.7, "≤ 2.7"),
        ("POST→claimable p50 at 1,000/s, ms", "1,000/s: POST→claimable p50 ms", 1.1, "≤ 1.1"),
        ("POST→claimable p99 at 1,000/s, ms", "1,000/s: POST→claimable p99 ms", 4.0, "≤ 4"),
        ("POST→claimable p99, saturated, ms", "saturated: POST→claimable p99 ms", 60.0, "≤ 60"),
        ("urgent POST→claimable p99 under a flood, ms", "urgent under flood: POST→claimable p99 ms", 10.0, "≤ 10"),
        ("… times that without a flood", "urgent under flood: times idle", 2.0, "≤ 2"),
        ("PSS idle, all and Redis, MiB", "idle: PSS MiB, all and Redis", 40.0, "≤ 40"),
        ("start → first message claimable, ms", "start → first message claimable, ms", 230.0, "≤ 230"),
    ]
    result.aim("end to end, single-event POSTs/s", "saturated: applied events/s, end to end", lambda v: v >= 24000, "≥ 24,000")
    for what, figure, limit, text in aims:
        result.aim(what, figure, lambda v, limit=limit: v <= limit, text)
    return result


# --- 5. triage ---

LENGTHS = {200: 20.0, 10000: 200.0}  # characters of a text: most µs a verdict may take


def texts_of(bench, characters):
    """Messages of about that many characters, made of those of the sample day."""
    lines = [line.split("\t", 1) for line in bench.texts["all"].read_text("utf-8").splitlines()]
    chance = random.Random(characters)
    texts = []
    for _ in range(max(20, 200000 // characters)):
        text = ""
        while len(text) < characters:
            text += chance.choice(lines)[1] + ". "
        texts.append((False, text[:characters]))
    return bench.write_texts(f"of-{characters}", texts)


class FastText:
    """The peer: a classifier over word pairs and letter groups, from Debian, on the same texts. Its command reads them from a file, so
    what it takes to start is taken off."""

    def __init__(self, bench):
        self.directory, self.program = bench.directory, shutil.which("fasttext")
        if not self.program:
            return
        lines = [line.split("\t", 1) for line in bench.texts["mixed"].read_text("utf-8").splitlines()]
        (self.directory / "labelled.txt").write_text("".join(f"__label__{label} {text}\n" for label, text in lines), "utf-8")
        self.run("supervised", "-input", self.directory / "labelled.txt", "-output", self.directory / "peer", "-minn", 3, "-maxn", 5,
                 "-wordNgrams", 2, "-dim", 16, "-bucket", 65536, "-epoch", 5, "-thread", 1, "-verbose", 0)

    def run(self, *arguments):
        began = time.monotonic()
        subprocess.run([self.program, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=True)
        return time.monotonic() - began

    def microseconds(self, path):
        """None without the program."""
        if not self.program:
            return None
        texts = [line.split("\t", 1)[1] for line in path.read_text("utf-8").splitlines()]
        many, few = self.directory / "many.txt", self.directory / "few.txt"
        times = max(1, 20000000 // sum(map(len, texts)))
        many.write_text("\n".join(texts * times) + "\n", "utf-8")
        few.write_text(texts[0] + "\n", "utf-8")
        model = self.directory / "peer.bin"
        return (self.run("predict", model, many) - self.run("predict", model, few)) * 1e6 / (len(texts) * times)


def measure_triage(bench):
    result = Result()
    peer = FastText(bench)
    paths = {characters: texts_of(bench, characters) for characters in LENGTHS}
    for _ in range(bench.sizes.rounds):
        for characters, path in paths.items():
            answer = json.loads(bench.call("bench_triage", *bench.rules(), "--texts", path, "--seconds", bench.sizes.triage_s,
                                           *(() if bench.sizes is SMOKE else ("--peer",))))
            where = f"at {characters:,} characters"
            result.add(f"triage {where}: µs a message", answer["triage_us"])
            sketch = json.loads(bench.call("bench_triage", *bench.rules(), "--texts", path, "--sketch"))
            result.add(f"its sketch {where}: µs a message", sketch["sketch_us"])
            if bench.sizes is not SMOKE:
                result.add(f"Hyperscan alone {where}: µs a message", answer["hyperscan_us"])
                result.add(f"triage of Hyperscan alone {where}", answer["triage_us"] / answer["hyperscan_us"])
            fasttext_us = peer.microseconds(path) if bench.sizes is not SMOKE else None
            if fasttext_us:
                result.add(f"fastText {where}: µs a message", fasttext_us)
                result.add(f"triage of fastText {where}", answer["triage_us"] / fasttext_us)
        result.add("triage: memory, MiB", int(bench.call("bench_triage", *bench.rules(), "--texts", paths[10000], "--memory")) / 1024)
    result.remarks.append(f"{answer['patterns']} patterns" + ("" if peer.program else "; fastText is not installed (apt install fasttext)"))
    for characters, limit in LENGTHS.items():
        result.aim(f"triage, µs at {characters:,} characters", f"triage at {characters:,} characters: µs a message",
                   lambda v, limit=limit: v <= limit, f"≤ {limit:.0f}")
    result.aim("sketch, µs at 200 characters", "its sketch at 200 characters: µs a message", lambda v: v <= 1.0, "≤ 1")
    result.aim("triage, memory", "triage: memory, MiB", lambda v: v <= 64.0, "≤ 64 MiB")
    return result


def compare(results):
    """What a busy machine does to everything alike falls out: the whole way beside the bare handler of the same run. The limits are
    the absolute targets over what the handler reaches on the quiet machine they were set on (47,141/s, 0.18 CPU s)."""
    if not {"http", "way"} <= set(results):
        return None
    result = Result()
    bare, way = results["http"].figures, results["way"].figures
    for index in range(len(bare["bare: stored POSTs/s"].values)):
        result.add("end to end, of the bare handler's POSTs/s", way["saturated: applied events/s, end to end"].values[index]
                   / bare["bare: stored POSTs/s"].values[index])
        result.add("CPU saturated, times the bare handler's", way["saturated: CPU s per 10,000"].values[index]
                   / bare["bare: CPU s per 10,000"].values[index])
    result.aim("end to end, of the bare handler's rate", "end to end, of the bare handler's POSTs/s", lambda v: v >= 0.51, "≥ 0.51")
    result.aim("CPU saturated, times the bare handler's", "CPU saturated, times the bare handler's", lambda v: v <= 3.2, "≤ 3.2")
    return result


MEASURES = {"http": measure_http, "chain": measure_chain, "functions": measure_functions, "way": measure_way,
            "triage": measure_triage}
