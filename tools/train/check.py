#!/usr/bin/env python3
"""check - labels of message files, and near-duplicates within, between and against files.

Two messages are as close as the greater of two Jaccard measures: over their word 3-grams and over their character 5-grams, both of
the text in small letters without accents and punctuation. Only ids are printed, never a text.
"""
import argparse
import collections
import json
import math
import pathlib
import re
import sys
import unicodedata

KEYS = ["id", "lang", "text", "urgent", "category", "restricted", "flags", "spelling", "source"]
LANGS = {"en", "cy", "mixed"}
CATEGORIES = {
    "domestic-abuse", "sexual-offences", "missing-person", "suicide-self-harm", "violence-weapons", "child-at-risk", "hate-crime",
    "collision", "burglary", "stolen-vehicle", "anti-social-behaviour", "nuisance", "drugs", "intelligence", "fraud",
    "lost-property", "update-request", "complaint", "advice", "thanks", "emergency", "general",
}
RESTRICTED = {"none", "sexual-offence", "intelligence"}
FLAGS = {
    "life-at-risk", "weapon", "child", "suicide", "domestic", "missing", "injury", "in-progress", "hate", "vulnerable",
}
SPELLINGS = {"good", "casual", "poor"}
ALWAYS_RESTRICTED = {"sexual-offences": "sexual-offence", "intelligence": "intelligence"}


def label_faults(message):
    """What is wrong with the labels of one message, as a list of short texts."""
    if not isinstance(message, dict) or list(message) != KEYS:
        return ["keys missing, unknown or out of order"]
    faults = []
    for key, allowed in (("lang", LANGS), ("category", CATEGORIES), ("restricted", RESTRICTED), ("spelling", SPELLINGS)):
        if message[key] not in allowed:
            faults.append(f"{key} is not in the list")
    if not isinstance(message["urgent"], bool):
        faults.append("urgent is neither true nor false")
    flags = message["flags"]
    if not isinstance(flags, list) or not set(flags) <= FLAGS or len(set(flags)) != len(flags):
        faults.append("flags are not in the list, or twice")
    if not isinstance(message["text"], str) or not message["text"].strip():
        faults.append("no text")
    if ALWAYS_RESTRICTED.get(message["category"], message["restricted"]) != message["restricted"]:
        faults.append("category and restricted class do not agree")
    return faults


def plain(text):
    """Small letters, no accents, no apostrophes, anything else that is neither letter nor digit as one space."""
    letters = unicodedata.normalize("NFKD", text.lower())
    letters = "".join(c for c in letters if not unicodedata.combining(c))
    letters = re.sub(r"['’‘`]", "", letters)
    return re.sub(r"[^0-9a-z]+", " ", letters).strip() or text.strip()


def word_grams(text):
    words = plain(text).split()
    return frozenset(tuple(words[i:i + 3]) for i in range(max(1, len(words) - 2)))


def character_grams(text):
    padded = f" {plain(text)} "
    return frozenset(padded[i:i + 5] for i in range(max(1, len(padded) - 4)))


MEASURES = (word_grams, character_grams)


def jaccard(one, other):
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class Index:
    """Finds the texts at least `limit` near to a text, without measuring against each.

    Two sets that near must share one of their rarest grams (prefix filter), if all order grams alike: by a frequency table
    made beforehand, then by the gram itself.
    """

    def __init__(self, measure, limit, frequency):
        self.measure, self.limit, self.frequency = measure, limit, frequency
        self.grams = {}
        self.holders = collections.defaultdict(list)

    def _rarest(self, grams):
        ordered = sorted(grams, key=lambda gram: (self.frequency.get(gram, 0), gram))
        return ordered[:len(grams) - math.ceil(self.limit * len(grams)) + 1]

    def near(self, text):
        """Pairs (key, nearness) of the texts added so far."""
        grams = self.measure(text)
        keys = {key for gram in self._rarest(grams) for key in self.holders.get(gram, ())}
        return [(key, near) for key in keys if (near := jaccard(grams, self.grams[key])) >= self.limit]

    def add(self, key, text):
        grams = self.measure(text)
        self.grams[key] = grams
        for gram in self._rarest(grams):
            self.holders[gram].append(key)


