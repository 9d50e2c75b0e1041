"""valid - holds what is served to the public against the grammars in this folder; CAP also against the OASIS schema that
DESG_CAP_SCHEMA names, where it is set."""
import os
import pathlib
import subprocess

SCHEMAS = pathlib.Path(__file__).parent


def _checks(kind):
    yield "--relaxng", SCHEMAS / {"cap": "cap12.rng", "atom": "atom.rng"}[kind]
    official = os.environ.get("DESG_CAP_SCHEMA")
    if kind == "cap" and official:
        yield "--schema", official


def faults(kind, *documents):
    """What xmllint finds wrong with these documents (str or bytes) of kind cap or atom; "" if they are valid."""
    found = []
    for document in documents:
        content = document.encode() if isinstance(document, str) else document
        for option, grammar in _checks(kind):
            done = subprocess.run(["xmllint", "--noout", "--nonet", option, str(grammar), "-"], input=content, capture_output=True,
                                  timeout=30, check=False)
            if done.returncode != 0:
                found.append(done.stderr.decode("utf-8", "replace") or f"xmllint ended with {done.returncode}")
    return "".join(found)
