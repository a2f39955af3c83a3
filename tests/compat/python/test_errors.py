"""Every failure is the SDK's own exception, with the fields that programs look at."""

import openai
import pytest

import api

FIELDS = {"message", "type", "param", "code"}


def failure(client, prompt="[[say ok]]", **options):
    with pytest.raises(openai.APIError) as caught:
        answer = client.chat.completions.create(**{"model": api.model_for(prompt), "messages": api.says(prompt), **options})
        if options.get("stream"):
            list(answer)
    assert set(caught.value.body) == FIELDS
    assert caught.value.body["message"], "a sentence for a person"
    return caught.value


def test_a_model_that_does_not_exist(client):
    error = failure(client, model="gpt-unheard-of")
    assert isinstance(error, openai.NotFoundError)
    assert (error.code, error.type) == ("model_not_found", "invalid_request_error")
    assert "gpt-unheard-of" in error.message


@pytest.mark.parametrize(("body", "param"), [
    (b"{not json", None), (b"", None), (b"[]", None), (b'"text"', None), (b"\xff\xfe", None),
    ({"messages": [{"role": "user", "content": "hi"}]}, "model"),
    ({"model": api.MODEL}, "messages"),
    ({"model": api.MODEL, "messages": "hi"}, "messages"),
    ({"model": api.MODEL, "messages": []}, "messages"),
    ({"model": api.MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": "yes"}, "stream"),
    ({"model": 5, "messages": [{"role": "user", "content": "hi"}]}, "model"),
])
def test_a_body_that_cannot_be_meant_is_a_bad_request(rich, body, param):
    answer = api.send("POST", "/v1/chat/completions", body, rich.token)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert set(error) == FIELDS and error["type"] == "invalid_request_error"
    assert param is None or error["param"] == param, error


@pytest.mark.parametrize("options", [
    {"n": 0}, {"n": -1}, {"n": 10**9}, {"n": 10**30}, {"n": "2"}, {"n": 1.5}, {"max_tokens": 0}, {"max_tokens": -1},
    {"max_tokens": 2**63}, {"max_tokens": 10**30}, {"max_completion_tokens": -(2**63)}, {"max_tokens": 1e300},
    {"max_tokens": "10"}, {"max_tokens": None}, {"stream_options": 5}, {"stream_options": {"include_usage": "maybe"}},
])
def test_numbers_at_their_limits_are_refused_or_answered_and_never_a_crash(user, options):
    body = {"model": api.MODEL, "messages": api.says("[[say ok]] [[usage 5 1]]"), **options}
    answer = api.send("POST", "/v1/chat/completions", body, user.token)
    assert answer.status in (200, 400, 429), answer.body
    if answer.status == 200:
        wallet, _ = user.settled(calls=1)
        assert wallet.balance == api.USD - api.cost(api.MODEL, input=5, output=1)
    else:
        assert set(answer.json["error"]) == FIELDS
        assert (user.wallet().balance, user.wallet().held) == (api.USD, 0)


def test_a_body_over_the_limit_is_too_large(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=api.MODEL, messages=api.says("x" * api.FACTS["max_body_bytes"]))
    assert (caught.value.status_code, caught.value.code, set(caught.value.body)) == (413, "body_too_large", FIELDS)


def test_pictures_of_several_mebibytes_are_below_it(client):
    marked = api.mark()
    picture = "data:image/png;base64," + "iVBORw0KGgo" * (4 << 20 >> 4)
    parts = [{"type": "text", "text": f"{marked} [[say big]]"}, {"type": "image_url", "image_url": {"url": picture}}]
    answer = client.chat.completions.create(model=api.MODEL, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "big"
    assert api.asked(marked)[0]["body"]["messages"][0]["content"][1]["image_url"]["url"] == picture


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_of_the_provider_keeps_its_code_and_parameter(client, stream):
    error = failure(client, "[[error 400 context_length_exceeded messages]]", stream=stream)
    assert isinstance(error, openai.BadRequestError)
    assert (error.code, error.param, error.type) == ("context_length_exceeded", "messages", "invalid_request_error")


@pytest.mark.parametrize("status", [401, 403])
def test_that_the_provider_refuses_our_key_is_not_the_clients_fault(client, status):
    error = failure(client, f"[[error {status} invalid_api_key]]")
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 502, 529])
def test_a_failure_of_the_provider_is_one_of_the_server(client, status, stream):
    error = failure(client, f"[[error {status}]]", stream=stream)
    assert isinstance(error, openai.InternalServerError)
    assert error.code in ("upstream_error", "overloaded")


@pytest.mark.parametrize("stream", [False, True])
def test_the_providers_rate_limit_says_when_to_come_again(client, stream):
    error = failure(client, "[[error 429 rate_limit_exceeded]] [[retry-after 7]]", stream=stream)
    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit_exceeded"
    assert error.response.headers["retry-after"] == "7"
    assert error.response.headers.get("x-should-retry") != "false", "this one is worth another try"


@pytest.mark.parametrize("mishap", ["[[cut 3]]", "[[garbage 3]]"])
def test_an_answer_in_one_piece_that_breaks_is_a_failure_of_the_server(client, mishap):
    error = failure(client, f"[[chunks 9]] {mishap}")
    assert (error.status_code, error.code) == (502, "upstream_error")


@pytest.mark.parametrize("mishap", ["[[cut 3]]", "[[garbage 3]]", "[[error-frame 3]]", "[[no-end]]"])
def test_a_stream_that_breaks_after_it_began_ends_with_an_error_that_the_sdk_raises(client, mishap):
    stream = client.chat.completions.create(model=api.own_model(), messages=api.says(f"[[chunks 9]] {mishap}"), stream=True)
    texts = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in stream:
            texts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    assert len(texts) == (9 if "no-end" in mishap else 3), "what came before is not lost"
    assert not isinstance(caught.value, openai.APIConnectionError), "an error in this dialect, not a broken connection"
    assert set(caught.value.body) == FIELDS and caught.value.body["code"] == "upstream_error"


def test_the_error_is_the_last_frame_of_a_broken_stream(rich):
    body = {"model": api.own_model(), "messages": api.says("[[chunks 9]] [[cut 3]]"), "stream": True}
    answer = api.send("POST", "/v1/chat/completions", body, rich.token)
    events = answer.body.decode().split("\n\n")
    assert answer.status == 200 and events[-1] == ""
    assert events[-2].startswith('data: {"error":'), "no [DONE] after an error: the answer is not whole"


def test_a_refusal_that_comes_after_the_first_ping_is_an_error_in_the_stream(client):
    stream = client.chat.completions.create(
        model=api.MODEL, messages=api.says("[[slow 11000]] [[error 400 context_length_exceeded messages]]"), stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.body["code"] == "context_length_exceeded"
