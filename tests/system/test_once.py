"""A whole day at full speed: each message in a queue once, each urgent one accepted by dispatch."""
import ledger
from desk import SEED, make_plan, wait_until


def test_a_day_of_messages_leaves_a_clean_ledger(make_desk):
    desk = make_desk()
    player = desk.play(make_plan(SEED), 0).wait()
    book = desk.settle(player)
    assert book["urgent"] == book["alerts_accepted"] > 50
    assert book["duplicates_collapsed"] > 0 and player.forged_refused > 0  # the day has both
    assert book["quarantined"] == 0
    assert {row["name"] for row in desk.json("queue")} >= {"urgent", "restricted", "cymraeg", "general"}
    assert player.retries == 0


def test_the_days_alerts_are_acknowledged_and_come_back_to_the_desk(make_desk):
    desk = make_desk()
    player = desk.make_player()
    desk.post(player, desk.item("he has a knife and he is going to stab my brother right now", urgent=True))
    book = desk.settle(player)
    assert book["urgent"] == 1
    wait_until(lambda: desk.json("alerts") == [], 60, "no alert is open any more")
    alert, = desk.json("alerts", "--all")
    assert alert["state"] == "acknowledged" and alert["dispatcher"] == "sim-dispatcher-7"
    assert alert["alert"] in ledger.accepted_alerts(desk)


def test_a_second_start_finds_everything_again(make_desk):
    desk = make_desk()
    player = desk.play(make_plan(SEED, 0.3), 0).wait()
    before = desk.settle(player)
    assert set(desk.stop().values()) <= {0, -15}  # dispatch and redis may end by the signal itself
    desk.start()
    after = desk.settle(player)
    assert after["events"] == before["events"] and after["urgent"] == before["urgent"]


def test_the_standing_test_comes_back_from_dispatch(make_desk):
    desk = make_desk(workers=0, changes={"notify": {"test_interval_s": 300}})
    wait_until(lambda: desk.status("notify")["detail"]["standing_test"]["came_back_at_ms"], 60, "the first test message")
    assert desk.metrics("notify")["desg_notify_standing_test_failed"] == 0
    assert desk.json("alerts", "--all") == [], "a test is no alert of the desk's"
