"""outlet_apis - what each platform does with a request: the Send API, WhatsApp's, X's, a Page's feed, Mastodon's, a subscriber's,
a mail gateway's. Each answers as its platform does, errors and headers included; faults of the way there and back are outlets.py's.

A route is a function of (place, request, what its path named) that returns an Answer or raises Refusal. It calls place.accept()
at the moment from which the platform has it.
"""
import base64
import calendar
import hashlib
import hmac
import json
import re
import time
import unicodedata
import urllib.parse

ROUTES = []  # (kinds of place, method, pattern of the path behind the place's name, function)
META_KINDS = ("facebook", "instagram", "whatsapp")
X_WEIGHT, X_URL, X_MAX = 100, 23, 280
LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
URL = re.compile(r"https?://[^\s]+")
EMOJI = re.compile("(?:[\U0001F1E6-\U0001F1FF]{2}|[0-9#*]\ufe0f?\u20e3|[\u203c-\u3299\U0001F000-\U0001FAFF](?:\ufe0f|[\U0001F3FB-\U0001F3FF]"
                   "|[\U000E0020-\U000E007F]|\u200d[\u2640-\u2B1B\U0001F300-\U0001FAFF])*)")
TEXT_LIKE = set("‼⁉™ℹ…•€")
LATEST_MAX = 100


class Answer:
    def __init__(self, status, value=None, headers=()):
        self.status, self.value, self.headers = status, value, list(headers)


class Refusal(Exception):
    """The platform's own no: nothing was taken."""

    def __init__(self, status, value, headers=()):
        super().__init__(status)
        self.answer = Answer(status, value, headers)


def route(kinds, method, pattern):
    def register(function):
        ROUTES.append((kinds, method, re.compile(pattern + r"\Z"), function))
        return function
    return register


def find(kind, method, path):
    """(function, what the path named); (None, None) if that platform has no such thing."""
    for kinds, wanted, pattern, function in ROUTES:
        match = pattern.match(path) if wanted == method and kind in kinds else None
        if match:
            return function, match.groupdict()
    return None, None


class Request:
    """What came: parameters of query, form and JSON in one, as the platforms take them."""

    def __init__(self, method, url, headers, body):
        split = urllib.parse.urlsplit(url)
        self.method, self.headers, self.body = method, headers, body
        self.url = urllib.parse.urlunsplit((split.scheme, split.netloc, split.path, "", ""))
        self.query = urllib.parse.parse_qsl(split.query, keep_blank_values=True)
        self.form = []
        self.json = None
        kind = headers.get("Content-Type", "").split(";")[0].strip()
        if kind == "application/x-www-form-urlencoded":
            self.form = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)
        elif body and kind.endswith("json"):
            self.json = json.loads(body)

    def get(self, name, default=None):
        if isinstance(self.json, dict) and name in self.json:
            return self.json[name]
        return dict(self.query + self.form).get(name, default)

    def bearer(self):
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if word == "Bearer" else ""


def is_same(one, other):
    return hmac.compare_digest(one.encode(), other.encode())


# --- Meta: Messenger, Instagram, WhatsApp, a Page's feed ---

META = r"(?:v\d+\.\d+/)?"


def meta_refusal(status, code, subcode=0, headers=(), details=None):
    error = {"message": f"(#{code}) refused as the platform does", "type": "OAuthException", "code": code, "fbtrace_id": "A1b2"}
    if subcode:
        error["error_subcode"] = subcode
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return Refusal(status, {"error": error}, headers)


def meta_allow(place, request, code=613):
    """Token and limits, as the Graph API judges them. Returns the usage headers."""
    token = request.bearer() or str(request.get("access_token", ""))
    if place.options["token_dead"] or not is_same(token, place.secret("token")):
        raise meta_refusal(401 if place.kind == "whatsapp" else 400, 190, 0 if place.kind == "whatsapp" else 463)
    if place.options["is_restricted"]:
        raise meta_refusal(400, 10, 1893063)
    used, _reset_s = place.use()
    usage = json.dumps({"call_count": place.usage(), "total_time": 1, "total_cputime": 1})
    headers = [("X-Page-Usage", usage)] if place.kind == "facebook" else [("X-App-Usage", usage)]
    if used > 100:
        raise meta_refusal(429 if code == 613 else 400, code, headers=headers)
    return headers


