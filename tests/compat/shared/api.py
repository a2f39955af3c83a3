"""The house that the tests talk to: its own API, its users with their money, and what it asked of its provider.

Promise: each `User` is new and nobody else's, so tests share no money and no keys. Everything here goes over HTTP with
the standard library; the SDK is only in the tests.
"""

import dataclasses
import decimal
import functools
import http.client
import json
import os
import time
import urllib.parse
import uuid

import openai

FACTS = json.loads(os.environ["OBLIVIOUS_COMPAT"])
PRICES = FACTS["prices"]
MODEL = "compat-1"
USD = 10**9  # nanos
PATIENCE_SECONDS = 30


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def send(method, path, body=None, token=None, headers=None):
    """One request to the house, byte for byte as told; `body` is JSON unless it is bytes already."""
    address = urllib.parse.urlsplit(FACTS["house"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    try:
        connection.request(method, path, payload, sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def own_api(method, path, body=None, token=None, idempotent=False):
    """A request to `/api/v1` that must succeed; its decoded answer."""
    headers = {"idempotency-key": str(uuid.uuid4())} if idempotent else {}
    answer = send(method, f"/api/v1/{path}", body, token, headers)
    assert answer.status < 300, f"{method} {path}: {answer.status} {answer.body.decode()}"
    return answer.json if answer.body else None


def login(email, password):
    return own_api("POST", "auth/login", {"email": email, "password": password})["access_token"]


@functools.cache
def admin_token():
    """Once for all users: sign-ins of one account are counted."""
    return login(**FACTS["admin"])


@dataclasses.dataclass
class Wallet:
    available: int
    held: int
    balance: int
    debt: int


class User:
    """A new account with that much credit."""

    def __init__(self, credit_nanos=USD):
        name = f"u{uuid.uuid4().hex[:16]}"
        email, password = f"{name}@example.org", f"{name} has a long password"
        registered = own_api("POST", "auth/register", {"email": email, "username": name, "password": password})
        self.id = registered["user"]["id"]
        self.token = login(email, password)
        if credit_nanos:
            grant = {"amount_nanos": str(credit_nanos), "reason": "compatibility test"}
            own_api("POST", f"admin/users/{self.id}/grants", grant, admin_token(), idempotent=True)

    def key(self, **options):
        """A new API key as `{id, key, …}`."""
        return own_api("POST", "api-keys", {"name": "test", **options}, self.token)

    def client(self, **options):
        """An SDK client with a new key that does not repeat failed requests."""
        return sdk(**{"api_key": self.key()["key"], **options})

    def wallet(self):
        wallet = own_api("GET", "wallet", token=self.token)
        return Wallet(*(int(wallet[f"{name}_nanos"]) for name in ("available", "held", "balance", "debt")))

    def charges(self):
        return own_api("GET", "charges?limit=100", token=self.token)["items"]

    def settled(self, calls):
        """The wallet and the charges (newest first), once so many calls are settled and nothing is held."""
        def state():
            return self.wallet(), self.charges()
        return eventually(state, lambda found: found[0].held == 0 and len(found[1]) >= calls)


def sdk(**options):
    return openai.OpenAI(**{"base_url": f"{FACTS['house']}/v1", "max_retries": 0, "timeout": 60, **options})


# How a channel reaches the provider in each of its dialects: kind, path, and a model that speaks it.
UPSTREAMS = {
    "chat": ("openai", "/v1", MODEL, "upstream-1"), "responses": ("azure_openai", "/v1", "compat-codex", "gpt-6-codex"),
    "messages": ("anthropic", "/v1", "compat-claude", "claude-opus-5"),
    "gemini": ("gemini", "/v1beta", "compat-gemini", "gemini-3-pro"),
}


def model_for(prompt, upstream="chat"):
    """The model to ask: one of a channel of its own where the provider is told to fail, because the channel then rests."""
    mishaps = ("[[error 4", "[[error 5", "[[cut", "[[garbage", "[[error-frame", "[[no-end")
    harmless = ("[[error 400",)
    needed = any(word in prompt for word in mishaps) and not any(word in prompt for word in harmless)
    return own_model(upstream) if needed else UPSTREAMS[upstream][2]


def own_model(upstream="chat"):
    """The name of a model that a new channel offers, at the price of the usual one."""
    provider, path, _, model = UPSTREAMS[upstream]
    name = f"own-{uuid.uuid4().hex[:12]}"
    channel = {"name": name, "provider": provider, "base_url": FACTS["provider"] + path, "keys": ["sk-mock-own-0000"],
               "models": [{"name": name, "upstream": model, "context_tokens": 128000, "max_output_tokens": 4096}],
               "prices": {name: PRICES[MODEL]}}
    own_api("POST", "admin/channels", channel, admin_token())
    eventually(lambda: send("GET", f"/v1/models/{name}", token=admin_token()).status, lambda status: status == 200)
    return name


def mark():
    """Text that only one test has in its prompts."""
    return f"#{uuid.uuid4().hex[:12]}"


def asked(marked):
    """The requests that arrived at the provider with this text in the last user message, oldest first."""
    address = urllib.parse.urlsplit(FACTS["provider"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request("GET", "/asked?" + urllib.parse.urlencode({"containing": marked}))
        return json.load(connection.getresponse())["requests"]
    finally:
        connection.close()


def eventually(look, accept, patience=PATIENCE_SECONDS):
    """The first thing that `look` finds and `accept` takes; the last one found is in the failure."""
    until = time.monotonic() + patience
    while True:
        found = look()
        if accept(found):
            return found
        assert time.monotonic() < until, f"still not so after {patience} s: {found}"
        time.sleep(0.1)


def cost(model, *, input, output, cached=0, reasoning=0):
    """What the call costs its user in nanos: exact, rounded once, half to even. `input` and `output` are the sums."""
    rates = {tier: decimal.Decimal(rate) for tier, rate in PRICES[model].items()}
    dollars_of_a_million = (
        (input - cached) * rates["input"] + cached * rates.get("cached_input", rates["input"])
        + (output - reasoning) * rates["output"] + reasoning * rates.get("reasoning", rates["output"]))
    return int((dollars_of_a_million * 1000).quantize(decimal.Decimal(1), decimal.ROUND_HALF_EVEN))


def says(text):
    return [{"role": "user", "content": text}]