def indexes(limit, texts):
    made = []
    for measure in MEASURES:
        frequency = collections.Counter(gram for text in texts for gram in measure(text))
        made.append(Index(measure, limit, frequency))
    return made


def near_pairs(messages, others, limit):
    """Triples (id, id of the other, nearness), nearest first. With `others`, pairs across the two lists only."""
    ours = indexes(limit, [message["text"] for message in messages + others])
    for index in ours:
        for number, message in enumerate(others):
            index.add(("other", number), message["text"])
    found = {}
    for number, message in enumerate(messages):
        for index in ours:
            for key, near in index.near(message["text"]):
                pair = (number, key)
                found[pair] = max(near, found.get(pair, 0))
            if not others:
                index.add(("own", number), message["text"])
    named = [(messages[number], (others if key[0] == "other" else messages)[key[1]], near) for (number, key), near in found.items()]
    return sorted(named, key=lambda pair: (-pair[2], pair[0]["id"], pair[1]["id"]))


def read(paths, faults):
    messages = []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    message = json.loads(line)
                except ValueError:
                    faults.append(f"{path}:{number}: not JSON")
                    continue
                wrong = label_faults(message)
                faults.extend(f"{path}:{number}: {fault}" for fault in wrong)
                if isinstance(message, dict) and isinstance(message.get("text"), str) and "id" in message:
                    messages.append(message)
    return messages


def repeated_ids(messages):
    counts = collections.Counter(message["id"] for message in messages)
    return [f"{name}: id used {count} times" for name, count in counts.items() if count > 1]


def print_counts(messages):
    for key in ("lang", "urgent", "restricted", "spelling", "source"):
        counts = collections.Counter(str(message.get(key)) for message in messages)
        print(f"{key}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    table = collections.Counter((message.get("category"), message.get("urgent")) for message in messages)
    print(f"{'category':24}{'urgent':>8}{'not':>8}")
    for category in sorted(CATEGORIES):
        print(f"{category:24}{table[category, True]:8}{table[category, False]:8}")


def split_against(options):
    """Lets `--against tests/*.jsonl messages/*.jsonl` be written without a mark between the two lists."""
    folder = pathlib.Path(options.against[0]).resolve().parent if options.against else None
    given = options.against
    options.against = [path for path in given if pathlib.Path(path).resolve().parent == folder]
    options.files = options.files + [path for path in given if pathlib.Path(path).resolve().parent != folder]


def main():
    parser = argparse.ArgumentParser(description="Checks labels and near-duplicates of message files.")
    parser.add_argument("--against", nargs="+", default=[], metavar="FILE", help="files nothing may be near to; those in another folder than the first are checked instead")
    parser.add_argument("--limit", type=float, default=0.5, help="how near is too near for --against (0.5)")
    parser.add_argument("--within", type=float, default=0.6, help="how near is too near among the files themselves (0.6)")
    parser.add_argument("--counts", action="store_true", help="print counts by label")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    split_against(options)
    if not options.files:
        parser.error("no files to check")

    faults = []
    messages = read(options.files, faults)
    faults.extend(repeated_ids(messages))
    # A pair that differs in urgent is a lesson ("is hitting", "used to hit"), not a repetition.
    alike = [pair for pair in near_pairs(messages, [], options.within) if pair[0]["urgent"] == pair[1]["urgent"]]
    faults.extend(f"near-duplicate {near:.2f}: {one['id']} {other['id']}" for one, other, near in alike)
    if options.against:
        others = read(options.against, [])
        leaks = near_pairs(messages, others, options.limit)
        faults.extend(f"leak {near:.2f}: {one['id']} {other['id']}" for one, other, near in leaks)
    for fault in faults:
        print(fault)
    if options.counts:
        print_counts(messages)
    print(f"{len(messages)} messages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