def meta_account(place, account):
    if account not in ("me", place.account):
        raise meta_refusal(400, 100, 33)


@route(META_KINDS, "POST", META + r"(?P<account>\w+)/messages")
def meta_message(place, request, account):
    meta_account(place, account)
    if place.kind == "whatsapp":
        return whatsapp_message(place, request)
    headers = meta_allow(place, request)
    message, person = request.get("message"), request.get("recipient")
    message = json.loads(message) if isinstance(message, str) else message
    person = json.loads(person) if isinstance(person, str) else person
    if not isinstance(message, dict) or not isinstance(person, dict) or not isinstance(message.get("text"), str):
        raise meta_refusal(400, 100)
    text, metadata, number = message["text"], message.get("metadata", ""), str(person.get("id", ""))
    is_long = len(text.encode()) > 1000 if place.kind == "instagram" else len(text) >= 2000
    if not text or is_long or len(metadata) >= 1000:
        raise meta_refusal(400, 100)
    kind, tag = request.get("messaging_type"), request.get("tag")
    if kind not in ("RESPONSE", "UPDATE", "MESSAGE_TAG") or (kind == "MESSAGE_TAG") != (tag == "HUMAN_AGENT"):
        raise meta_refusal(400, 100)
    if number in place.options["gone"]:
        raise meta_refusal(400, 551, 1545041)
    if place.is_window_closed(number) and not (tag and place.options["has_human_agent"]):
        raise meta_refusal(400, 10, 2534022 if place.kind == "instagram" else 2018278)
    made = place.accept("message", "m_out", text, ref=metadata, person=number, tag=tag or "")
    place.echo(made, metadata=metadata)
    return Answer(200, {"recipient_id": number, "message_id": made["object_id"]}, headers)


def whatsapp_message(place, request):
    headers = meta_allow(place, request, 130429)
    body = request.json or {}
    text, person = (body.get("text") or {}).get("body"), str(body.get("to") or body.get("recipient", ""))
    if body.get("messaging_product") != "whatsapp" or body.get("type") != "text" or not text or len(text) > 4096 or not person:
        raise meta_refusal(400, 100)
    if person in place.options["gone"]:
        raise meta_refusal(400, 131026)
    if place.is_window_closed(person):
        raise meta_refusal(400, 131047, details="More than 24 hours have passed")
    mark = body.get("biz_opaque_callback_data", "")
    made = place.accept("message", "wamid.OUT", text, ref=mark, person=person,
                        answers=(body.get("context") or {}).get("message_id", ""))
    place.echo(made, metadata=mark)
    return Answer(200, {"messaging_product": "whatsapp", "contacts": [{"input": person, "wa_id": person}],
                        "messages": [{"id": made["object_id"]}]}, headers)


@route(META_KINDS, "POST", META + r"(?P<account>\w+)/feed")
def page_post(place, request, account):
    meta_account(place, account)
    headers = meta_allow(place, request, 32)
    text = request.get("message")
    if not text or len(text) > 63206:
        raise meta_refusal(400, 100)
    if place.options["refuses_duplicates"] and text in place.texts("post")[:1]:
        raise meta_refusal(400, 506, 1455006)
    made = place.accept("post", f"{place.account}_", text)
    place.echo(made)
    return Answer(200, {"id": made["object_id"]}, headers)


@route(META_KINDS, "GET", META + r"(?P<account>\w+)/(?:feed|posts|published_posts)")
def page_posts(place, request, account):
    meta_account(place, account)
    headers = meta_allow(place, request)
    rows = [{"id": made["object_id"], "message": made["text"], "created_time": stamp(made["at_ms"], "+0000")}
            for made in place.newest("post")]
    return page_of(request, rows, headers)


@route(META_KINDS, "GET", META + r"(?P<account>\w+)/conversations")
def page_conversations(place, request, account):
    """What the Page and one person said last, the person named by user_id."""
    meta_account(place, account)
    headers = meta_allow(place, request)
    person = request.get("user_id", "")
    rows = [{"id": made["object_id"], "message": made["text"], "created_time": stamp(made["at_ms"], "+0000"),
             "from": {"id": place.account}} for made in place.newest("message", LATEST_MAX) if made["person"] == person]
    return Answer(200, {"data": [{"id": f"t_{person}", "messages": {"data": rows}}]}, headers)


