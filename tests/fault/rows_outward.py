"""rows_outward - replies and broadcasts while notify is killed, platforms take what they never answer, and limits are hit."""
import concurrent.futures
import json
import signal
import time

import day_out
import out
import outlet_apis
import platforms
from harness import row, wait_until
from outward import PERSONAL, posted_twice

REPLIES, BROADCASTS, PERSONS = 1000, 50, 200
PORTIONS, PORTION_S = 6, 60
CHANNELS = ("facebook", "instagram", "whatsapp", "x", "web")
OUTLETS = day_out.CLOSURE["outlets"]
OVER = ("sent", "unknown", "refused", "blocked", "settled")
LEASE = {"desk": {"lease_s": 3600}, "notify": {"test_interval_s": 0}}


def conversations(desk, fault, count):
    """So many people write, evenly over the channels; all of their conversations, claimed: [(conversation, fence)]."""
    player = desk.make_player()
    fault.players[desk].append(player)
    writer = platforms.Writer(f"{fault.random.getrandbits(32):08x}", int(time.time() * 1000))
    plan, persons = [], set()
    for number in range(count):
        channel = CHANNELS[number % len(CHANNELS)]
        item = {**desk.item(channel=channel, person=f"person-{number}"), "at": "00:00:00"}
        # Telephone numbers come from a small range: two persons may have the same.
        persons.add((channel, writer.person(item)[-3:] if channel == "whatsapp" else item["person"]))
        plan.append((0.0, writer.web(item, False) if channel == "web" else writer.x(item, False) if channel == "x" else
                     writer.whatsapp([item]) if channel == "whatsapp" else writer.meta([item]), False))
    player.play(plan)

    def all_there():
        found = [key for key in desk.redis_cli("KEYS", "desg:{gwent}:conv:*") or []]
        return found if len(found) >= len(persons) else None
    names = [key.rsplit(":", 1)[1] for key in wait_until(all_there, 60, "all conversations")]
    desk.token(out.AGENT)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: (name, desk.claim(name)), names))


class Kills:
    """kill -9 of notify each second until told otherwise; started again by the harness's supervisor."""

    def __init__(self, fault, desk):
        self.supervisor = fault.supervise(desk, "notify", pause_s=0.1)
        self.fault, self.desk = fault, desk
        self.count = 0

    def until(self, is_over, seconds):
        deadline = time.monotonic() + seconds
        while not is_over() and time.monotonic() < deadline:
            self.fault.pause(1.0)
            process = self.desk.processes["notify"]
            if process.is_alive():
                process.signal(signal.SIGKILL)
                self.count += 1


