"""Server-sent events, byte for byte, and the headers around them."""

import json
import time

import pytest

import api

ASKED = {"stream_options": {"include_usage": True}}


def raw(user_token, prompt, headers=None, **options):
    body = {"model": api.MODEL, "messages": api.says(prompt), "stream": True, **options}
    return api.send("POST", "/v1/chat/completions", body, user_token, headers)


def frames(answer):
    """The `data` of all events but the last, decoded; the last must be `[DONE]`."""
    events = answer.body.decode().split("\n\n")
    assert events.pop() == "", "the last event ends with an empty line like every other"
    data = [event.removeprefix("data: ") for event in events if not event.startswith(":")]
    assert data.pop() == "[DONE]"
    return [json.loads(line) for line in data]


def test_the_headers_keep_proxies_from_buffering_caching_and_compressing(client):
    create = client.chat.completions.with_raw_response.create
    answer = create(model=api.MODEL, messages=api.says("[[say hi]]"), stream=True, extra_headers={"accept-encoding": "gzip, br, zstd"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-request-id"]
    list(answer.parse())


def test_lines_end_with_line_feeds_only_and_every_event_is_one_line_of_data(rich):
    answer = raw(rich.token, "[[chunks 20]]")
    assert b"\r" not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.body.count(b"[DONE]") == 1
    for event in answer.body.decode().split("\n\n")[:-1]:
        assert event.startswith(("data: ", ":")) and "\n" not in event, event


def test_every_chunk_of_a_stream_has_choices_the_same_id_and_the_same_time(rich):
    chunks = frames(raw(rich.token, "[[chunks 20]]"))
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert all(len(chunk["choices"]) == 1 for chunk in chunks), "clients read choices[0] without looking"
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks].count("stop") == 1
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("upstream", ["", "[[usage-merged]]", "[[usage-bare]]"])
def test_nobody_sees_usage_who_did_not_ask_for_it(rich, upstream):
    chunks = frames(raw(rich.token, f"[[chunks 4]] {upstream}"))
    assert all(chunk["choices"] and chunk.get("usage") is None for chunk in chunks)


@pytest.mark.parametrize("upstream", ["", "[[usage-merged]]", "[[usage-bare]]"])
def test_who_asked_gets_usage_once_in_a_last_chunk_without_choices(rich, upstream):
    chunks = frames(raw(rich.token, f"[[chunks 4]] [[usage 11 4]] {upstream}", **ASKED))
    assert (chunks[-1]["choices"], chunks[-1]["object"]) == ([], "chat.completion.chunk")
    usage = chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (11, 4, 15)
    assert all(chunk["choices"] and chunk.get("usage") is None for chunk in chunks[:-1])


def test_who_asked_gets_usage_even_if_the_provider_reports_none(rich):
    chunks = frames(raw(rich.token, "[[say one two three]] [[no-usage]]", **ASKED))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] > 0 and chunks[-1]["usage"]["completion_tokens"] > 0


def test_the_details_of_usage_are_passed(client):
    prompt = "[[say ok]] [[usage 100 50]] [[cached 40]] [[reasoning 30]]"
    whole = client.chat.completions.create(model=api.MODEL, messages=api.says(prompt)).usage
    *_, last = client.chat.completions.create(model=api.MODEL, messages=api.says(prompt), stream=True, **ASKED)
    for usage in (whole, last.usage):
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 50, 150)
        assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (40, 30)


def test_text_whose_bytes_arrive_split_leaves_whole(client):
    said = "你好，世界 🦀 — naïve café, Größe, こんにちは"
    stream = client.chat.completions.create(model=api.MODEL, messages=api.says(f"[[say {said}]] [[packets 5]]"), stream=True)
    texts = [choice.delta.content or "" for chunk in stream for choice in chunk.choices]
    assert "".join(texts) == said and "\ufffd" not in "".join(texts)


def test_chunks_arrive_while_the_model_still_writes(client):
    began = time.monotonic()
    stream = client.chat.completions.create(model=api.MODEL, messages=api.says("[[chunks 20]] [[delay 100]]"), stream=True)
    arrived = [time.monotonic() - began for chunk in stream for choice in chunk.choices if choice.delta.content]
    assert len(arrived) == 20, "no chunk is merged with another"
    assert arrived[-1] - arrived[0] > 1, "each is flushed when it comes"


def test_pings_come_every_ten_seconds_also_before_the_first_byte_and_the_sdk_passes_over_them(rich):
    body = {"model": api.MODEL, "messages": api.says("[[slow 11500]] [[delay 11500]] [[say late]]"), "stream": True}
    answer = api.send("POST", "/v1/chat/completions", body, rich.token)
    assert answer.status == 200
    before, _, after = answer.body.decode().partition("data:")
    assert before.replace(": ping\n\n", "") == "" and before.count(": ping") >= 1, "before the first chunk"
    assert before.count(": ping\n\n") + after.count(": ping\n\n") == 2, "and in the long pause inside the answer"
    assert [frame["choices"][0]["delta"].get("content") for frame in frames(answer)].count("late") == 1


def test_a_request_id_is_made_or_taken_over(client, rich):
    create = client.chat.completions.create
    first, second = (create(model=api.MODEL, messages=api.says("[[say ok]]")) for _ in range(2))
    assert first._request_id and second._request_id and first._request_id != second._request_id
    mine = "trace-1.2_A" + api.mark()[1:]
    given = client.chat.completions.with_raw_response.create(
        model=api.MODEL, messages=api.says("[[say ok]]"), stream=True, extra_headers={"x-request-id": mine})
    assert given.headers["x-request-id"] == mine
    list(given.parse())
    for malformed in ("has space", "x" * 129, "semi;colon", "ü".encode().decode("latin-1")):
        answer = api.send("GET", "/v1/models", token=rich.token, headers={"x-request-id": malformed})
        assert answer.status == 200 and answer.headers["x-request-id"] not in ("", malformed)


def test_an_answer_in_one_piece_is_a_chat_completion(client):
    answer = client.chat.completions.with_raw_response.create(model=api.MODEL, messages=api.says("[[say one two]] [[finish length]]"))
    assert answer.headers["content-type"].startswith("application/json")
    completion = answer.parse()
    assert (completion.object, completion.model, len(completion.choices)) == ("chat.completion", api.MODEL, 1)
    choice = completion.choices[0]
    assert (choice.index, choice.finish_reason, choice.message.role, choice.message.content) == (0, "length", "assistant", "one two")
    assert completion.id and completion.created > 1_600_000_000