@route(META_KINDS, "GET", META + r"(?P<account>\w+)")
def meta_object(place, request, account):
    """The probe asks for the account itself; a post of the Page can be read, too."""
    headers = meta_allow(place, request)
    made = place.objects.get(account)
    if made:
        return Answer(200, {"id": account, "message": made["text"], "created_time": stamp(made["at_ms"], "+0000")}, headers)
    meta_account(place, account)
    return Answer(200, {"id": place.account}, headers)


@route(META_KINDS, "POST", META + r"(?P<post>\d+_\w+)/comments")
def page_comment(place, request, post):
    headers = meta_allow(place, request, 32)
    if post not in place.objects or not request.get("message"):
        raise meta_refusal(400, 100, 33)
    made = place.accept("comment", f"{post.split('_')[1]}_", request.get("message"), parent=post)
    return Answer(200, {"id": made["object_id"]}, headers)


@route(META_KINDS, "GET", META + r"(?P<post>\d+_\w+)/comments")
def page_comments(place, request, post):
    headers = meta_allow(place, request)
    rows = [{"id": made["object_id"], "message": made["text"], "created_time": stamp(made["at_ms"], "+0000")}
            for made in place.newest("comment") if made["parent"] == post]
    return page_of(request, rows, headers)


def page_of(request, rows, headers):
    """The newest of them, and whether there are more."""
    limit = limit_of(request, "limit", 25)
    paging = {"next": f"{request.url}?after={limit}"} if len(rows) > limit else {}
    return Answer(200, {"data": rows[:limit], "paging": paging}, headers)


@route(META_KINDS, "POST", META + r"(?P<post>\d+_\w+)")
def page_edit(place, request, post):
    headers = meta_allow(place, request)
    if post not in place.objects or place.options["refuses_edit"]:
        raise meta_refusal(400, 100, 33)
    place.change(post, request.get("message"))
    return Answer(200, {"success": True}, headers)


@route(META_KINDS, "DELETE", META + r"(?P<post>\d+_\w+)")
def page_delete(place, request, post):
    headers = meta_allow(place, request)
    if post not in place.objects or place.options["refuses_delete"]:
        raise meta_refusal(400 if post not in place.objects else 403, 100 if post not in place.objects else 200, 33)
    place.remove(post)
    return Answer(200, {"success": True}, headers)


# --- X ---

def oauth_signature(method, url, parameters, consumer_secret, token_secret):
    """base64(HMAC-SHA1) as RFC 5849, section 3.4, has it; parameters: query, form and oauth_… but the signature."""
    def quote(value):
        return urllib.parse.quote(value, safe="-._~")
    pairs = "&".join(f"{key}={value}" for key, value in sorted((quote(key), quote(value)) for key, value in parameters))
    base = "&".join(quote(part) for part in (method, url, pairs))
    key = f"{quote(consumer_secret)}&{quote(token_secret)}".encode()
    return base64.b64encode(hmac.digest(key, base.encode(), "sha1")).decode()


def oauth_parameters(header):
    """Those of an Authorization header; None if it is no such header."""
    word, _, rest = header.partition(" ")
    if word != "OAuth":
        return None
    found = re.findall(r'\s*([a-z_]+)="([^"]*)"\s*(?:,|\Z)', rest)
    return [(key, urllib.parse.unquote(value)) for key, value in found if key != "realm"]


def x_refusal(status, code, detail, headers=()):
    return Refusal(status, {"title": "Forbidden", "status": status, "detail": detail, "type": "about:blank",
                            "errors": [{"code": code, "message": detail}]}, headers)


def x_is_signed(place, request):
    given = dict(oauth_parameters(request.headers.get("Authorization", "")) or [])
    signature = given.pop("oauth_signature", "")
    wanted = {"oauth_consumer_key": place.secret("consumer_key"), "oauth_token": place.secret("token"),
              "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0"}
    if any(given.get(key) != value for key, value in wanted.items()):
        return False
    if not given.get("oauth_timestamp", "").isdigit() or abs(int(given["oauth_timestamp"]) - time.time()) > 300:
        return False
    expected = oauth_signature(request.method, request.url, list(given.items()) + request.query + request.form,
                               place.secret("consumer_secret"), place.secret("token_secret"))
    return is_same(signature, expected) and place.is_new_nonce(given.get("oauth_nonce", ""))


