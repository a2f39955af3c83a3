"""OpenAI's newer and older words for a conversation: responses, and completions of a text."""

import json

import openai
import pydantic
import pytest

import api

WEATHER = {"type": "function", "name": "weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}
TWO_CALLS = '[[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]'
CITIES = [{"city": "Köln"}, {"city": "北京"}]


class City(pydantic.BaseModel):
    city: str


def ask(client, prompt, **options):
    return client.responses.create(**{"model": api.model_for(str(prompt)), "input": prompt, "store": False, **options})


def test_a_response_tells_its_text_its_end_and_what_is_charged(user):
    with user.client() as client:
        answer = ask(client, "[[say Hello, 世界]] [[usage 70 30]]", instructions="Be kind.")
    assert (answer.object, answer.status, answer.output_text) == ("response", "completed", "Hello, 世界")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (70, 30)
    wallet, _ = user.settled(calls=1)
    assert api.USD - wallet.balance == api.cost(api.MODEL, input=70, output=30)


def test_events_of_a_stream_are_numbered_and_in_order(client):
    events = list(ask(client, "[[say one two three]]", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "one two three"


def test_the_sdks_own_accumulator_puts_a_stream_together(client):
    with client.responses.stream(model=api.MODEL, input="[[say one two three]]", store=False) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "one two three"


def test_tools_are_called_and_their_results_reach_the_model(client):
    marked = api.mark()
    first = ask(client, f"{marked} {TWO_CALLS}", tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == CITIES
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": f"rain {number}"} for number, call in enumerate(calls)]
    answer = ask(client, [{"role": "user", "content": f"{marked} {TWO_CALLS}"}, *first.output, *results], tools=[WEATHER])
    assert "rain 0; rain 1" in answer.output_text


def test_a_structured_answer_is_parsed_by_the_sdk(client):
    answer = client.responses.parse(model=api.MODEL, input='[[say {"city": "Köln"}]]', text_format=City, store=False)
    assert answer.output_parsed == City(city="Köln")


def test_a_kept_response_is_read_continued_and_deleted(client):
    marked = api.mark()
    first = ask(client, f"{marked} [[say one]]", store=True)
    assert client.responses.retrieve(first.id).output_text == "one"
    assert [item.type for item in client.responses.input_items.list(first.id)] == ["message"]
    second = ask(client, f"{marked} [[say two]]", store=True, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    said = [message["content"] for message in api.asked(marked)[-1]["body"]["messages"]]
    assert len(said) == 3 and "one" in json.dumps(said[1])
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Hi", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"


def test_refusals_have_their_classes(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "[[error 400 unsupported_value temperature]]")
    assert (caught.value.code, caught.value.param) == ("unsupported_value", "temperature")
    with pytest.raises(openai.NotFoundError):
        ask(client, "Hi", model="unheard-of")


def test_a_stream_that_breaks_ends_with_an_error(client):
    events = []
    try:
        for event in ask(client, "[[say one two three four]] [[cut 2]]", stream=True):
            events.append(event)
    except openai.APIError as error:
        assert error.code == "upstream_error"
    else:
        assert events[-1].type in ("error", "response.failed")


def test_a_text_is_gone_on_with_whole_and_streamed(client):
    whole = client.completions.create(model=api.MODEL, prompt="[[say upon a time]]", max_tokens=50, echo=True)
    assert (whole.object, whole.choices[0].text) == ("text_completion", "[[say upon a time]]upon a time")
    stream = client.completions.create(model=api.MODEL, prompt=["[[say upon a time]]"], max_tokens=50, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "upon a time"


def test_what_completions_cannot_do_here_is_refused(client):
    for options in ({"suffix": "end"}, {"best_of": 3}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(**{"model": api.MODEL, "prompt": "Hi", **options})
        assert caught.value.param in options
