"""What an operator does to a channel is what callers get: models, prices, costs, an address where nobody answers."""

import decimal
import socket

import openai
import pytest

import api


@pytest.fixture
def channel():
    """Makes channels with one model each, and disables them at the end."""
    made = []

    def make(**fields):
        model = f"temporary/{api.mark()[1:]}"
        body = {"name": model, "provider": "openai", "base_url": f"{api.FACTS['provider']}/v1", "keys": ["sk-temporary"],
                "models": [model], "prices": {model: {"input": "1", "output": "2"}}, **fields}
        made.append(api.own_api("POST", "admin/channels", body, api.admin_token()))
        return model, made[-1]["id"]

    yield make
    for one in made:
        change(one["id"], enabled=False)


def change(channel_id, **fields):
    return api.own_api("PATCH", f"admin/channels/{channel_id}", fields, api.admin_token())


def listed(client, model):
    return model in {found.id for found in client.models.list()}


def call(client, model, prompt="[[say ok]] [[usage 1000 100]]"):
    return client.chat.completions.create(model=model, messages=api.says(prompt))


def test_a_new_channel_serves_its_model_and_a_disabled_one_does_not(user, channel):
    model, channel_id = channel()
    with user.client() as client:
        api.eventually(lambda: listed(client, model), bool)
        assert client.models.retrieve(model).id == model, "names may contain slashes"
        assert call(client, model).model == model
        change(channel_id, enabled=False)
        api.eventually(lambda: listed(client, model), lambda there: not there)
        with pytest.raises(openai.NotFoundError) as caught:
            call(client, model)
        assert caught.value.code == "model_not_found"
    wallet, _ = user.settled(calls=1)
    assert api.USD - wallet.balance == 1000 * 1_000 + 100 * 2_000


def test_the_provider_of_the_environment_is_a_channel_that_charges_what_it_says(user):
    with user.client() as client:
        prices = client.models.retrieve("mock-1").pricing
        call(client, "mock-1", "[[say ok]] [[usage 1000 100]]")
    wallet, _ = user.settled(calls=1)
    nanos = {tier: decimal.Decimal(rate) * 1000 for tier, rate in prices.items()}
    assert api.USD - wallet.balance == 1000 * nanos["input"] + 100 * nanos["output"]


def test_a_new_price_counts_from_then_on_and_each_charge_shows_its_own(user, channel):
    model, channel_id = channel()
    with user.client() as client:
        api.eventually(lambda: listed(client, model), bool)
        call(client, model)
        user.settled(calls=1)
        change(channel_id, prices={model: {"input": "3", "output": "5"}})
        api.eventually(lambda: decimal.Decimal(client.models.retrieve(model).pricing["input"]), lambda price: price == 3)
        call(client, model)
    wallet, (second, first) = user.settled(calls=2)
    assert (first["charged_nanos"], second["charged_nanos"]) == (str(1_200_000), str(3_500_000))
    assert api.USD - wallet.balance == 4_700_000
    assert second["price_version"] > first["price_version"]


def test_what_the_provider_charges_us_is_booked_for_the_operator_alone(user):
    with user.client() as client:
        call(client, api.MODEL, "[[say ok]] [[usage 1000 100]] [[cached 400]]")
    user.settled(calls=1)
    # 600 tokens at 2.00, 400 at 1.00 and 100 at 8.00 a million.
    cost = 600 * 2_000 + 400 * 1_000 + 100 * 8_000

    def booked(path, token):
        items = api.own_api("GET", f"{path}?limit=100", token=token)["items"]
        return {int(entry["amount_nanos"]) for entry in items if entry["account"] in ("upstream_cost", "upstream_payable")}

    assert booked(f"admin/users/{user.id}/ledger", api.admin_token()) == {cost, -cost}
    assert booked("ledger/entries", user.token) == set()


def test_an_address_where_nobody_answers_is_a_failure_of_the_server_that_costs_nothing(user, channel):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        model, _ = channel(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        with user.client() as client:
            api.eventually(lambda: listed(client, model), bool)
            with pytest.raises(openai.InternalServerError) as caught:
                call(client, model)
    assert caught.value.code == "upstream_error"
    assert "127.0.0.1" not in str(caught.value.body), "where our providers are is nobody's business"
    assert api.eventually(user.wallet, lambda wallet: wallet.held == 0).balance == api.USD


@pytest.mark.parametrize("address", ["http://169.254.169.254/v1", "file:///etc/passwd", "gopher://127.0.0.1/", "http://[fe80::1]/v1"])
def test_addresses_that_no_provider_has_are_refused(address):
    body = {"name": "bad", "provider": "openai", "base_url": address, "keys": [], "models": ["bad"],
            "prices": {"bad": {"input": "1", "output": "1"}}}
    answer = api.send("POST", "/api/v1/admin/channels", body, api.admin_token())
    assert (answer.status, answer.json["code"] in ("address_not_allowed", "invalid_base_url")) == (422, True), answer.body


def test_a_test_call_of_a_channel_is_charged_to_nobody(channel):
    model, channel_id = channel()
    result = api.own_api("POST", f"admin/channels/{channel_id}/test", {"model": model}, api.admin_token())
    assert (result["ok"], result["model"], result["error"]) == (True, model, None)


def test_only_operators_make_channels_and_grants(user):
    for path, body in [("admin/channels", {"name": "mine"}), (f"admin/users/{user.id}/grants", {"amount_nanos": "1", "reason": "greed"})]:
        answer = api.send("POST", f"/api/v1/{path}", body, user.token, {"idempotency-key": api.mark()})
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert user.wallet().balance == api.USD