def x_allow(place, request):
    if place.options["token_dead"] or not x_is_signed(place, request):
        raise x_refusal(401, 32 if not place.options["token_dead"] else 89, "Unauthorized")
    used, reset_s = place.use()
    limit = place.options["rate_limit"] or 100
    headers = [("x-rate-limit-limit", str(limit)), ("x-rate-limit-remaining", str(max(0, limit - used * limit // 100))),
               ("x-rate-limit-reset", str(reset_s))]
    if used > 100:
        raise x_refusal(429, 88, "Too Many Requests", headers)
    return headers


def x_only(body, *names):
    if not isinstance(body, dict) or set(body) - set(names):
        raise x_refusal(400, 214, "One or more parameters to your request was invalid.")


def x_length(text):
    """Weighted length, hundredths rounded up, of twitter-text's third configuration."""
    text = unicodedata.normalize("NFC", text)
    weight = 0
    position = 0
    while position < len(text):
        url, emoji = URL.match(text, position), EMOJI.match(text, position)
        if url:
            weight += X_URL * X_WEIGHT
            position = url.end()
        elif emoji and emoji.group() not in TEXT_LIKE and (len(emoji.group()) > 1 or ord(emoji.group()) >= 0x231A):
            weight += 2 * X_WEIGHT
            position = emoji.end()
        else:
            code = ord(text[position])
            weight += X_WEIGHT if any(low <= code <= high for low, high in LIGHT) else 2 * X_WEIGHT
            position += 1
    return -(-weight // X_WEIGHT)


@route(("x",), "POST", r"2/tweets")
def x_post(place, request):
    headers = x_allow(place, request)
    x_only(request.json, "text", "reply", "made_with_ai", "edit_options", "reply_settings", "media")
    text, parent = request.json.get("text", ""), (request.json.get("reply") or {}).get("in_reply_to_tweet_id", "")
    if not text or x_length(text) > X_MAX:
        raise x_refusal(403, 186, "Tweet needs to be a bit shorter.")
    if parent and parent not in place.objects:
        raise x_refusal(403, 385, "You attempted to reply to a Tweet that is deleted or not visible to you.")
    if place.options["refuses_duplicates"] and text in place.texts("post"):
        raise x_refusal(403, 187, "You are not allowed to create a Tweet with duplicate content.")
    made = place.accept("post", "20000000000000", text, parent=parent)
    place.echo(made)
    return Answer(201, {"data": {"id": made["object_id"], "text": text, "edit_history_tweet_ids": [made["object_id"]]}}, headers)


@route(("x",), "DELETE", r"2/tweets/(?P<post>\d+)")
def x_delete(place, request, post):
    headers = x_allow(place, request)
    if place.options["refuses_delete"]:
        raise x_refusal(403, 179, "You are not permitted to perform this action.")
    was_there = post in place.objects
    if was_there:
        place.remove(post)
    return Answer(200, {"data": {"deleted": was_there}}, headers)


@route(("x",), "GET", r"2/tweets/(?P<post>\d+)")
def x_one(place, request, post):
    headers = x_allow(place, request)
    made = place.objects.get(post)
    if not made:
        return Answer(200, {"errors": [{"title": "Not Found Error", "detail": "Could not find tweet", "resource_id": post}]}, headers)
    return Answer(200, {"data": {"id": post, "text": made["text"]}}, headers)


@route(("x",), "GET", r"2/users/(?P<user>\d+)/tweets")
def x_posts(place, request, user):
    headers = x_allow(place, request)
    if user != place.account:
        raise x_refusal(404, 34, "Not found")
    rows = [{"id": made["object_id"], "text": made["text"], "created_at": stamp(made["at_ms"], ".000Z")}
            for made in place.newest("post")]
    return x_page_of(request, rows, headers, 10)


def x_page_of(request, rows, headers, default):
    """The newest of them, and whether there are more; an empty list is not there at all."""
    limit = limit_of(request, "max_results", default)
    meta = {"result_count": len(rows[:limit])} | ({"next_token": f"t{limit}"} if len(rows) > limit else {})
    return Answer(200, ({"data": rows[:limit]} if rows else {}) | {"meta": meta}, headers)


@route(("x",), "GET", r"2/users/me")
def x_me(place, request):
    return Answer(200, {"data": {"id": place.account, "name": "Force", "username": "force"}}, x_allow(place, request))


@route(("x",), "POST", r"2/dm_conversations/with/(?P<person>\d+)/messages")
def x_message(place, request, person):
    headers = x_allow(place, request)
    x_only(request.json, "text", "attachments")
    text = request.json.get("text", "")
    if not text or len(text) > 10000:
        raise x_refusal(400, 354, "The text of your direct message is over the max character limit.")
    if person in place.options["gone"]:
        raise x_refusal(403, 349, "You cannot send messages to this user.")
    made = place.accept("message", "18000000000000", text, person=person)
    place.echo(made)
    conversation = "-".join(sorted((place.account, person), key=int))
    return Answer(201, {"data": {"dm_conversation_id": conversation, "dm_event_id": made["object_id"]}}, headers)


@route(("x",), "GET", r"2/dm_events")
@route(("x",), "GET", r"2/dm_conversations/with/(?P<person>\d+)/dm_events")
def x_messages(place, request, person=None):
    headers = x_allow(place, request)
    rows = [{"id": made["object_id"], "text": made["text"], "event_type": "MessageCreate", "sender_id": place.account,
             "created_at": stamp(made["at_ms"], ".000Z"),
             "dm_conversation_id": "-".join(sorted((place.account, made["person"]), key=int))}
            for made in place.newest("message") if person in (None, made["person"])]
    return x_page_of(request, rows, headers, LATEST_MAX)


# --- Mastodon ---

def mastodon_allow(place, request):
    if place.options["token_dead"] or not is_same(request.bearer(), place.secret("token")):
        raise Refusal(401, {"error": "The access token is invalid"})
    used, reset_s = place.use()
    limit = place.options["rate_limit"] or 300
    headers = [("X-RateLimit-Limit", str(limit)), ("X-RateLimit-Remaining", str(max(0, limit - used * limit // 100))),
               ("X-RateLimit-Reset", stamp(reset_s * 1000, ".000000Z"))]
    if used > 100:
        raise Refusal(429, {"error": "Too many requests"}, headers)
    return headers


def mastodon_status(place, made):
    at = stamp(made["at_ms"], ".000Z")
    return {"id": made["object_id"], "created_at": at, "language": made["language"] or None, "visibility": "public",
            "uri": f"https://mastodon.example/users/force/statuses/{made['object_id']}", "in_reply_to_id": made["parent"] or None,
            "url": f"https://mastodon.example/@force/{made['object_id']}", "content": f"<p>{made['text']}</p>", "text": made["text"]}


def mastodon_text(place, request):
    text = request.get("status") or ""
    length = len(URL.sub("x" * X_URL, unicodedata.normalize("NFC", text)))
    if not text or length > place.options["characters_max"]:
        raise Refusal(422, {"error": "Validation failed: Text character limit exceeded"})
    return text


@route(("mastodon",), "POST", r"api/v1/statuses")
def mastodon_post(place, request):
    headers = mastodon_allow(place, request)
    key, text = request.headers.get("Idempotency-Key", ""), mastodon_text(place, request)
    language, parent = request.get("language") or "", str(request.get("in_reply_to_id") or "")
    if language not in ("", "en", "cy"):
        raise Refusal(422, {"error": "Validation failed: Language is invalid"})
    if parent and parent not in place.objects:
        raise Refusal(404, {"error": "The post you are trying to reply to does not appear to exist."})
    made = place.accept("post", "11600000000000", text, language=language, parent=parent, key=key)
    return Answer(200, mastodon_status(place, made), headers)


@route(("mastodon",), "PUT", r"api/v1/statuses/(?P<post>\d+)")
def mastodon_edit(place, request, post):
    headers = mastodon_allow(place, request)
    text = mastodon_text(place, request)
    if post not in place.objects:
        raise Refusal(404, {"error": "Record not found"}, headers)
    if place.options["refuses_edit"]:
        raise Refusal(403, {"error": "This action is not allowed"}, headers)
    return Answer(200, mastodon_status(place, place.change(post, text)), headers)


@route(("mastodon",), "DELETE", r"api/v1/statuses/(?P<post>\d+)")
def mastodon_delete(place, request, post):
    headers = mastodon_allow(place, request)
    if place.options["refuses_delete"]:
        raise Refusal(403, {"error": "This action is not allowed"}, headers)
    if post not in place.objects:
        raise Refusal(404, {"error": "Record not found"}, headers)
    return Answer(200, mastodon_status(place, place.remove(post)), headers)


@route(("mastodon",), "GET", r"api/v1/statuses/(?P<post>\d+)")
def mastodon_one(place, request, post):
    headers = mastodon_allow(place, request)
    if post not in place.objects:
        raise Refusal(404, {"error": "Record not found"}, headers)
    return Answer(200, mastodon_status(place, place.objects[post]), headers)


@route(("mastodon",), "GET", r"api/v1/accounts/verify_credentials")
def mastodon_me(place, request):
    return Answer(200, {"id": place.account, "username": "force", "acct": "force"}, mastodon_allow(place, request))


@route(("mastodon",), "GET", r"api/v1/accounts/(?P<account>\w+)/statuses")
def mastodon_posts(place, request, account):
    headers = mastodon_allow(place, request)
    if account != place.account:
        raise Refusal(404, {"error": "Record not found"}, headers)
    return Answer(200, [mastodon_status(place, made) for made in place.newest("post", limit_of(request, "limit", 20))], headers)


@route(("mastodon",), "GET", r"api/v2/instance")
def mastodon_instance(place, _request):
    return Answer(200, {"configuration": {"statuses": {"max_characters": place.options["characters_max"],
                                                       "characters_reserved_per_url": X_URL}}})


# --- a subscriber's webhook, and the mail gateway of the web form ---

@route(("webhook",), "POST", r"hook")
def subscriber(place, request):
    """Signed as the web form's messages are: HMAC-SHA256 over time stamp, full stop, body."""
    at, given = request.headers.get("X-Desk-Timestamp", ""), request.headers.get("X-Desk-Signature-256", "")
    mac = hmac.digest(place.secret("signature").encode(), at.encode() + b"." + request.body, "sha256").hex()
    if place.options["token_dead"] or not at.isdigit() or abs(int(at) - time.time()) > 300 or not is_same(given, "sha256=" + mac):
        raise Refusal(401, {"error": "signature"})
    used, reset_s = place.use()
    if used > 100:
        headers = [] if place.options["retry_after_s"] else [("Retry-After", str(max(1, int(reset_s - time.time()))))]
        raise Refusal(429, {"error": "slow down"}, headers)
    key = request.headers.get("Idempotency-Key", "").strip('"')
    if not key:
        raise Refusal(400, {"error": "Idempotency-Key is missing"})
    made = place.accept("delivery", "d", request.body.decode("utf-8", "replace"), key=key)
    return Answer(202, {"receipt": made["object_id"]})


@route(("mail",), "POST", r"messages")
def mail(place, request):
    if place.options["token_dead"] or not is_same(request.bearer(), place.secret("token")):
        raise Refusal(401, {"error": "token"})
    used, reset_s = place.use()
    if used > 100:
        headers = [] if place.options["retry_after_s"] else [("Retry-After", str(max(1, int(reset_s - time.time()))))]
        raise Refusal(429, {"error": "slow down"}, headers)
    body = request.json or {}
    to, text, ref = body.get("to", ""), body.get("text", ""), body.get("reference", "")
    if "@" not in to or not text:
        raise Refusal(400, {"error": "to and text are needed"})
    if to in place.options["gone"]:
        raise Refusal(422, {"error": "no such mailbox"})
    key = request.headers.get("Idempotency-Key", "").strip('"')
    made = place.accept("message", "mail-", text, ref=ref, person=to, key=key)
    return Answer(202, {"id": made["object_id"]})


@route(("mail",), "GET", r"messages")
def mails(place, request):
    if place.options["token_dead"] or not is_same(request.bearer(), place.secret("token")):
        raise Refusal(401, {"error": "token"})
    rows = [{"id": made["object_id"], "reference": made["ref"], "to": made["person"]} for made in place.newest("message")
            if request.get("reference") in (None, made["ref"])]
    return Answer(200, {"messages": rows})


# --- small things ---

def stamp(at_ms, ending):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms / 1000)) + ending


def unstamp(text):
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def limit_of(request, name, default):
    return max(1, min(LATEST_MAX, int(request.get(name) or default)))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
