"""Tools in both directions, and reasoning beside them."""

import json

import pytest

import api

WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}
TWO_CALLS = '[[call weather {"city": "Köln"}]] [[call weather {"city": "北京"}]]'
CITIES = [{"city": "Köln"}, {"city": "北京"}]


def chunks(client, prompt, **options):
    return list(client.chat.completions.create(model=api.MODEL, messages=api.says(prompt), stream=True, **options))


def finish_reasons(stream):
    return [choice.finish_reason for chunk in stream for choice in chunk.choices if choice.finish_reason]


def test_calls_of_tools_are_whole_without_streaming(client):
    answer = client.chat.completions.create(model=api.MODEL, messages=api.says(TWO_CALLS), tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert [call.id for call in calls] == ["call_1", "call_2"]
    assert [json.loads(call.function.arguments) for call in calls] == CITIES
    assert {(call.type, call.function.name) for call in calls} == {("function", "weather")}
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("tool_calls", None)


@pytest.mark.parametrize("before", ["", "[[think It is about weather, so I look outside.]] "])
def test_streamed_calls_have_increasing_numbers_one_id_and_name_each_then_fragments(client, before):
    stream = chunks(client, before + TWO_CALLS, tools=[WEATHER])
    calls, order = {}, []
    for delta in (choice.delta for chunk in stream for choice in chunk.choices):
        for call in delta.tool_calls or []:
            assert type(call.index) is int
            order.append(call.index)
            told = calls.setdefault(call.index, {"ids": [], "names": [], "fragments": []})
            told["ids"] += [call.id] if call.id else []
            told["names"] += [call.function.name] if call.function.name else []
            told["fragments"] += [call.function.arguments] if call.function.arguments else []
    assert sorted(calls) == [0, 1] and order == sorted(order), "numbers begin with 0, whatever came before"
    assert [(calls[index]["ids"], calls[index]["names"]) for index in (0, 1)] == [(["call_1"], ["weather"]), (["call_2"], ["weather"])]
    assert [json.loads("".join(calls[index]["fragments"])) for index in (0, 1)] == CITIES
    assert all(len(call["fragments"]) > 1 for call in calls.values()), "fragments are passed on as they come"
    assert finish_reasons(stream) == ["tool_calls"]


def test_the_sdks_own_accumulator_puts_the_calls_together(client):
    with client.chat.completions.stream(model=api.MODEL, messages=api.says(TWO_CALLS), tools=[WEATHER]) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert [call.function.parsed_arguments for call in calls] == CITIES


@pytest.mark.parametrize("stream", [False, True])
def test_results_of_tools_reach_the_model_with_the_ids_of_their_calls(client, stream):
    marked = api.mark()
    first = client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} {TWO_CALLS}"), tools=[WEATHER])
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"{degrees} degrees"}
               for call, degrees in zip(first.choices[0].message.tool_calls, (21, -3))]
    conversation = [*api.says(f"{marked} {TWO_CALLS}"), first.choices[0].message, *results]
    second = client.chat.completions.create(model=api.MODEL, messages=conversation, tools=[WEATHER], stream=stream)
    text = "".join(choice.delta.content or "" for chunk in second for choice in chunk.choices) if stream else second.choices[0].message.content
    assert text == "The tools answered: 21 degrees; -3 degrees"
    body = api.asked(marked)[-1]["body"]
    assert body["tools"] == [WEATHER]
    assert [call["id"] for call in body["messages"][1]["tool_calls"]] == ["call_1", "call_2"]
    assert body["messages"][2:] == results


def test_reasoning_is_told_apart_from_the_answer(client):
    prompt = "[[think First I think.]] [[say Then I speak.]]"
    message = client.chat.completions.create(model=api.MODEL, messages=api.says(prompt)).choices[0].message
    assert (message.reasoning_content, message.content) == ("First I think.", "Then I speak.")


def test_streamed_reasoning_comes_before_the_answer_in_its_own_field(client):
    deltas = [choice.delta for chunk in chunks(client, "[[think First I think.]] [[say Then I speak.]]") for choice in chunk.choices]
    kinds = ["think" if getattr(delta, "reasoning_content", None) else "say" for delta in deltas
             if getattr(delta, "reasoning_content", None) or delta.content]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "First I think."
    assert "".join(delta.content or "" for delta in deltas) == "Then I speak."
    assert kinds == sorted(kinds, reverse=True) and len(set(kinds)) == 2


def test_reasoning_is_accepted_back(client):
    history = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho", "reasoning_content": "polite"}]
    answer = client.chat.completions.create(model=api.MODEL, messages=[*history, *api.says("[[say fine]]")])
    assert answer.choices[0].message.content == "fine"
