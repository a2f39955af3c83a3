"""Google's own SDK against the house, whose provider speaks another dialect."""

import json

import pydantic
import pytest
from google import genai
from google.genai import errors, types

import api

WEATHER = types.Tool(function_declarations=[types.FunctionDeclaration(
    name="weather", description="The weather of a city.",
    parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]))])
CALL = '[[call weather {"city": "北京"}]]'
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63000100000500010d0a2db40000000049454e44ae426082")


class City(pydantic.BaseModel):
    city: str


def sdk(key, **options):
    options = {"base_url": api.FACTS["house"], "timeout": 60_000, **options}
    return genai.Client(api_key=key, http_options=types.HttpOptions(**options))


@pytest.fixture(scope="module")
def gemini(rich):
    return sdk(rich.key()["key"])


def ask(client, contents, **config):
    return client.models.generate_content(model=api.model_for(str(contents)), contents=contents, config=types.GenerateContentConfig(**config))


def test_a_chat_tells_its_text_its_end_and_what_is_charged(user):
    answer = ask(sdk(user.key()["key"]), "[[say Hello, 世界]] [[usage 70 30]]", system_instruction="Be kind.", max_output_tokens=500)
    assert (answer.text, answer.candidates[0].finish_reason) == ("Hello, 世界", types.FinishReason.STOP)
    assert (answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count) == (70, 30)
    wallet, (charge,) = user.settled(calls=1)
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) == api.cost(api.MODEL, input=70, output=30)


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_a_stream_comes_piece_by_piece(rich, version):
    client = sdk(rich.key()["key"], api_version=version)
    pieces = list(client.models.generate_content_stream(model=api.MODEL, contents="[[say one two three]] [[usage 70 30]]"))
    assert "".join(piece.text or "" for piece in pieces) == "one two three" and len(pieces) > 1
    assert pieces[-1].usage_metadata.candidates_token_count == 30


def test_a_conversation_calls_a_tool_and_gets_its_result(gemini):
    marked = api.mark()
    said = types.Content(role="user", parts=[types.Part(text=f"{marked} {CALL}")])
    first = ask(gemini, [said], tools=[WEATHER])
    (call,) = first.function_calls
    assert (call.name, call.args) == ("weather", {"city": "北京"})
    result = types.Part.from_function_response(name="weather", response={"result": "rain"})
    answer = ask(gemini, [said, first.candidates[0].content, types.Content(role="user", parts=[result])], tools=[WEATHER])
    assert "rain" in answer.text


def test_a_streamed_call_is_whole(gemini):
    pieces = list(gemini.models.generate_content_stream(
        model=api.MODEL, contents=CALL, config=types.GenerateContentConfig(tools=[WEATHER])))
    calls = [call for piece in pieces for call in piece.function_calls or []]
    assert [(call.name, call.args) for call in calls] == [("weather", {"city": "北京"})]


def test_reasoning_is_a_thought(gemini):
    config = {"thinking_config": types.ThinkingConfig(include_thoughts=True)}
    parts = ask(gemini, "[[think It may rain.]] [[say yes]]", **config).candidates[0].content.parts
    assert [(part.text, bool(part.thought)) for part in parts] == [("It may rain.", True), ("yes", False)]


def test_a_picture_reaches_the_model(gemini):
    marked = api.mark()
    picture = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    assert ask(gemini, [f"{marked} [[say seen]]", picture]).text == "seen"
    (request,) = api.asked(marked)
    urls = [part["image_url"]["url"] for part in request["body"]["messages"][-1]["content"] if part["type"] == "image_url"]
    assert len(urls) == 1 and urls[0].startswith("data:image/png;base64,")


def test_a_structured_answer_is_asked_for_by_its_schema(gemini):
    marked = api.mark()
    answer = ask(gemini, marked + ' [[say {"city": "Köln"}]]', response_mime_type="application/json", response_schema=City)
    assert answer.parsed == City(city="Köln") and json.loads(answer.text) == {"city": "Köln"}
    (request,) = api.asked(marked)
    schema = request["body"]["response_format"]["json_schema"]["schema"]
    assert (schema["type"], schema["required"]) == ("object", ["city"])


def test_tokens_are_counted(gemini):
    assert gemini.models.count_tokens(model=api.MODEL, contents="How many tokens are these?").total_tokens > 5


def test_the_models_are_listed_page_by_page(gemini):
    listed = [model.name for model in gemini.models.list(config={"page_size": 1})]
    assert {"models/compat-1", "models/compat-odd"} <= set(listed)
    assert gemini.models.get(model="compat-1").display_name == "compat-1"


@pytest.mark.parametrize(("prompt", "status", "word"), [
    ("[[error 400 unsupported_value temperature]]", 400, "INVALID_ARGUMENT"),
    ("[[error 403]]", 502, "UNAVAILABLE"),
    ("[[error 429]] [[retry-after 20]]", 429, "RESOURCE_EXHAUSTED"),
])
def test_a_refusal_of_the_provider_has_googles_form(gemini, prompt, status, word):
    with pytest.raises(errors.APIError) as caught:
        ask(gemini, prompt)
    assert (caught.value.code, caught.value.status) == (status, word)
    with pytest.raises(errors.APIError) as caught:
        list(gemini.models.generate_content_stream(model=api.model_for(prompt), contents=prompt))
    assert (caught.value.code, caught.value.status) == (status, word)


def test_other_refusals_have_their_words(gemini):
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.generate_content(model="unheard-of", contents="Hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as caught:
        ask(sdk("sk-nonsense"), "Hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    with pytest.raises(errors.ClientError) as caught:
        ask(sdk(api.User(credit_nanos=0).key()["key"]), "Hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_pings_before_the_first_byte_disturb_nobody(gemini):
    pieces = gemini.models.generate_content_stream(model=api.MODEL, contents="[[slow 11000]] [[say at last]]")
    assert "".join(piece.text or "" for piece in pieces) == "at last"


def test_a_stream_that_is_left_stops_the_provider_and_is_charged(user):
    marked = api.mark()
    client = sdk(user.key()["key"])
    stream = client.models.generate_content_stream(
        model=api.MODEL, contents=f"{marked} [[chunks 500]] [[delay 20]]")
    for number, _ in enumerate(stream):
        if number == 5:
            break
    stream.close()
    api.eventually(lambda: [request["outcome"] for request in api.asked(marked)], lambda seen: seen == ["aborted"])
    user.settled(calls=1)
