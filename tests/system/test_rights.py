"""Redis's users of deploy/redis/users.acl: each has what its service needs, and what others need is refused."""
import subprocess

import pytest

from desk import CALM_TEXT, SEED, TOP, URGENT_TEXT, make_plan, wait_until

PREFIX = "desg:{gwent}:"
USERS = ("route", "notify", "desk", "cli")


def refused_by_acl(desk):
    """What a user was refused since Redis started, for want of a right."""
    return [entry for entry in desk.redis_cli("ACL", "LOG") or [] if entry["reason"] != "auth"]


def ask_as(desk, user, *words):
    """What Redis answers a user of a service, as text."""
    password = desk.secret_text(f"redis/{user}")
    done = subprocess.run(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", "--user", user, "--pass", password, "--no-auth-warning",
                           *words], capture_output=True, text=True, errors="replace", timeout=60, check=False)
    return done.stdout.strip()


def users_signed_in(desk):
    listed = subprocess.run(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", "CLIENT", "LIST"], capture_output=True, text=True,
                            timeout=60, check=False).stdout
    return {word.removeprefix("user=") for word in listed.split() if word.startswith("user=")} - {"default"}


def test_the_rights_are_enough_for_a_day_with_all_that_goes_out(make_desk):
    desk = make_desk(is_outward=True, dispatch_options=("--set", "ack=none"))
    book = desk.settle(desk.play(make_plan(SEED, 0.5), 0).wait())
    assert book["urgent"] == book["alerts_accepted"] > 5
    wait_until(lambda: users_signed_in(desk) == {"route", "notify", "desk"}, 30, "each has its connections")
    alert = wait_until(lambda: desk.json("alerts"), 60, "an alert")[0]
    assert desk.desg("ack", alert["alert"], "--dispatcher", "Rhys", "--log-number", "42").returncode == 0
    conversation = desk.json("claim")["conversation"]
    for words in (("note", conversation, "--text", "rang back"), ("heartbeat", conversation), ("language", conversation, "cy"),
                  ("grade", conversation, "routine", "--reason", "a film scene"), ("show", conversation),
                  ("reply", conversation, "--text", "Diolch, we are looking into it."),
                  ("close", conversation), ("queue",), ("queue", "general"), ("alerts", "--all"), ("quarantine", "list"),
                  ("trace", conversation), ("trace", alert["alert"]), ("audit",), ("places",), ("tasks",), ("unknown", "list"),
                  ("broadcast", "list"), ("freeze", "--minutes", "1", "--reason", "an exercise"), ("freeze", "lift"), ("status",)):
        done = desk.desg(*words)
        assert done.returncode in ((0, 65) if words[0] == "reply" else (0,)), (words, done.stdout, done.stderr)
    desk.redis_cli("FLUSHALL")  # what rebuilds has no more rights
    wait_until(lambda: desk.desg("show", conversation).returncode == 0
               and desk.json("show", conversation)["state"] == "closed", 60, "rebuilt")
    desk.redis_cli("FUNCTION", "FLUSH")  # the library comes back by route alone
    wait_until(lambda: desk.redis_cli("FUNCTION", "LIST"), 60, "the library loaded again")
    # two leases: an ended one goes back by whoever may write; cli lists without that
    assert not [entry for entry in refused_by_acl(desk) if entry["object"] != "function|load"], refused_by_acl(desk)


FORBIDDEN = [("MONITOR",), ("SLOWLOG", "GET"), ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "SET", "maxmemory", "1mb"), ("KEYS", "*"),
             ("EVAL", "return 1", "0"), ("SCRIPT", "LOAD", "return 1"), ("FUNCTION", "FLUSH"), ("FUNCTION", "DELETE", "desg_1"),
             ("ACL", "SETUSER", "desk", "+@all"), ("ACL", "LOAD"), ("CLIENT", "LIST"), ("SHUTDOWN", "NOSAVE"), ("REPLICAOF", "127.0.0.1", "1"),
             ("SUBSCRIBE", "x"), ("DUMP", PREFIX + "queues"), ("MIGRATE", "127.0.0.1", "1", "a", "0", "1"), ("SWAPDB", "0", "1")]


