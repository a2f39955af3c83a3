"""Anthropic's own SDK against the house, whose provider speaks another dialect."""

import base64
import json

import anthropic
import pytest

import api

WEATHER = {"name": "weather", "description": "The weather of a city.", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
TWO_CALLS = '[[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]'
CITIES = [{"city": "Köln"}, {"city": "北京"}]
PIXEL = base64.b64encode(bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63000100000500010d0a2db40000000049454e44ae426082")).decode()


def sdk(key, **options):
    return anthropic.Anthropic(**{"api_key": key, "base_url": api.FACTS["house"], "max_retries": 0, "timeout": 60, **options})


@pytest.fixture(scope="module")
def claude(rich):
    with sdk(rich.key()["key"]) as client:
        yield client


def ask(client, prompt, **options):
    return client.messages.create(**{"model": api.model_for(prompt), "max_tokens": 500, "messages": api.says(prompt), **options})


def test_a_chat_tells_its_text_its_end_and_what_is_charged(user):
    with sdk(user.key()["key"]) as client:
        answer = ask(client, "[[say Hello, 世界]] [[usage 70 30]]", system="Be kind.")
    assert (answer.type, answer.role, answer.model, answer.stop_reason) == ("message", "assistant", api.MODEL, "end_turn")
    assert answer.id.startswith("msg_") and answer._request_id
    assert [block.text for block in answer.content] == ["Hello, 世界"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (70, 30)
    wallet, (charge,) = user.settled(calls=1)
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) == api.cost(api.MODEL, input=70, output=30)


def test_a_key_may_be_a_bearer_and_a_base_url_may_have_its_version(rich):
    with sdk(None, auth_token=rich.key()["key"]) as client:
        assert ask(client, "[[say ok]]").content[0].text == "ok"
    with sdk(rich.key()["key"], base_url=api.FACTS["house"] + "/v1") as client:
        assert ask(client, "[[say ok]]").content[0].text == "ok"


def test_a_stream_is_put_together_by_the_sdk(claude):
    prompt = "[[say one two three]] [[usage 70 30]]"
    with claude.messages.stream(model=api.MODEL, max_tokens=500, messages=api.says(prompt)) as stream:
        assert "".join(stream.text_stream) == "one two three"
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens, final.content[0].text) == ("end_turn", 30, "one two three")


def test_raw_events_come_in_anthropics_order_with_real_input_tokens(claude):
    events = list(ask(claude, "[[say one two]]", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[0].message.usage.input_tokens > 0


def test_calls_of_tools_are_whole_and_streamed(claude):
    answer = ask(claude, TWO_CALLS, tools=[WEATHER])
    assert answer.stop_reason == "tool_use"
    assert [(block.type, block.name, block.input) for block in answer.content] == [("tool_use", "weather", city) for city in CITIES]
    with claude.messages.stream(model=api.MODEL, max_tokens=500, messages=api.says(TWO_CALLS), tools=[WEATHER]) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content] == CITIES
    assert len({block.id for block in final.content}) == 2


def test_results_of_tools_reach_the_model(claude):
    marked = api.mark()
    first = ask(claude, f"{marked} {TWO_CALLS}", tools=[WEATHER])
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": f"rain {number}"}
               for number, block in enumerate(first.content)]
    messages = [*api.says(f"{marked} {TWO_CALLS}"), {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    answer = ask(claude, "", messages=messages, tools=[WEATHER])
    assert "rain 0; rain 1" in answer.content[0].text


def test_reasoning_is_a_block_of_thinking(claude):
    answer = ask(claude, "[[think It may rain.]] [[say yes]]", max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    thoughts = [block.thinking for block in answer.content if block.type == "thinking"]
    assert thoughts == ["It may rain."] and answer.content[-1].text == "yes"


def test_a_picture_reaches_the_model(claude):
    marked = api.mark()
    content = [{"type": "text", "text": f"{marked} [[say seen]]"},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]
    assert ask(claude, "", messages=[{"role": "user", "content": content}]).content[0].text == "seen"
    (request,) = api.asked(marked)
    urls = [part["image_url"]["url"] for part in request["body"]["messages"][-1]["content"] if part["type"] == "image_url"]
    assert urls == [f"data:image/png;base64,{PIXEL}"]


def test_a_structured_answer_is_asked_for_by_its_schema(claude):
    marked = api.mark()
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    answer = ask(claude, marked + ' [[say {"city": "Köln"}]]', output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(answer.content[0].text) == {"city": "Köln"}
    (request,) = api.asked(marked)
    assert request["body"]["response_format"]["json_schema"]["schema"] == schema


def test_tokens_are_counted_for_a_model_of_another_provider(claude):
    counted = claude.messages.count_tokens(model=api.MODEL, messages=api.says("How many tokens are these?"), tools=[WEATHER])
    assert counted.input_tokens > 20


def test_the_models_are_listed_page_by_page(claude):
    listed = [model.id for model in claude.models.list(limit=1)]
    assert {"compat-1", "compat-odd"} <= set(listed) and len(listed) == len(set(listed))
    assert claude.models.retrieve("compat-1").display_name == "compat-1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("prompt", "error", "kind"), [
    ("[[error 400 unsupported_value temperature]]", anthropic.BadRequestError, "invalid_request_error"),
    ("[[error 401]]", anthropic.InternalServerError, "api_error"),
    ("[[error 429]] [[retry-after 20]]", anthropic.RateLimitError, "rate_limit_error"),
])
def test_a_refusal_of_the_provider_has_anthropics_class_and_form(claude, prompt, error, kind, stream):
    with pytest.raises(error) as caught:
        ask(claude, prompt, stream=stream)
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.request_id == caught.value.body["request_id"]


def test_other_refusals_have_their_classes(claude):
    with pytest.raises(anthropic.NotFoundError):
        ask(claude, "Hi", model="unheard-of")
    with sdk("sk-nonsense") as stranger, pytest.raises(anthropic.AuthenticationError):
        ask(stranger, "Hi")


def test_a_lack_of_credit_is_402_and_not_repeated():
    poor, marked = api.User(credit_nanos=0), api.mark()
    with sdk(poor.key()["key"], max_retries=2) as client, pytest.raises(anthropic.APIStatusError) as caught:
        ask(client, marked)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (402, "billing_error")
    assert api.asked(marked) == []


def test_a_stream_that_breaks_raises_the_error_that_its_last_event_tells(claude):
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(ask(claude, "[[say one two three four]] [[cut 2]]", stream=True))
    assert caught.value.body["error"]["type"] == "api_error"


def test_a_stream_that_is_closed_stops_the_provider_and_is_charged(user):
    marked = api.mark()
    with sdk(user.key()["key"]) as client:
        stream = ask(client, f"{marked} [[chunks 500]] [[delay 20]]", stream=True)
        for number, _ in enumerate(stream):
            if number == 10:
                break
        stream.close()
    api.eventually(lambda: [request["outcome"] for request in api.asked(marked)], lambda seen: seen == ["aborted"])
    wallet, (charge,) = user.settled(calls=1)
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) > 0
