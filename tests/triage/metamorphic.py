"""metamorphic - changes to a message that must not change what becomes of it, and some that must.

Usage: metamorphic.py --desg PROGRAM --rules DIR [--model FILE] [--show] MESSAGES…

Of the urgent messages that triage flags, each is changed (metamorphic.yaml): please, a greeting or an emoji is added, accents are dropped, case
is changed, Welsh nouns are mutated, 2,000 characters of chat are put round it. No verdict may fall by that. Sentences are said in the other
language: no verdict may fall. What is negated, past, played or done with must fall. Counts what goes wrong against ceilings, as shares of what
was tried. Prints counts, with --show also ids and changes, never a message's text. Exit codes: 0 within all ceilings, 1 not.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

import yaml

SEVERITIES = ["unspecified", "routine", "attention", "review", "urgent", "life-at-risk"]
REVIEW = SEVERITIES.index("review")
CHAT_CHARACTERS = 2000
SOFT = [("ll", "l"), ("rh", "r"), ("c", "g"), ("p", "b"), ("t", "d"), ("g", ""), ("b", "f"), ("d", "dd"), ("m", "f")]
NASAL = [("c", "ngh"), ("p", "mh"), ("t", "nh"), ("g", "ng"), ("b", "m"), ("d", "n")]
ASPIRATE = [("c", "ch"), ("p", "ph"), ("t", "th")]
KEPT = ("ch", "dd", "ff", "ng", "ph", "th")  # letters of their own: they do not mutate


def no_accents(text):
    letters = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in letters if not unicodedata.combining(c)))


def mutate(radical, table):
    if radical.startswith(KEPT):
        return None
    for start, instead in table:
        if radical.startswith(start):
            return instead + radical[len(start):]
    return None


def forms_of(radical):
    forms = [radical] + [mutate(radical, table) for table in (SOFT, NASAL, ASPIRATE)]
    if no_accents(radical[0]) in "aeiouwy":
        forms.append("h" + radical)
    return [form for form in forms if form and len(form) > 2]


class Mutations:
    """All forms of each radical, found by any of them."""

    def __init__(self, radicals, other_words):
        self.forms = {}
        for radical in radicals:
            forms = forms_of(radical)
            for form in forms:
                if no_accents(form) not in other_words:
                    self.forms.setdefault(no_accents(form), forms)

    def of(self, text):
        """The text with one noun in another of its forms, for each noun and form."""
        for word in re.finditer(r"[^\W\d_]+", text):
            plain = no_accents(word.group().lower())
            for form in self.forms.get(plain, []):
                if no_accents(form) != plain:
                    yield text[:word.start()] + form + text[word.end():]


def chat_of(sentences, characters, offset=0):
    text = ""
    while len(text) < characters:
        text += sentences[offset % len(sentences)] + ". "
        offset += 7 if len(sentences) % 7 else 1
    return text


def unchanged_by(words, messages):
    """(change, base id, text) of every change that must not let a verdict fall."""
    mutations = Mutations(words["radicals"], words["other-words"])
    before = chat_of(words["chat"], CHAT_CHARACTERS // 2)
    behind = chat_of(words["chat"], CHAT_CHARACTERS // 2, 3)
    for message in messages:
        base, text = message["id"], message["text"]
        languages = ["en", "cy"] if message["lang"] == "mixed" else [message["lang"]]
        for change in ("please", "greeting"):
            for language in languages:
                for added in words[change][language]:
                    yield change, base, text + added if added.startswith(" ") else added + text
        for added in words["emoji"]:
            yield "emoji", base, text + added if added.startswith(" ") else added + text
        yield "no-accents", base, no_accents(text)
        yield "upper-case", base, text.upper()
        yield "lower-case", base, text.lower()
        if languages == ["cy"]:  # in mixed ones a form may be an English word
            for mutated in mutations.of(text):
                yield "mutated", base, mutated
        yield "in-chat", base, f"{before}{text} {behind}"
        yield "in-chat", base, f"{before}{behind}{text}"
        yield "in-chat", base, f"{text} {before}{behind}"


def judge(arguments, texts):
    """The severity of each text, as a number."""
    with tempfile.TemporaryDirectory() as folder:
        rows, verdicts = pathlib.Path(folder, "rows.jsonl"), pathlib.Path(folder, "verdicts.jsonl")
        with open(rows, "w", encoding="utf-8") as out:
            for number, text in enumerate(texts):
                out.write(json.dumps({"id": str(number), "text": text, "urgent": None}, ensure_ascii=False) + "\n")
        command = [arguments.desg, "triage", "--rules", arguments.rules, "--verdicts", str(verdicts), "--by", "", "--json", "--eval", str(rows)]
        if arguments.model:
            command += ["--model", arguments.model]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(verdicts, encoding="utf-8") as lines:
            return [SEVERITIES.index(json.loads(line)["severity"]) for line in lines]


class Counts:
    """What was tried and what went wrong, by change."""

    def __init__(self, is_shown):
        self.tried, self.wrong, self.lost = collections.Counter(), collections.Counter(), collections.Counter()
        self.is_shown = is_shown

    def add(self, change, name, base, now, is_wrong):
        self.tried[change] += 1
        self.wrong[change] += is_wrong
        self.lost[change] += is_wrong and now < REVIEW <= base
        if is_wrong and self.is_shown:
            print(f"  {change}: {name}: {SEVERITIES[base]} -> {SEVERITIES[now]}")

    def report(self, ceilings):
        is_good = True
        print(f"{'':16} {'tried':>6} {'wrong':>6} {'share':>7} {'ceiling':>8}  no longer flagged")
        for change, ceiling in ceilings.items():
            tried, wrong = self.tried[change], self.wrong[change]
            share = wrong / tried if tried else 0
            is_good = is_good and share <= ceiling
            mark = "" if share <= ceiling else "  TOO MANY"
            print(f"{change:16} {tried:6} {wrong:6} {share:7.3f} {ceiling:8.3f}  {self.lost[change]}{mark}")
        return is_good


def try_changes(arguments, words, counts):
    messages = [json.loads(line) for path in arguments.messages for line in open(path, encoding="utf-8")]
    messages = [message for message in messages if message["urgent"]]
    base = dict(zip((m["id"] for m in messages), judge(arguments, [m["text"] for m in messages])))
    flagged = [message for message in messages if base[message["id"]] >= REVIEW]
    changes = list(unchanged_by(words, flagged))
    for (change, name, _), now in zip(changes, judge(arguments, [text for _, _, text in changes])):
        counts.add(change, name, base[name], now, now < base[name])
    print(f"{len(flagged)} of {len(messages)} urgent messages are flagged; each of those is changed")


def try_sentences(arguments, words, counts):
    pairs = [(first["en"], first["cy"]) for first in words["sentences"]]
    texts = [f"{first} {second}" for en, cy in pairs
             for first, second in ((en[0], en[1]), (cy[0], cy[1]), (en[0], cy[1]), (cy[0], en[1]))]
    found = judge(arguments, texts)
    for number in range(len(pairs)):
        verdicts = found[4 * number:4 * number + 4]
        worst = max(verdicts)
        for kind, now in zip(("en en", "cy cy", "en cy", "cy en"), verdicts):
            if worst >= REVIEW:
                counts.add("other-language", f"sentences {number + 1} {kind}", worst, now, now < worst)
    print(f"{sum(max(found[i:i + 4]) >= REVIEW for i in range(0, len(found), 4))} of {len(pairs)} pairs of sentences are flagged in any language")


def try_turned(arguments, words, counts):
    turned = words["turned"]
    urgent = judge(arguments, [pair["urgent"] for pair in turned])
    calm = judge(arguments, [pair["calm"] for pair in turned])
    for number, pair in enumerate(turned):
        if urgent[number] >= REVIEW:
            counts.add("turned", f"{pair['lang']} {pair['how']} {number + 1}", urgent[number], calm[number], calm[number] >= urgent[number])
    print(f"{sum(severity >= REVIEW for severity in urgent)} of {len(turned)} things to turn are flagged as they are")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--desg", required=True)
    parser.add_argument("--rules", required=True)
    parser.add_argument("--model")
    parser.add_argument("--show", action="store_true", help="ids and changes of what goes wrong")
    parser.add_argument("messages", nargs="+")
    arguments = parser.parse_args()
    words = yaml.safe_load(pathlib.Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    chat = judge(arguments, [chat_of(words["chat"], CHAT_CHARACTERS)] + words["chat"])
    can_hide = max(chat) < REVIEW
    if not can_hide:
        print(f"the chat itself is flagged (sentence {chat.index(max(chat))}; 0: all of it): it can hide nothing, which is wrong, too")
    counts = Counts(arguments.show)
    try_changes(arguments, words, counts)
    try_sentences(arguments, words, counts)
    try_turned(arguments, words, counts)
    is_under_ceilings = counts.report(words["ceilings-with-model" if arguments.model else "ceilings"])
    sys.exit(0 if can_hide and is_under_ceilings else 1)


if __name__ == "__main__":
    main()
