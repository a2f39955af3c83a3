"""Who may call, and what a refusal looks like to the SDK."""

import datetime

import openai
import pytest

import api


def try_models(key):
    with api.sdk(api_key=key) as client:
        return client.models.list()


def refused_with(error, status, code):
    assert (error.status_code, error.code) == (status, code), error.body
    assert set(error.body) == {"message", "type", "param", "code"}, "the SDK unwraps `error`, and finds exactly that"
    assert error.request_id, "a refusal carries its request id too"


@pytest.mark.parametrize("key", ["sk-nonsense", "ob-00000000000000000000000000000000", "a.b.c", "ключ".encode().hex()])
def test_an_unknown_key_is_an_authentication_error(key):
    with pytest.raises(openai.AuthenticationError) as caught:
        try_models(key)
    refused_with(caught.value, 401, "invalid_api_key")


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "Basic YTpi"}])
def test_a_request_without_a_key_is_refused_in_the_same_shape(headers):
    for method, path, body in [("GET", "/v1/models", None), ("POST", "/v1/chat/completions", {"model": api.MODEL, "messages": []})]:
        answer = api.send(method, path, body, headers=headers)
        assert answer.status == 401
        assert answer.headers["content-type"].startswith("application/json")
        assert set(answer.json["error"]) == {"message", "type", "param", "code"}
        assert answer.json["error"]["code"] == "invalid_api_key"
        assert answer.headers["x-request-id"]


def test_an_access_token_of_the_page_works_as_a_key(rich):
    assert api.MODEL in {model.id for model in try_models(rich.token)}


def test_the_scheme_is_read_whatever_its_case(rich):
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert api.send("GET", "/v1/models", headers={"authorization": f"{scheme} {rich.token}"}).status == 200


def test_a_revoked_key_is_refused_at_once(user):
    key = user.key()
    with api.sdk(api_key=key["key"]) as client:
        client.models.list()
        api.own_api("DELETE", f"api-keys/{key['id']}", token=user.token)
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        refused_with(caught.value, 401, "invalid_api_key")
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model=api.MODEL, messages=api.says("[[say too late]]"))


def test_a_key_works_until_it_expires_and_no_longer(user):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=6)
    key = user.key(expires_at=soon.isoformat())["key"]
    try_models(key)

    def refusal():
        try:
            try_models(key)
        except openai.AuthenticationError as error:
            return error
        return None

    error = api.eventually(refusal, lambda error: error is not None)
    assert datetime.datetime.now(datetime.timezone.utc) >= soon, "not a moment earlier"
    refused_with(error, 401, "invalid_api_key")


def test_a_key_for_one_model_sees_and_calls_only_that_one(user):
    with user.client(api_key=user.key(models=["compat-odd"])["key"]) as client:
        assert [model.id for model in client.models.list()] == ["compat-odd"]
        client.chat.completions.create(model="compat-odd", messages=api.says("[[say allowed]]"))
        marked = api.mark()
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model=api.MODEL, messages=api.says(marked))
        refused_with(caught.value, 403, "model_not_allowed")
        assert api.asked(marked) == []


def test_a_key_without_the_chat_scope_lists_models_and_cannot_chat(user):
    with user.client(api_key=user.key(scopes=["models"])["key"]) as client:
        assert list(client.models.list())
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model=api.MODEL, messages=api.says("[[say no]]"))
        refused_with(caught.value, 403, "scope_missing")


def test_a_key_without_the_models_scope_cannot_list_them(user):
    with user.client(api_key=user.key(scopes=["chat"])["key"]) as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.models.list()
        refused_with(caught.value, 403, "scope_missing")


def test_an_api_key_opens_nothing_of_our_own_api_but_what_its_scopes_say(user):
    key = user.key()["key"]
    assert api.send("GET", "/api/v1/me", token=key).status == 401
    assert api.send("POST", "/api/v1/api-keys", {"name": "another"}, key).status == 401, "a leaked key cannot make more of them"
    answer = api.send("GET", "/api/v1/wallet", token=key)
    assert (answer.status, answer.json["code"]) == (403, "scope_missing")
    assert api.send("GET", "/api/v1/wallet", token=user.key(scopes=["billing"])["key"]).status == 200


def test_a_key_in_the_header_of_other_dialects_works_too(user):
    assert api.send("GET", "/v1/models", headers={"x-api-key": user.key()["key"]}).status == 200


def test_every_answer_says_how_many_requests_are_left(client):
    headers = client.models.with_raw_response.list().headers
    limit, left = (int(headers[f"x-ratelimit-{name}-requests"]) for name in ("limit", "remaining"))
    assert 0 <= left < limit and headers["x-ratelimit-reset-requests"].endswith("s")


def test_the_last_use_of_a_key_is_shown(user):
    key = user.key()
    assert key["last_used_at"] is None
    with api.sdk(api_key=key["key"]) as client:
        client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]]"))

    def found():
        return next(item for item in api.own_api("GET", "api-keys", token=user.token)["items"] if item["id"] == key["id"])

    listed = api.eventually(found, lambda item: item["last_used_at"] is not None)
    assert "key" not in listed and key["key"].endswith(listed["hint"]), "only the end of it is shown again"
