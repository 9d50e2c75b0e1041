#!/usr/bin/env python3
"""expand - training messages from a file of templates, with spelling noise. The format is in README.md.

The same seed, count and file give the same bytes: draws come from SHA-256, not from Python's generator.
"""
import argparse
import hashlib
import json
import re
import sys
import unicodedata

import yaml

import check

NEAREST = 0.55  # two expansions nearer than this are one
TRIES = 60  # for one more message of a template, before it is taken to be exhausted
SPELLING_SHARES = (("good", 35), ("casual", 40), ("poor", 25))
FILE_KEYS = {"lang", "slots", "noise", "templates"}
TEMPLATE_KEYS = {"id", "lang", "urgent", "category", "restricted", "flags", "slots", "text"}
NOISE_KEYS = {"greetings", "please", "closings", "closings_urgent", "emoji", "emoji_urgent", "text_speak", "typos", "protect"}
SLOT = re.compile(r"\{([a-z_]+)(?::(\d))?\}")
BESIDE = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioiosdfghjkljxcvbnmn"))  # the key to the right, or to the left at the end of a row
WORD = re.compile(r"[^\W\d_][\w'’]*")


class FaultyTemplates(Exception):
    pass


class Draw:
    """Random numbers that only depend on the key."""

    def __init__(self, key):
        self.key, self.number = key, 0

    def below(self, limit):
        self.number += 1
        digest = hashlib.sha256(f"{self.key}:{self.number}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def chance(self, percent):
        return self.below(100) < percent

    def one_of(self, values):
        return values[self.below(len(values))]


# --- filling a template ---

def split_alternatives(text):
    """The parts of "a|b[c|d]|e" between bars that are not in brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "|" and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return parts + [text[start:]]


def closing_bracket(text, opening):
    depth = 0
    for at in range(opening, len(text)):
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise FaultyTemplates(f"a bracket is not closed: {text[opening:opening + 30]}")


def choose_alternatives(text, draw):
    while (opening := text.find("[")) >= 0:
        closing = closing_bracket(text, opening)
        chosen = draw.one_of(split_alternatives(text[opening + 1:closing]))
        text = text[:opening] + chosen + text[closing + 1:]
    return text


def fill_slots(text, slots, draw):
    taken = {}

    def value(match):
        name = match[1]
        given = taken.setdefault(name, {})
        which = match[2] or "1"
        if which not in given:
            free = [each for each in slots[name] if each not in given.values()]
            given[which] = draw.one_of(free)
        return given[which]

    return SLOT.sub(value, text)


def tidy(text):
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.?!;])", r"\1", text)
    text = re.sub(r"([.?!])\1*,", r"\1", text)
    return re.sub(r"(^|[.?!] )([^\W\d_])", lambda match: match[1] + match[2].upper(), text)


# --- spelling noise ---

# Words that begin a text and are no names: they lose their capital behind a greeting.
ORDINARY_FIRST_WORDS = {
    "a", "an", "the", "there", "there's", "my", "our", "your", "his", "her", "he", "she", "it", "we", "they", "you", "some", "someone",
    "somebody", "is", "are", "was", "can", "could", "how", "what", "who", "where", "when", "why", "which", "do", "does", "did", "has", "have", "any",
    "about", "if", "for", "in", "on", "by", "at", "just", "not", "no", "please", "found", "left", "lost", "thank", "nobody",
    "mae", "mae'r", "oes", "dw", "dwi", "fy", "ein", "yr", "y", "roedd", "wnaeth", "beth", "ble", "pryd", "sut", "pwy", "pam", "rydw", "rydyn",
    "mi", "mae’r", "plîs", "os", "allwch", "ydy", "ydych", "ddaru", "gaf", "ga", "dyw", "dydy", "nid", "does",
}


def without_accents(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def replace_words(text, table, draw, percent):
    """Puts other spellings of words and phrases in, each with the given chance."""
    for word in sorted(table, key=lambda each: (-len(each), each)):
        others = table[word] if isinstance(table[word], list) else [table[word]]
        pattern = re.compile(rf"(?<![\w'’]){re.escape(word)}(?![\w'’])", re.IGNORECASE)
        text = pattern.sub(lambda match: draw.one_of(others) if draw.chance(percent) else match[0], text)
    return text


def misspell(word, draw):
    """One letter inside the word doubled, dropped, swapped with the next, or hit beside on the keyboard."""
    at = 1 + draw.below(len(word) - 2)
    kind = draw.below(4)
    if kind == 0:
        return word[:at] + word[at] + word[at:]
    if kind == 1:
        return word[:at] + word[at + 1:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]
    return word[:at] + BESIDE.get(word[at], word[at]) + word[at + 1:]


def misspell_words(text, protect, draw, percent):
    def maybe(match):
        word = match[0]
        if len(word) < 4 or word.lower() in protect or not draw.chance(percent):
            return word
        return misspell(word, draw)

    return WORD.sub(maybe, text)


def lose_spaces(text, draw, percent):
    return "".join("" if c == " " and draw.chance(percent) else c for c in text)


def casual(text, noise, draw):
    if draw.chance(75):
        text = text.lower()
    if draw.chance(70):
        text = re.sub(r"['’]", "", text)
    if draw.chance(60):
        text = without_accents(text)
    if draw.chance(50):
        text = re.sub(r"[.,;]", "", text)
    elif text.endswith("."):
        text = text[:-1]
    return replace_words(text, noise.get("text_speak", {}), draw, 35)


def poor(text, noise, draw):
    text = replace_words(text, noise.get("typos", {}), draw, 50)
    text = casual(text, noise, draw)
    text = misspell_words(text, set(noise.get("protect", [])), draw, 9)
    return lose_spaces(text, draw, 3)


def join(first, second):
    return f"{first} {second}" if first and second else first or second


def after(opening, text):
    """The text after a greeting: its first letter is made small, if the first word is the same in both and the opening goes on."""
    first = text.split(" ")[0]
    goes_on = opening[-1] not in ".?!"
    if goes_on and first.lower() in ORDINARY_FIRST_WORDS:
        text = text[0].lower() + text[1:]
    return f"{opening} {text}"


def surround(text, spelling, urgent, noise, draw):
    """A greeting, a please, a closing, each in some messages. Those of good spelling get only the first please of the list."""
    end = "_urgent" if urgent else ""
    if noise.get("please") and draw.chance(8):
        word = noise["please"][0] if spelling == "good" else draw.one_of(noise["please"])
        text = after(word, text) if draw.chance(50) else f"{text.rstrip('.')} {word}."
    if noise.get("greetings") and draw.chance(15 if urgent else 25):
        mark = draw.one_of([",", ",", "."] if spelling == "good" else [",", "", "."])
        text = after(draw.one_of(noise["greetings"]) + mark, text)
    if noise.get("closings" + end) and draw.chance(18):
        text = join(text, draw.one_of(noise["closings" + end]) + ".")
    return tidy(text)


def spelling_of(draw):
    number = draw.below(100)
    for name, share in SPELLING_SHARES:
        if number < share:
            return name
        number -= share
    raise AssertionError("the shares do not add up to 100")


def roughen(text, spelling, urgent, noise, draw):
    text = surround(text, spelling, urgent, noise, draw)
    if spelling == "casual":
        text = casual(text, noise, draw)
    elif spelling == "poor":
        text = poor(text, noise, draw)
    emoji = noise.get("emoji_urgent" if urgent else "emoji")
    if emoji and spelling != "good" and draw.chance(14):
        text = join(text, draw.one_of(emoji))
    return text


# --- reading a file of templates ---

def demand(condition, text):
    if not condition:
        raise FaultyTemplates(text)


def check_template(template, shared, fewest):
    name = template.get("id", "a template without id")
    demand(set(template) <= TEMPLATE_KEYS and {"id", "urgent", "category", "flags", "text"} <= set(template), f"{name}: keys")
    own = template.get("slots", {})
    used = {match[1] for text in template["text"] for match in SLOT.finditer(text)}
    unknown = used - set(own) - set(shared)
    demand(not unknown, f"{name}: unknown slots {sorted(unknown)}")
    demand(set(own) <= used, f"{name}: slots not used {sorted(set(own) - used)}")
    for text in template["text"]:
        demand(isinstance(text, str) and text.count("[") == text.count("]"), f"{name}: a text is no text, or its brackets do not pair")
        demand("{" not in SLOT.sub("", text) and "}" not in SLOT.sub("", text), f"{name}: a brace is no slot")
    for slot, values in shared.items():
        demand(len(values) >= fewest, f"slot {slot} has {len(values)} values")
    for values in list(own.values()) + list(shared.values()):
        demand(len(set(map(str, values))) == len(values), f"{name}: a slot has a value twice")
        demand(all(isinstance(value, str) for value in values), f"{name}: a value is not text (quote it)")
    return used


def check_noise(noise):
    demand(set(noise) <= NOISE_KEYS, "unknown keys in noise")
    for key, values in noise.items():
        entries = list(values)
        if isinstance(values, dict):
            entries += [other for others in values.values() for other in (others if isinstance(others, list) else [others])]
        # YAML reads an unquoted no, yes, on or off as true or false.
        demand(all(isinstance(entry, str) for entry in entries), f"noise {key} has an entry that is not text (quote it)")


def read_templates(path, fewest):
    with open(path, encoding="utf-8") as lines:
        content = yaml.safe_load(lines)
    demand(set(content) <= FILE_KEYS, "unknown keys at the top of the file")
    check_noise(content.get("noise", {}))
    names = [template.get("id") for template in content["templates"]]
    demand(len(set(names)) == len(names), "a template's id is used twice")
    used = set()
    for template in content["templates"]:
        used |= check_template(template, content["slots"], fewest)
    demand(set(content["slots"]) <= used, f"slots nothing uses: {sorted(set(content['slots']) - used)}")
    return content


# --- making messages ---

class Expander:
    def __init__(self, content, seed):
        self.content, self.seed = content, seed
        self.noise = content.get("noise", {})
        self.made = {}
        self.exhausted = set()
        self.indexes = [check.Index(measure, NEAREST, {}) for measure in check.MEASURES]
        self.tried = {}

    def is_near(self, text):
        return any(index.near(text) for index in self.indexes)

    def fresh_text(self, template):
        """A filled text unlike all before, with the draw that noise goes on with; None if there is none left."""
        slots = self.content["slots"] | template.get("slots", {})
        for _ in range(TRIES):
            number = self.tried[template["id"]] = self.tried.get(template["id"], 0) + 1
            draw = Draw(f"{self.seed}:{self.content['lang']}:{template['id']}:{number}")
            # In turn rather than drawn, so that each text is used about as often.
            text = template["text"][number % len(template["text"])]
            text = tidy(fill_slots(choose_alternatives(text, draw), slots, draw))
            if not self.is_near(text):
                return text, draw
        return None

    def one_more(self, template):
        fresh = self.fresh_text(template)
        if fresh is None:
            self.exhausted.add(template["id"])
            return None
        text, draw = fresh
        for index in self.indexes:
            index.add((template["id"], self.tried[template["id"]]), text)
        count = self.made[template["id"]] = self.made.get(template["id"], 0) + 1
        spelling = spelling_of(draw)
        message = {
            "id": f"tmpl-{self.content['lang']}-{template['id']}-{count:03}",
            "lang": template.get("lang", self.content["lang"]),
            "text": roughen(text, spelling, template["urgent"], self.noise, draw),
            "urgent": template["urgent"],
            "category": template["category"],
            "restricted": template.get("restricted", "none"),
            "flags": template["flags"],
            "spelling": spelling,
            "source": "desk-template",
        }
        faults = check.label_faults(message)
        demand(not faults, f"{template['id']}: {'; '.join(faults)}")
        return message

    def messages(self, count):
        """One message of each template in turn, until there are enough or nothing new comes."""
        left = count
        while left > 0:
            open_templates = [each for each in self.content["templates"] if each["id"] not in self.exhausted]
            if not open_templates:
                return
            for template in open_templates[:left]:
                message = self.one_more(template)
                if message is not None:
                    left -= 1
                    yield message


def main():
    parser = argparse.ArgumentParser(description="Prints training messages made from templates, as JSON Lines.")
    parser.add_argument("--seed", required=True, help="any text")
    parser.add_argument("--count", type=int, required=True, help="how many messages")
    parser.add_argument("--fewest", type=int, default=15, help="values a shared slot must have (15)")
    parser.add_argument("templates")
    options = parser.parse_args()
    made = 0
    try:
        for message in Expander(read_templates(options.templates, options.fewest), options.seed).messages(options.count):
            print(json.dumps(message, ensure_ascii=False))
            made += 1
    except FaultyTemplates as fault:
        print(f"expand: {options.templates}: {fault}", file=sys.stderr)
        return 1
    if made < options.count:
        print(f"expand: only {made} messages are unlike enough, {options.count} were wanted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
