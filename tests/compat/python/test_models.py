"""The list of models and the paths that clients build."""

import decimal

import openai
import pytest

import api


def test_the_list_has_openais_shape_and_the_fields_that_the_channel_knows(client):
    page = client.models.list()
    assert page.object == "list"
    models = {model.id: model for model in page}
    assert {"compat-1", "compat-odd", "mock-1"} <= set(models)
    model = models["compat-1"]
    assert (model.object, type(model.created), type(model.owned_by)) == ("model", int, str)
    assert model.created > 1_600_000_000, "seconds, not milliseconds"
    assert (model.context_window, model.max_output_tokens) == (128_000, 4_096)
    assert {tier: decimal.Decimal(rate) for tier, rate in model.pricing.items()} == {
        tier: decimal.Decimal(rate) for tier, rate in api.PRICES["compat-1"].items()}


def test_what_the_provider_charges_is_nobodys_business(client):
    assert "costs" not in client.models.with_raw_response.list().text
    assert "upstream-1" not in client.models.with_raw_response.list().text


def test_one_model_is_found_by_its_name(client):
    assert client.models.retrieve("compat-odd").id == "compat-odd"


def test_a_model_that_does_not_exist_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-unheard-of")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/v1/v1/models", "/v1/v1/models/"])
def test_a_trailing_slash_and_a_doubled_version_are_tolerated(rich, path):
    answer = api.send("GET", path, token=rich.token)
    assert (answer.status, answer.json["object"]) == (200, "list")


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/v1/chat/completions", "/v1/v1/chat/completions/"])
def test_they_are_tolerated_on_calls_too(rich, path):
    answer = api.send("POST", path, {"model": api.MODEL, "messages": api.says("[[say hello]]")}, rich.token)
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "hello")


@pytest.mark.parametrize("suffix", ["/v1", "/v1/", "/v1/v1"])
def test_any_of_these_works_as_the_base_url_of_the_sdk(rich, suffix):
    with rich.client(base_url=api.FACTS["house"] + suffix) as client:
        assert list(client.models.list())


def test_an_unknown_route_is_not_found_in_openais_shape(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.get("/nonsense", cast_to=object)
    assert caught.value.code == "unknown_url"
    assert set(caught.value.body) == {"message", "type", "param", "code"}


def test_a_wrong_method_is_refused_in_openais_shape(rich):
    answer = api.send("GET", "/v1/chat/completions", token=rich.token)
    assert answer.status == 405
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
