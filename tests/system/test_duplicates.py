"""The same things told again and again, at two ingests at once and in other batches: each event once."""
import threading

from desk import SEED, make_plan


def test_three_times_at_two_ingests_at_once_and_batched_otherwise(make_desk):
    desk = make_desk(ingests=2)
    players = [desk.make_player(connections=4) for _ in range(3)]
    # The re-batched copies are further deliveries of the same plan: all three send all of them.
    plan = make_plan(SEED, 0.6, duplicate_share=0.1, rebatch_share=1.0, forge_share=0.0)
    assert any(len(delivery.expected) > 1 for _, delivery, _ in plan)
    orders = [plan, plan[::-1], plan[len(plan) // 2:] + plan[:len(plan) // 2]]
    threads = [threading.Thread(target=player.play, args=([(0.0, delivery, False) for _, delivery, _ in order],))
               for player, order in zip(players, orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    told = {expected for _, delivery, _ in plan for expected in delivery.expected}
    assert all(set(player.accepted) == told for player in players)
    assert desk.settle(players[0])["events"] == len(told)
    new = desk.metric_sum("route", "desg_route_applied_total", 'outcome="new"')
    assert new == len(told), f"{new:g} new events applied, {len(told)} told"
    assert sum(player.events_answered for player in players) >= 3 * len(told)
    assert desk.metric_sum("ingest-1", "desg_ingest_events_total") > 0
    assert desk.metric_sum("ingest-2", "desg_ingest_events_total") > 0