@pytest.mark.parametrize("user", USERS)
def test_what_no_service_needs_is_refused(make_desk, user):
    desk = make_desk(workers=0)
    assert "not allowed" in ask_as(desk, user, "DEBUG", "JMAP")
    for words in FORBIDDEN:
        assert "NOPERM" in ask_as(desk, user, *words), (user, words)
    for words in (("GET", "another:key"), ("GET", "desg:{powys}:born"), ("HGETALL", "desg:{powys}:freeze")):
        assert "NOPERM" in ask_as(desk, user, *words), (user, words)
    is_loader = user == "route"
    assert ("NOPERM" in ask_as(desk, user, "FUNCTION", "LOAD", "REPLACE", "#!lua name=desg_1\nredis.register_function('x', function() end)")) != is_loader
    for words in ((("HSET", PREFIX + "freeze", "until", "1"), ("FCALL", "desg_1_apply", "1", PREFIX)) if user == "cli" else ()):
        assert any(word in ask_as(desk, user, *words) for word in ("NOPERM", "ERR")), words
    assert "PONG" in subprocess.run(["redis-cli", "-s", f"{desk.run_directory}/redis.sock", "--user", "probe", "--pass", "x", "--no-auth-warning",
                                     "PING"], capture_output=True, text=True, timeout=60, check=False).stdout


def test_a_user_cannot_borrow_anothers_functions(make_desk):
    """A function runs with its caller's rights: desk's user cannot have the alert stream read, cli's changes nothing."""
    desk = make_desk(workers=1)
    player = desk.make_player()
    desk.post(player, desk.item(URGENT_TEXT, urgent=True))
    desk.settle(player)
    conversation = desk.json("queue", "urgent")[0]["conversation"]
    assert "NOPERM" in ask_as(desk, "desk", "XREADGROUP", "GROUP", "notify", "x", "STREAMS", PREFIX + "alerts", ">")
    assert "can't run this command" in ask_as(desk, "cli", "FCALL", "desg_1_claim", "1", PREFIX, "Rhys", "", conversation, "120000")
    assert desk.json("show", conversation)["state"] != "claimed"


def test_a_password_changes_while_all_runs(make_desk):
    desk = make_desk(workers=1)
    player = desk.make_player()
    folder = desk.state / "secrets" / "redis"

    def load_users():
        desk.write_users()
        assert desk.redis_cli("ACL", "LOAD") == "OK"

    load = desk.play(make_plan(SEED, 0.3), 6)
    for user in ("route", "notify", "desk"):
        fresh = folder / f"{user}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(subprocess.run(["openssl", "rand", "-hex", "32"], capture_output=True, text=True, check=True).stdout, "ascii")
        load_users()
        (folder / user).rename(folder / f"{user}.old")
        fresh.rename(folder / user)
        (folder / f"{user}.old").unlink()
        load_users()
    desk.redis_cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    desk.settle(load.wait())
    desk.post(player, desk.item(CALM_TEXT, person="later"))
    desk.settle(player)
    wait_until(lambda: users_signed_in(desk) == {"route", "notify", "desk"}, 60, "each is back with its new password")
    wait_until(lambda: desk.desg("status").returncode == 0, 60, "all is well")


def test_a_file_as_it_is_checked_in_admits_nobody_and_desg_says_what_is_missing(make_desk, state):
    desk = make_desk(is_started=False)
    lines = (TOP / "deploy" / "redis" / "users.acl").read_text("ascii").splitlines()
    # All rights, and no way in: Redis reads its append-only file as this user, and drops what it had no right to.
    assert lines[0] == "user default off resetpass sanitize-payload ~* &* +@all" and not any(" >" in line or "#" in line for line in lines)
    assert [line.split()[1] for line in lines if "nopass" in line] == ["probe"]
    folder = state / "passwords"
    folder.mkdir(mode=0o700)
    done = desk.desg("redis-acl", "--passwords", str(folder))
    assert done.returncode == 78 and "openssl rand -hex 32" in done.stderr and not done.stdout
    for user in ("route", "notify", "desk"):
        (folder / user).touch(mode=0o600)
        (folder / user).write_text("short\n", "ascii")
    done = desk.desg("redis-acl", "--passwords", str(folder))
    assert done.returncode == 78 and "at least 16" in done.stderr and "short" not in done.stderr
    assert desk.desg("redis-acl", "--force", "gwent*").returncode == 64
    assert desk.desg("redis-acl", "--out", str(folder / "absent" / "users.acl")).returncode == 71
