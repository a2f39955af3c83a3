"""What every client can do with every upstream: the matrix of clients and dialects that providers speak.

A suite gives a fixture `connect`, a function from a key to a `Client` of that suite; everything else is here. The
provider refuses what the real ones refuse of a conversation, and says what it saw of pictures and schemas, so an answer
proves that the question arrived whole. Sources of the traps are named where they are tested.
"""

import dataclasses
import hashlib
import re
import zlib

import pytest

import api

# The model of a channel for each dialect that a provider speaks.
UPSTREAMS = {name: model for name, (_, _, model, _) in api.UPSTREAMS.items()}
CITIES = [{"city": "Köln"}, {"city": "北京"}]
CALLS = '[[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
          "required": ["city", "people"], "additionalProperties": False}
FILLED = {"city": "filled", "people": 1}
# Ten seconds of writing.
LONG = "[[chunks 500]] [[delay 20]]"


@dataclasses.dataclass
class Told:
    """One answer; the numbers are what the client shows its programmer, `None` where it shows none."""
    text: str
    input: int | None = None
    output: int | None = None


@dataclasses.dataclass
class Failure:
    """What a client raises: the status of the answer, or `None` where the client hides it."""
    status: int | None
    message: str


class Client:
    """What a suite tells about one of its clients."""

    def tell(self, model, prompt, stream):
        """Asks for a text; `Told`."""
        raise NotImplementedError

    def turn(self, model, prompt, stream):
        """Offers the tool `weather`, answers each call with `results`; the arguments of the calls, and the last text."""
        raise NotImplementedError

    def look(self, model, prompt, png):
        """Shows a picture; the text."""
        raise NotImplementedError

    def fill(self, model, prompt):
        """Wants an answer after SCHEMA as the client's own way is; the object."""
        raise NotImplementedError

    def fail(self, model, prompt, stream):
        """Asks for what must fail; `Failure`."""
        raise NotImplementedError

    def leave(self, model, prompt):
        """Reads the beginning of a stream and goes away."""
        raise NotImplementedError


def results(calls):
    """What the tool says, one for each call."""
    return [f"rain {number}" for number, _ in enumerate(calls)]


def png():
    """A picture that no other test shows."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    colour = hashlib.sha256(api.mark().encode()).digest()[:3]
    header = (1).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


@pytest.fixture(params=UPSTREAMS)
def upstream(request):
    return request.param


@pytest.fixture(params=UPSTREAMS)
def failing(request):
    """The same for what goes wrong."""
    return request.param


@pytest.fixture
def client(connect, rich_key):
    return connect(rich_key)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_tells_its_text_and_what_is_charged(connect, user, upstream, stream):
    model = UPSTREAMS[upstream]
    told = connect(user.key()["key"]).tell(model, "[[say Hello, 世界]] [[usage 70 30]] [[cached 20]]", stream)
    assert told.text == "Hello, 世界"
    wallet, (charge,) = user.settled(calls=1)
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) == api.cost(model, input=70, cached=20, output=30)
    assert charge["basis"] == "reported"
    assert (told.input, told.output) in [(70, 30), (None, None)]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_at_once_and_their_results_lead_to_an_answer(client, upstream, stream):
    marked = api.mark()
    calls, text = client.turn(UPSTREAMS[upstream], f"{marked} [[think It may rain.]] {CALLS}", stream)
    # Some clients wrap what a tool says into an object of their own.
    assert calls == CITIES and re.fullmatch(r"The tools answered: .*rain 0.*; .*rain 1.*", text), text
    assert [request["fault"] for request in api.asked(marked)] == [False, False]


def test_a_picture_reaches_the_model_to_the_byte(client, upstream):
    picture = png()
    seen = client.look(UPSTREAMS[upstream], "[[look]]", picture)
    assert seen == f"I see image/png of {len(picture)} bytes, {hashlib.sha256(picture).hexdigest()[:16]}"


def test_a_structured_answer_follows_the_schema_that_the_provider_was_given(client, upstream):
    assert client.fill(UPSTREAMS[upstream], "[[fill]]") == FILLED


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("prompt", "status"), [
    ("[[error 400 unsupported_value temperature]]", 400), ("[[error 401]]", 502), ("[[error 500]]", 502),
    ("[[error 429]] [[retry-after 20]]", 429),
])
def test_a_refusal_of_the_provider_has_its_status(client, failing, prompt, status, stream):
    failure = client.fail(api.model_for(prompt, failing), prompt, stream)
    assert failure.status in (status, None), failure
    assert failure.message and "sk-mock" not in failure.message and "127.0.0.1" not in failure.message


@pytest.mark.parametrize("mishap", ["[[cut 3]]", "[[garbage 3]]", "[[error-frame 3]]", "[[no-end]]"])
def test_a_stream_that_breaks_is_a_failure_and_never_an_end(client, failing, mishap):
    prompt = f"[[chunks 9]] {mishap}"
    assert client.fail(api.model_for(prompt, failing), prompt, stream=True).message


def test_an_unknown_model_a_stranger_and_a_lack_of_credit_are_told_apart(connect, client, failing):
    unknown = client.fail("unheard-of", "Hi", stream=False)
    stranger = connect("sk-nonsense").fail(UPSTREAMS[failing], "Hi", stream=False)
    poor = connect(api.User(credit_nanos=0).key()["key"]).fail(UPSTREAMS[failing], "Hi", stream=False)
    statuses = [failure.status for failure in (unknown, stranger, poor)]
    assert statuses in ([404, 401, 429], [404, 401, 402], [None, None, None]), (unknown, stranger, poor)


@pytest.mark.parametrize("usage", ["[[no-usage]]", "[[usage 0 0]]", "[[usage 900000 900000]]"])
def test_a_provider_that_lies_about_usage_is_not_believed(connect, user, failing, usage):
    model = UPSTREAMS[failing]
    told = connect(user.key()["key"]).tell(model, f"[[say one two three]] {usage}", stream=True)
    assert told.text == "one two three"
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] != "reported", charge
    assert 0 < api.USD - wallet.balance < api.cost(model, input=200, output=200)


def test_who_leaves_a_stream_stops_the_provider_and_is_charged(connect, user, upstream):
    marked = api.mark()
    connect(user.key()["key"]).leave(UPSTREAMS[upstream], f"{marked} {LONG}")
    api.eventually(lambda: [request["outcome"] for request in api.asked(marked)], lambda seen: seen == ["aborted"])
    wallet, (charge,) = user.settled(calls=1)
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) > 0
