"""rows_process - processes that are killed, stopped, hung, starved, replaced."""
from harness import row, wait_until

AWAY_S = 0.3


@row(1, "kill -9 ingest at random", quick=True)
def kill_ingest_at_random(fault):
    with fault.desk() as desk:
        load = fault.load(desk, per_second=80, seconds=10)
        kills = 0
        while load.is_playing():
            fault.pause(fault.random.uniform(0.3, 1.5))
            if load.is_playing():
                fault.kill(desk, "ingest-1", AWAY_S)
                kills += 1
        load.wait()
        assert kills >= 3 and desk.processes["ingest-1"].starts == kills + 1
        assert load.player.retries > 0, "no platform ever noticed"
        fault.note("kills", kills)
        fault.check(desk, "LDUBH")
