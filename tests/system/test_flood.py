"""A flood: many write the same of one event, and others write nearly the same of another."""
from desk import wait_until

STORY = "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away from the river"
COPIES = (STORY, f"RT @cwmnews24: {STORY}", f"Hi all, {STORY}!!", f"{STORY} 🔥🔥", STORY.upper(), STORY.replace("everywhere", "everywere"))
OTHERS = (STORY.replace("Abercwm", "Pentreglas"), STORY.replace("on fire", "not on fire"), f"{STORY} at junction 26",
          "There is a light on in the shop by the market and nobody answers the door")


def test_a_flood_is_marked_and_folded_and_nothing_else_is(make_desk):
    desk = make_desk(workers=1)
    desk.player = desk.make_player()
    # The oldest is what the others are held against: the story as it was written first.
    desk.post(desk.player, desk.item(STORY, person="p0"))
    desk.settle(desk.player)
    desk.post(desk.player, *(desk.item(text, person=f"p{number}") for number, text in enumerate((COPIES + OTHERS)[1:], 1)))
    desk.settle(desk.player)

    def rows():
        found = {}
        for queue in desk.json("queue"):
            for row in desk.queue(queue["name"]):
                found[desk.json("show", row["conversation"])["events"][0]["text"]] = {**row, "queue": queue["name"]}
        return found
    wait_until(lambda: len(rows()) == len(COPIES + OTHERS), 30, "all wait")
    found = rows()
    groups = {(row["queue"], row["severity"]) for text, row in found.items() if text in COPIES}
    for queue, severity in groups:
        alike = [row for text, row in found.items() if text in COPIES and (row["queue"], row["severity"]) == (queue, severity)]
        if len(alike) > 1:
            assert {row["alike"]["count"] for row in alike} == {len(alike)}
            assert len({row["alike"]["group"] for row in alike}) == 1
    marked = [row for text, row in found.items() if text in COPIES and "alike" in row]
    assert len(marked) >= len(COPIES) - 1, "one severity, as it is one text"
    for text in OTHERS:
        assert "alike" not in found[text], text
    queue = marked[0]["queue"]
    plain, folded = desk.desg("queue", queue).stdout, desk.desg("queue", queue, "--fold").stdout
    assert all(row["conversation"] in plain for row in marked), "unless asked, nothing is folded"
    assert f"+{len(marked) - 1} alike" in folded and sum(row["conversation"] in folded for row in marked) == 1
    assert all(found[text]["conversation"] in folded for text in OTHERS if found[text]["queue"] == queue)
    # Each is claimed by itself, and one that is claimed stays in sight.
    desk.json("claim", marked[2]["conversation"])
    folded = desk.desg("queue", queue, "--fold").stdout
    assert f"+{len(marked) - 2} alike" in folded and marked[2]["conversation"] in folded
