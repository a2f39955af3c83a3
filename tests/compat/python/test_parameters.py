"""What a client sends arrives at the provider, and what it must not send has no effect."""

import pydantic
import pytest

import api

MESSAGE = {"role": "user", "content": "hello"}
PASSED_ON = {
    "seed": 7,
    "temperature": 0.3,
    "top_p": 0.9,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "stop": ["\n", "END"],
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "metadata": {"team": "blue"},
    "user": "user-1",
    "prompt_cache_key": "prefix-1",
    "service_tier": "default",
}


def the_one(marked):
    requests = api.asked(marked)
    assert len(requests) == 1, "one call is one request to the provider"
    return requests[0]


@pytest.mark.parametrize("stream", [False, True])
def test_every_known_parameter_arrives_unchanged(client, stream):
    marked = api.mark()
    answer = client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"), stream=stream, **PASSED_ON)
    if stream:
        list(answer)
    body = the_one(marked)["body"]
    assert {name: body.get(name) for name in PASSED_ON} == PASSED_ON


@pytest.mark.parametrize("parameter", [
    {"x_unheard_of": {"deep": [1, 2]}}, {"chat_template_kwargs": {"enable_thinking": False}}, {"top_k": 5}, {"store": True},
    {"verbosity": "low"}, {"safety_identifier": "s"}, {"logprobs": True, "top_logprobs": 2}, {"thinking": {"type": "enabled"}},
])
def test_an_unknown_parameter_is_passed_or_dropped_and_never_a_failure(client, parameter):
    answer = client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]]"), extra_body=parameter)
    assert answer.choices[0].message.content == "ok"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_either_bound_is_sent_under_the_name_that_every_compatible_server_knows(client, name):
    marked = api.mark()
    client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"), **{name: 77})
    body = the_one(marked)["body"]
    assert {key: body[key] for key in ("max_tokens", "max_completion_tokens") if key in body} == {"max_tokens": 77}


@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_always_asked_of_the_provider_and_the_model_is_named_as_it_knows_it(client, stream):
    marked = api.mark()
    answer = client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"), stream=stream)
    named = {chunk.model for chunk in answer} if stream else {answer.model}
    assert named == {api.MODEL}, "and the client sees the name that it asked for"
    body = the_one(marked)["body"]
    assert body["model"] == "upstream-1"
    assert not body.get("stream") or body["stream_options"]["include_usage"] is True


def test_content_parts_and_images_arrive_as_they_are(client):
    marked = api.mark()
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    parts = [
        {"type": "text", "text": f"{marked} [[say a picture]]"},
        {"type": "image_url", "image_url": {"url": pixel, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    answer = client.chat.completions.create(model=api.MODEL, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "a picture"
    assert the_one(marked)["body"]["messages"][-1]["content"] == parts


def test_developer_and_system_messages_names_and_history_arrive_in_order(client):
    marked = api.mark()
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "first", "name": "ada"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": f"{marked} [[say ok]]"},
    ]
    client.chat.completions.create(model=api.MODEL, messages=messages)
    arrived = the_one(marked)["body"]["messages"]
    # Servers that are not OpenAI's own do not all know the role of developers.
    assert arrived == [{**messages[0], "role": "system"}, *messages[1:]]


@pytest.mark.parametrize("stream", [False, True])
def test_several_choices_come_with_their_numbers(client, stream):
    answer = client.chat.completions.create(model=api.MODEL, messages=api.says("[[say twice]]"), n=2, stream=stream)
    texts = {0: "", 1: ""}
    if stream:
        for chunk in answer:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        texts = {choice.index: choice.message.content for choice in answer.choices}
    assert texts == {0: "twice", 1: "twice"}


class Place(pydantic.BaseModel):
    city: str
    people: int


def test_a_structured_answer_is_parsed(client):
    marked = api.mark()
    prompt = f'{marked} [[say {{"city": "Köln", "people": 1087353}}]]'
    answer = client.chat.completions.parse(model=api.MODEL, messages=api.says(prompt), response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Köln", people=1_087_353)
    wanted = the_one(marked)["body"]["response_format"]
    assert (wanted["type"], wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == ("json_schema", "Place", True)
    assert set(wanted["json_schema"]["schema"]["required"]) == {"city", "people"}


def test_a_structured_answer_that_streams_is_parsed_at_its_end(client):
    prompt = '[[say {"city": "Köln", "people": 1}]]'
    with client.chat.completions.stream(model=api.MODEL, messages=api.says(prompt), response_format=Place) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Place(city="Köln", people=1)


def test_the_provider_learns_nothing_about_the_client(client):
    marked = api.mark()
    client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"),
                                   extra_headers={"cookie": "secret=1", "x-private": "yes", "x-forwarded-for": "10.1.2.3"})
    request = the_one(marked)
    assert request["key_end"] == api.FACTS["channel_key_end"], "the channel's key, not the client's"
    assert not {"cookie", "x-private", "x-forwarded-for", "openai-organization"} & set(request["headers"])
    assert not [name for name in request["headers"] if name.startswith("x-stainless")]
