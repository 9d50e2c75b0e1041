"""What the tests of the images wait for, and what they say when it does not come."""
import types

import pytest

import suite
from cluster import Cluster, ORACLE
from desk import wait_until


def a_cluster_of(name, probe, **more):
    """A Cluster that knows one container, which is none."""
    made = Cluster.__new__(Cluster)
    spec = types.SimpleNamespace(component=name, probe=lambda kind: probe)
    made.processes = {name: types.SimpleNamespace(spec=spec, restarts=lambda: 0, tail=lambda: "the end of its log", **more)}
    made.oracle_password = "none"
    return made


def test_redis_is_waited_for_while_it_reads_its_data_back_in(tmp_path):
    """It listens before, and answers LOADING, which redis-cli prints as no JSON and calls a success."""
    cluster = a_cluster_of("redis", None)
    cluster.redis_address = ("127.0.0.1", suite.free_port())
    redis = suite.Process("redis", ["redis-server", "--bind", "127.0.0.1", "--port", cluster.redis_address[1], "--dir", tmp_path, "--appendonly", "yes",
                                    "--save", "", "--user", ORACLE, "on", "nopass", "~*", "+@all", "--key-load-delay", "1000"], tmp_path / "log")
    redis.start()
    try:
        cluster.wait_ready("redis", 20)
        assert cluster.redis_cli("EVAL", "for i = 1, 4100 do redis.call('SET', i, i) end return redis.call('DBSIZE')", "0") == 4100
        assert redis.stop() == 0
        redis.start()
        answers = []
        wait_until(lambda: answers.append(cluster._ask_redis()) or answers[-1][1] != "nothing", 20, "it listens")
        assert not answers[-1][0] and "LOADING" in answers[-1][1]
        cluster.wait_ready("redis", 60)
        assert cluster.redis_cli("DBSIZE") == 4100
    finally:
        redis.stop()


@pytest.mark.parametrize("answer, told", [((503, b'{"status":"draining"}'), '503 {"status":"draining"}'), (None, "nothing")])
def test_who_is_not_ready_in_time_is_named_with_what_it_said(answer, told):
    cluster = a_cluster_of("route-0", ("/readyz", 9103), ask=lambda path, port: answer)
    with pytest.raises(suite.DidNotStart) as failure:
        cluster.wait_ready("route-0", 0)
    for words in ("route-0 was not ready", f"it said: {told}", "the end of its log"):
        assert words in str(failure.value)
