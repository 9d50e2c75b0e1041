#!/usr/bin/env python3
"""rights - who may do what in Redis, read out of the code: writes users.acl and the table in README.md.

Usage: rights.py [--check]
Which functions of the library a service calls follows from its sources (services/NAME, lib/projector) through lib/store; which
commands a function runs, from lib/store/functions. Functions run with their caller's rights, so a user's line has just these.
--check changes nothing and says what differs. Exit codes: 0 done, or all is well; 1 something differs.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "deploy" / "redis"
FUNCTIONS = TOP / "lib" / "store" / "functions"
STORE = TOP / "lib" / "store"

CONTAINERS = ("CONFIG", "FUNCTION", "XGROUP")  # commands whose rights are given by subcommand
NO_MASTER = ("sentinel.c", "fault.c")  # asks the Sentinels, which have users of their own; names errors
PROJECTS = {"route": False, "notify": True, "desk": True, "cli": False}  # who runs lib/projector
LOADS = ("route",)  # who may load the function library
ADVISES = ("route",)  # who looks at the settings: their advice is route's to give
LOOKS = ("cli",)  # who may change nothing: leases that have ended go back without it
WRITES = {"hset", "sadd", "xadd", "zadd", "zrem"}  # of what they call
ALL_KEYS = "~desg:*"
READ_KEYS = "%R~desg:* %RW~desg:{*}:"  # FCALL wants its one key, the prefix itself, for reading and writing

WHO = {
    "route": "the service desg-route",
    "notify": "the service desg-notify",
    "desk": "the service desg-desk",
    "cli": "`desg status` of a person on the machine: looks only",
}
# Those that are no service. Redis's own manual names what a replica and a Sentinel need.
OTHERS = [
    ("replica", "", "+psync +replconf +ping", "a replica of this server: `masteruser replica`"),
    ("sentinel", "", "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname "
     "+client|kill +script|kill", "the Sentinels: `sentinel auth-user`"),
    ("operator", "", "+acl|list +acl|load +acl|log +acl|whoami +bgsave +bgrewriteaof +lastsave +config|get +config|set +config|rewrite "
     "+dbsize +failover +function|delete +function|list +function|stats +info +client|list +latency|latest +memory|usage +ping +replicaof +role +shutdown "
     "+wait", "a person who looks after Redis: sees no message, deletes none"),
    ("probe", "nopass", "+ping", "health checks: no password, and PING alone"),
]
WORD = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")


# --- the functions of the library ---

def lua_parts():
    """{name: its text} of whatever stands at the left margin of the library: functions and tables."""
    parts = {}
    for path in sorted(FUNCTIONS.glob("*.lua")):
        name = None
        for line in path.read_text("utf-8").splitlines():
            line = re.sub(r"--.*$", "", line)
            start = re.match(r"(?:local )?function ([\w.]+)|(?:local )?([\w.]+) *=", line)
            if start:
                name = start.group(1) or start.group(2)
            if name:
                parts[name] = parts.get(name, "") + line + "\n"
            if line in ("end", "}", "})"):
                name = None
    return parts


def lua_commands(parts, first):
    """The commands that first runs, with all it may call."""
    seen, todo, commands = set(), [first], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in parts:
            continue
        seen.add(name)
        for word, sub in re.findall(r"redis\.p?call\(\s*'([A-Z]+)'(?:,\s*'([A-Z]+)')?", parts[name]):
            commands.add(right(word, sub))
        todo += WORD.findall(parts[name])
    return commands


def right(word, sub=""):
    return (f"{word}|{sub}" if word in CONTAINERS else word).lower()


def registered():
    """{function: name of its Lua function}"""
    return dict(re.findall(r"^register\('(\w+)', ([\w.]+)", (FUNCTIONS / "register.lua").read_text("utf-8"), re.M))


# --- the code in C ---

def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def c_functions(folder, left_out=()):
    """{(file, name): body} and {name: file} of those seen outside their file. A function ends with a brace at the margin."""
    bodies, public = {}, {}
    for path in sorted(folder.glob("*.c")):
        if path.name in left_out:
            continue
        text = without_comments(path.read_text("utf-8"))
        for match in re.finditer(r"^((?:static )?[a-z][^;{}()=]*?)\b(\w+)\(([^;{}]*)\)\n\{\n(.*?)^\}", text, re.M | re.S):
            bodies[path.name, match.group(2)] = match.group(4)
            if not match.group(1).startswith("static"):
                public[match.group(2)] = path.name
    return bodies, public


def c_reach(bodies, public, first):
    """All that may run when the public function first is called: {(file, name)}."""
    seen, todo = set(), [(public[first], first)]
    while todo:
        file, name = todo.pop()
        if (file, name) in seen:
            continue
        seen.add((file, name))
        for word in set(re.findall(r"\b[a-z_]\w+\b", bodies[file, name])):
            if (file, word) in bodies:
                todo.append((file, word))
            elif word in public:
                todo.append((public[word], word))
    return seen


def used(patterns):
    words = set()
    for pattern in patterns:
        for path in TOP.glob(pattern):
            words |= set(re.findall(r"\b(store_\w+)\(", without_comments(path.read_text("utf-8"))))
    return words


def service_calls():
    """{user: (functions of the library, commands that it sends itself)}"""
    bodies, public = c_functions(STORE, NO_MASTER)
    names = registered()
    found = {}
    for user, projects in PROJECTS.items():
        words = used([f"services/{user}/*.c"] + (["lib/projector/*.c"] if projects else []))
        reach = set()
        for word in sorted(words & set(public)):
            reach |= c_reach(bodies, public, word)
        text = "\n".join(bodies[key] for key in sorted(reach))
        functions = {name for name in re.findall(r'\(\w+, "(\w+)"', text) if name in names}
        own = {right(word, sub) for word, sub in re.findall(r'\{\s*"([A-Z]{3,})"(?:,\s*"([A-Z]+)")?', text) if word != "AUTH"}
        own |= {word.lower() for word in re.findall(r'add_text\(\w+, "([A-Z]{3,})"\)|call_text\(\w+, "([A-Z]{3,})"\)', text) for word in word if word}
        own -= {"function|load"} if user not in LOADS else set()
        own -= {"config|get"} if user not in ADVISES else set()
        found[user] = (functions, own)
    return found


# --- what is written ---

def user_line(user, calls, parts, names):
    functions, own = calls
    commands = set(own)
    for function in functions:
        commands |= lua_commands(parts, names[function])
    commands -= WRITES if user in LOOKS else set()
    keys = READ_KEYS if user in LOOKS else ALL_KEYS
    return f"user {user} on sanitize-payload resetchannels {keys} -@all " + " ".join(f"+{command}" for command in sorted(commands))


# Nobody is the default user: it is off and has no password. But Redis reads its append-only file as this user, and up to 8.2 checks the
# rights at each EXEC: without them it drops whatever a function wrote, and starts without saying so but in its log.
DEFAULT_USER = "user default off resetpass sanitize-payload ~* &* +@all"


def acl(calls):
    parts, names = lua_parts(), registered()
    lines = [DEFAULT_USER]
    lines += [user_line(user, calls[user], parts, names) for user in PROJECTS]
    lines += [f"user {name} on{' ' + word if word else ''} sanitize-payload {'' if 'allchannels' in rights else 'resetchannels '}"
              + (f"-@all {rights}" if "allchannels" not in rights else f"allchannels -@all {rights.replace('allchannels ', '')}")
              for name, word, rights, _ in OTHERS]
    return "\n".join(lines) + "\n"


def table(calls):
    rows = ["| user | who | functions it calls |", "| --- | --- | --- |"]
    rows += [f"| `{user}` | {WHO[user]} | {' '.join(sorted(calls[user][0]))} |" for user in PROJECTS]
    rows += [f"| `{name}` | {who} | none |" for name, _, _, who in OTHERS]
    return "\n".join(rows)


def readme(calls):
    text = (HERE / "README.md").read_text("utf-8")
    return re.sub(r"^\| user \|.*?(?=^\n|\Z)", lambda _: table(calls) + "\n", text, flags=re.M | re.S)


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 1
    calls = service_calls()
    status = 0
    for path, text in ((HERE / "users.acl", acl(calls)), (HERE / "README.md", readme(calls))):
        if arguments and (not path.exists() or path.read_text("utf-8") != text):
            print(f"{path.relative_to(TOP)} is not what the code calls: run deploy/redis/rights.py and read what changed")
            status = 1
        elif not arguments:
            path.write_text(text, "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