def decide(desk, claimed, replies, broadcasts, may_begin=lambda portion: True):
    """All replies and broadcasts, a portion as soon as it may begin. ({item: text}, [broadcast])"""
    items, made = {}, []

    def answer(number):
        conversation, fence = claimed[number % len(claimed)]
        text = f"Thank you, this is our answer number {number}."
        item = desk.say(conversation, text, fence)
        items[item] = text

    def publish(number):
        road = f"B{4000 + number}"
        made.append(desk.release(road=road, en={**day_out.CLOSURE["en"], "headline": f"{road} closed"},
                                 cy={**day_out.CLOSURE["cy"], "headline": f"{road} ar gau"}))
    jobs = [(answer, number) for number in range(replies)] + [(publish, number) for number in range(broadcasts)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for portion in range(PORTIONS):
            wait_until(lambda: may_begin(portion), PORTION_S, f"portion {portion} may begin")
            for decided in [pool.submit(*job) for job in jobs[portion::PORTIONS]]:
                decided.result()
    assert len(items) == replies and len(made) == broadcasts
    return items, made


def states(desk, items):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(zip(items, pool.map(desk.item_now, items)))


def rows_of(desk, broadcasts):
    """[(broadcast, row)] of all outlets of all of them; none of one that Redis does not know again yet."""
    def rows(broadcast):
        status, shown = desk.ask("GET", f"/v1/broadcasts/{broadcast}")
        return [(broadcast, row) for row in shown["rows"]] if status == 200 else []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [pair for pairs in pool.map(rows, broadcasts) for pair in pairs]


def is_over(desk):
    """No place has anything left but what waits for a person."""
    status, places = desk.ask("GET", "/v1/places")
    asked, unknown = desk.ask("GET", "/v1/items?state=unknown&limit=2000")
    return status == asked == 200 and sum(place.get("waiting", 0) for place in places["places"]) <= len(unknown["items"])


def wait_decided(desk, items, broadcasts, seconds, open_states=()):
    """Waits until each item and each outlet's row is over, or waits for a person. ({item: told}, [(broadcast, row)])"""
    deadline = time.monotonic() + seconds
    while True:
        told, rows = states(desk, items), rows_of(desk, broadcasts)
        open_items = [item for item, now in told.items() if now["state"] not in OVER or now["state"] in open_states]
        open_rows = [(broadcast, row["outlet"], row["state"]) for broadcast, row in rows if row["state"] not in OVER]
        if not open_items and not open_rows and len(rows) == len(broadcasts) * len(OUTLETS):
            return told, rows
        assert time.monotonic() < deadline, (
            f"{len(open_items)} replies and {len(open_rows)} outlets still open: "
            f"{[told[item]['state'] for item in open_items[:5]]} {open_rows[:5]}, {len(rows)} rows")
        time.sleep(0.5)


def settle_unknown(desk, told, entries):
    """A person looks at the platform and says of each unknown reply what is so. Returns how many were there already."""
    there = 0
    taken = [entry["ref"] for entry in entries if entry["ref"]]
    for item, now in told.items():
        if now["state"] != "unknown":
            continue
        is_there = any(item in ref for ref in taken)
        there += is_there
        status, answer = desk.ask("POST", f"/v1/items/{item}/settlement", {"as": "there" if is_there else "again"})
        assert status == 200, f"{status} {answer}"
    return there


def assert_all_there(told, rows, entries):
    taken = {entry["object_id"] for entry in entries}
    lost = [item for item, now in told.items() if now["state"] == "sent" and not (now["object_ids"] and set(now["object_ids"]) <= taken)]
    assert not lost, f"said to be sent, and not there: {lost[:5]}"
    bad = {state: [item for item, now in told.items() if now["state"] == state][:5] for state in ("refused", "blocked")}
    assert not any(bad.values()), f"neither sent nor asked: {bad} {[told[i].get('error') for b in bad.values() for i in b]}"
    bad_rows = [(broadcast, row["outlet"], row["state"], row.get("error")) for broadcast, row in rows if row["state"] not in ("sent", "unknown")]
    assert not bad_rows, f"{bad_rows[:5]}"


def reckon(fault, desk, items, made, seconds):
    """Once the faults are over: waits until all is sent or asked, holds it against what the platforms took, and has a person answer."""
    told, rows = wait_decided(desk, items, made, seconds)
    entries = desk.took()
    unanswered = sum(entry["told"] != "answer" for entry in entries)
    fault.note("taken", len(entries))
    fault.note("never_answered", unanswered)
    assert unanswered > len(entries) * 0.02, "the faults did not happen"
    assert not posted_twice(entries), f"posted twice: {posted_twice(entries)[:5]}"
    assert_all_there(told, rows, entries)
    asked = [item for item, now in told.items() if now["state"] == "unknown"]
    asked_rows = [(row["outlet"], broadcast) for broadcast, row in rows if row["state"] == "unknown"]
    fault.note("asked_of_a_person", len(asked) + len(asked_rows))
    listed = set(desk.waiting("unknown&limit=2000"))
    assert set(asked) <= listed, f"{len(set(asked) - listed)} unknown ones nobody is asked about"
    keyed = [outlet for outlet, _ in asked_rows if outlet in ("mastodon", "subscriber", "radio", "feed")]
    assert not keyed, f"what has a key is never unknown: {keyed}"
    there = settle_unknown(desk, told, entries)
    fault.note("of_them_there", there)
    told, rows = wait_decided(desk, items, made, 120, open_states=("unknown",))
    again = [now["state"] for item, now in told.items() if now["state"] not in ("sent", "settled")]
    assert not again, f"after a person decided: {again[:5]}"
    entries = desk.took()
    assert not posted_twice(entries), f"posted twice: {posted_twice(entries)[:5]}"
    hashes = {entry["text_sha256"] for entry in entries if entry["place"] in PERSONAL}
    missing = [text for text in items.values() if outlet_apis.digest(text) not in hashes]
    assert not missing, f"{len(missing)} replies never reached their platform"
    desk.assert_all_alive()
    assert json.loads(desk.desg("audit", "verify", "--json", timeout=60).stdout)["whole"]


def admit_all(desk):
    for agent in (out.AGENT, out.COMMS, out.SECOND):
        desk.token(agent)


def be_bad(fault, desk, slow_ms, unanswered_share=0.1):
    """So many are taken and never answered, a twentieth comes too fast."""
    desk.outlets.control(silent_share=unanswered_share / 2, reset_share=unanswered_share / 2, limited_share=0.05, slow_ms=slow_ms,
                         seed=fault.seed)


def be_good(desk):
    desk.outlets.control(silent_share=0.0, reset_share=0.0, limited_share=0.0, slow_ms=0)


def play_outward(fault, replies, broadcasts, persons, slow_ms, seconds, unanswered_share=0.1):
    """slow_ms: what each platform takes for an answer, so that there is always something under way when notify is killed. Each
    portion is decided only after one kill more, so that a fast machine is not through before there were any."""
    changes = {**LEASE, "outward": {"unknown_after_s": 6, "lease_ms": 5000}}
    with fault.desk(kind=out.OutDesk, changes=changes) as desk:
        admit_all(desk)
        claimed = conversations(desk, fault, persons)
        be_bad(fault, desk, slow_ms, unanswered_share)
        kills = Kills(fault, desk)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            decided = pool.submit(decide, desk, claimed, replies, broadcasts, lambda portion: kills.count >= portion)
            kills.until(lambda: decided.done() and is_over(desk), seconds / 2)
            items, made = decided.result()
        be_good(desk)
        wait_until(lambda: desk.status("notify"), 30, "notify is up again")
        fault.note("kills", kills.count)
        reckon(fault, desk, items, made, seconds / 2)


def play_emptied(fault, replies, broadcasts, persons, times):
    """Redis forgets everything, or its last second, in the middle of it all: the journals of desk and notify bring back what was
    decided and what was sent."""
    changes = {**LEASE, "outward": {"unknown_after_s": 6, "lease_ms": 5000}}
    with fault.desk(kind=out.OutDesk, changes=changes) as desk:
        admit_all(desk)
        claimed = conversations(desk, fault, persons)
        desk.outlets.control(limited_share=1.0)
        items, made = decide(desk, claimed, replies, broadcasts)
        be_bad(fault, desk, 100)
        for turn in range(times):
            fault.pause(fault.random.uniform(2.0, 6.0))
            before = len(desk.took())
            how = ("emptied", "killed", "emptied with notify down")[turn % 3]
            if how == "killed":
                fault.kill(desk, "redis", 0.3)
                continue
            if how == "emptied with notify down":
                desk.processes["notify"].kill9()
            desk.redis_cli("FLUSHALL")
            if not desk.processes["notify"].is_alive():
                desk.restart("notify")
            wait_until(lambda: len(desk.took()) > before or is_over(desk), 90, "it goes on")
        be_good(desk)
        fault.note("turns", times)
        reckon(fault, desk, items, made, 200)


@row(52, "kill -9 notify each second: 1,000 replies, 50 broadcasts", limit_s=900.0)
def kill_notify_while_much_goes_out(fault):
    play_outward(fault, REPLIES, BROADCASTS, PERSONS, 100, 700.0)


@row(53, "the same, smaller: 60 replies, 4 broadcasts", quick=True)
def kill_notify_while_some_goes_out(fault):
    play_outward(fault, 60, 4, 20, 400, 160.0, unanswered_share=0.2)  # so few, and yet some are never answered


@row(54, "Redis emptied, killed, emptied with notify down, in it all", limit_s=600.0)
def empty_redis_while_much_goes_out(fault):
    play_emptied(fault, 150, 6, 40, 6)
