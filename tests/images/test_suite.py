"""The suite from its images, on a private network, as the manifests would run it: 300 messages, every service killed for its memory
meanwhile, a drain, a restart. What was answered 200 is held, what is urgent reached dispatch, once."""
from desk import make_plan, SEED, wait_until

SERVICES = ("ingest", "classify", "route", "notify", "desk")
MESSAGES = 300


def plan_of(channels, count):
    """count messages and more of the sample day that these channels brought, with what came twice and what was forged."""
    paths = {"/v1/intake/web" if channel == "web" else f"/hooks/{channel}" for channel in channels}
    plan, events = [], set()
    for delivery in make_plan(SEED, 4):
        if delivery[1].path in paths and len(events) < count:
            plan.append(delivery)
            events |= set() if delivery[2] else set(delivery[1].expected)
    assert len(events) >= count
    return [(index / len(plan), *delivery[1:]) for index, delivery in enumerate(plan)]


def test_each_service_answers_its_probes(cluster):
    for name, container in cluster.processes.items():
        if container.spec.component == "redis":
            continue
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            answer = container.ask(*container.spec.probe(kind))
            assert answer and answer[0] == 200, f"{name}: {kind}"
        program = f"/usr/bin/desg-{container.spec.component}"
        for question in ("live", "ready"):
            done = cluster.podman.run("exec", name, program, *container.spec.words("args"), "--probe", question, check=False)
            assert done.returncode == 0, f"{name} --probe {question}: {done.stdout}{done.stderr}"


def test_each_container_is_as_locked_up_as_the_manifest_says(cluster):
    for name, container in cluster.processes.items():
        told = cluster.podman.inspect(name)
        assert told["HostConfig"]["Memory"] == container.spec.memory_limit, name
        with open(f"/proc/{container.pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        assert status["Uid"].split() == ["10001"] * 4, name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, name
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", name
        done = cluster.podman.run("exec", name, "/bin/sh", "-c", "echo x > /usr/bin/x", check=False)
        assert done.returncode != 0 and "Read-only file system" in done.stderr, name


def test_every_service_is_killed_for_its_memory_and_nothing_is_lost(cluster):
    load = cluster.play(plan_of(cluster.channels, MESSAGES), 30)
    for component in (*SERVICES, "redis"):
        name = cluster.of(component)[0]
        container = cluster.processes[name]
        before = container.restarts()
        container.exhaust_memory()
        wait_until(lambda: container.restarts() == before + 1 and container.is_alive(), 90, f"{name} is restarted")
        cluster.wait_ready(name)
    book = cluster.settle(load.wait())
    assert book["events"] >= MESSAGES and book["urgent"] == book["alerts_accepted"] > 5


def test_each_stops_within_its_grace_period_and_nothing_is_lost(cluster):
    """While messages come. The other one of the two goes on, then this one comes back."""
    load = cluster.play(plan_of(cluster.channels, 80), 15)
    for component in (*SERVICES, "redis"):
        name = cluster.of(component)[0]
        container = cluster.processes[name]
        status = container.stop()  # killed, and no 0, once its grace period is over
        assert status == 0, f"{name} ended with {status}:\n{container.tail()}"
        if component != "redis":
            wait_until(lambda: " drained " in container.tail(40), 10, f"{name} was cut short:\n{container.tail(40)}")
        container.start()
        cluster.wait_ready(name)
    cluster.settle(load.wait())


def test_all_stopped_and_started_the_ledger_is_the_same(cluster):
    player = cluster.play(plan_of(cluster.channels, 40), 0).wait()
    book = cluster.settle(player)
    for component in ("ingest", "classify", "desk", "route", "notify", "redis"):
        for name in cluster.of(component):
            assert cluster.processes[name].stop() == 0, name
    cluster.start()
    again = cluster.settle(player)
    assert again["events"] == book["events"] and again["urgent"] == book["urgent"]
