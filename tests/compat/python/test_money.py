"""Each call costs exactly tokens times prices, and nobody spends what they do not have."""

import collections
import concurrent.futures

import openai
import pytest

import api

# prompt directives, model, and what the provider reports by them
CASES = {
    "plain": ("[[usage 1000 500]]", "compat-1", {"input": 1000, "output": 500}),
    "one token": ("[[usage 1 1]]", "compat-1", {"input": 1, "output": 1}),
    "cached": ("[[usage 1000 500]] [[cached 900]]", "compat-1", {"input": 1000, "output": 500, "cached": 900}),
    "reasoning": ("[[usage 1000 500]] [[reasoning 450]]", "compat-1", {"input": 1000, "output": 500, "reasoning": 450}),
    "all tiers": ("[[usage 1001 503]] [[cached 999]] [[reasoning 502]]", "compat-1",
                  {"input": 1001, "output": 503, "cached": 999, "reasoning": 502}),
    "half a nano, down to even": ("[[usage 5 1]]", "compat-odd", {"input": 5, "output": 1}),
    "half a nano, up to even": ("[[usage 7 1]]", "compat-odd", {"input": 7, "output": 1}),
    "tiers without a price of their own": ("[[usage 9 7]] [[cached 4]] [[reasoning 3]]", "compat-odd",
                                           {"input": 9, "output": 7, "cached": 4, "reasoning": 3}),
    "usage in the finish chunk": ("[[usage 10 20]] [[usage-merged]]", "compat-1", {"input": 10, "output": 20}),
    "usage in a frame without choices": ("[[usage 10 20]] [[usage-bare]]", "compat-1", {"input": 10, "output": 20}),
}


def no_credit(error):
    assert isinstance(error, openai.RateLimitError)
    assert (error.status_code, error.code) == (429, "insufficient_quota")
    assert error.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_call_costs_exactly_its_tokens_times_their_prices(user, case, stream):
    directives, model, tokens = CASES[case]
    with user.client() as client:
        answer = client.chat.completions.create(model=model, messages=api.says(f"[[say ok]] {directives}"), stream=stream)
        if stream:
            list(answer)
    wallet, (charge,) = user.settled(calls=1)
    expected = api.cost(model, **tokens)
    assert api.USD - wallet.balance == expected
    assert (charge["charged_nanos"], charge["basis"], charge["model"], charge["kind"]) == (str(expected), "reported", model, "api")
    cached, reasoning = tokens.get("cached", 0), tokens.get("reasoning", 0)
    assert {tier: count for tier, count in charge["tokens"].items() if count} == {tier: count for tier, count in {
        "input": tokens["input"] - cached, "cached_input": cached,
        "output": tokens["output"] - reasoning, "reasoning": reasoning}.items() if count}


def test_what_the_provider_does_not_report_is_counted(user):
    with user.client() as client:
        *_, last = client.chat.completions.create(
            model=api.MODEL, messages=api.says("[[say one two three four]] [[no-usage]]"), stream=True,
            stream_options={"include_usage": True})
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] in ("counted", "estimated"), "which, depends on whether its tokenizer is known"
    assert charge["tokens"]["output"] > 0 and charge["tokens"]["input"] > 0
    assert api.USD - wallet.balance == int(charge["charged_nanos"]) == api.cost(
        api.MODEL, input=last.usage.prompt_tokens, output=last.usage.completion_tokens), "and the client is told the same numbers"


@pytest.mark.parametrize("report", ["[[usage 0 7]]", "[[usage 7 0]]", "[[usage 999999999999 5]]"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_report_that_cannot_be_true_is_not_believed_and_the_client_is_told_what_is_charged(user, report, stream):
    messages, asked = api.says(f"[[say one two three four]] {report}"), {"stream_options": {"include_usage": True}} if stream else {}
    with user.client() as client:
        answer = client.chat.completions.create(model=api.MODEL, messages=messages, stream=stream, **asked)
        usage = [chunk.usage for chunk in answer][-1] if stream else answer.usage
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] in ("counted", "estimated")
    assert 0 < charge["tokens"]["input"] < 100 and 0 < charge["tokens"]["output"] < 20
    assert api.USD - wallet.balance == api.cost(api.MODEL, input=usage.prompt_tokens, output=usage.completion_tokens)


def test_the_key_that_made_a_call_is_in_its_charge(user):
    key = user.key()
    with user.client(api_key=key["key"]) as client:
        client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]]"))
    _, (charge,) = user.settled(calls=1)
    assert charge["api_key_id"] == key["id"]


@pytest.mark.parametrize("directive", ["[[error 400]]", "[[error 500]]", "[[error 429]]"])
def test_a_call_that_fails_before_any_output_costs_nothing(user, directive):
    with user.client() as client, pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model=api.model_for(directive), messages=api.says(directive))
    wallet = api.eventually(user.wallet, lambda wallet: wallet.held == 0)
    assert wallet.balance == wallet.available == api.USD


def test_a_stream_that_breaks_costs_what_came_and_leaves_no_hold(user):
    with user.client() as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=api.own_model(), messages=api.says("[[chunks 9]] [[cut 5]]"), stream=True))
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] in ("counted", "estimated")
    assert 0 < int(charge["charged_nanos"]) == api.USD - wallet.balance


@pytest.mark.parametrize("choices", [1, 2])
@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
def test_the_bound_shrinks_to_what_credit_covers(bound, choices):
    dearest = 12_000  # nanos a token: reasoning
    user = api.User(1_000 * dearest)
    marked = api.mark()
    with user.client() as client:
        client.chat.completions.create(
            model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"), n=choices, **{bound: 4_000})
    (request,) = api.asked(marked)
    sent = request["body"]["max_tokens"]
    assert 900 <= sent * choices <= 1_000, "less than asked for, by the price of the question"
    assert user.settled(calls=1)[0].debt == 0


def test_a_call_without_a_bound_is_bounded_where_credit_is_short():
    user = api.User(1_000 * 12_000)
    marked = api.mark()
    with user.client() as client:
        client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} [[say ok]]"))
    (request,) = api.asked(marked)
    sent = {name: request["body"][name] for name in ("max_tokens", "max_completion_tokens") if name in request["body"]}
    assert len(sent) == 1 and 900 <= next(iter(sent.values())) <= 1_000, sent


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("credit", [0, 1, 12_000])
def test_without_credit_a_call_is_refused_before_anything_is_asked_and_the_sdk_does_not_repeat_it(credit, stream):
    user, marked, sent = api.User(credit), api.mark(), []
    with user.client(max_retries=2) as client:
        client._client.event_hooks["request"].append(sent.append)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=api.MODEL, messages=api.says(marked), stream=stream)
    no_credit(caught.value)
    assert len(sent) == 1, "exactly one request"
    assert api.asked(marked) == []
    assert (user.wallet().balance, user.wallet().held) == (credit, 0)


def test_a_provider_that_sends_more_than_was_held_makes_a_debt_that_blocks_the_next_call():
    user = api.User(1_000 * 12_000)
    with user.client() as client:
        client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]] [[usage 10 2000]]"))
        wallet, _ = user.settled(calls=1)
        assert wallet.balance == 1_000 * 12_000 - api.cost(api.MODEL, input=10, output=2000)
        assert wallet.debt == -wallet.balance > 0
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]]"))
    no_credit(caught.value)


def test_a_request_id_used_twice_does_not_make_the_second_call_free(user):
    other, same = api.User(), f"again{api.mark()[1:]}"
    for caller, text in ((user, "one"), (user, "two"), (user, "two"), (other, "one")):
        with caller.client() as client:
            answer = client.chat.completions.create(
                model=api.MODEL, messages=api.says(f"[[say {text}]] [[usage 1000 1000]]"), extra_headers={"x-request-id": same})
            assert answer.choices[0].message.content == text
    price = api.cost(api.MODEL, input=1000, output=1000)
    assert user.settled(calls=3)[0].balance == api.USD - 3 * price
    assert other.settled(calls=1)[0].balance == api.USD - price


def test_many_calls_at_once_on_one_wallet_add_up(user):
    with user.client() as client:
        def call(number):
            stream = client.chat.completions.create(
                model=api.MODEL, messages=api.says(f"[[say ok]] [[usage {100 + number} {50 + number}]]"), stream=True, max_tokens=300)
            list(stream)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            list(pool.map(call, range(24)))
    wallet, _ = user.settled(calls=24)
    assert api.USD - wallet.balance == sum(api.cost(api.MODEL, input=100 + number, output=50 + number) for number in range(24))


def test_callers_at_once_cannot_spend_the_same_credit_twice():
    # Each call holds its input and 1,000 tokens at 12,000 nanos; there is credit for five such holds and a half.
    user = api.User(5 * 12_000_000 + 6_000_000)
    with user.client() as client:
        def call(_):
            try:
                return client.chat.completions.create(
                    model=api.MODEL, messages=api.says("[[say ok]] [[usage 10 1000]] [[reasoning 1000]] [[slow 1500]]"), max_tokens=1_000)
            except openai.RateLimitError as error:
                return error
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            results = list(pool.map(call, range(16)))
    answered = [result for result in results if not isinstance(result, Exception)]
    for result in results:
        if isinstance(result, Exception):
            no_credit(result)
    assert 5 <= len(answered) <= 6, "the sixth may be shorter, a seventh is refused"
    wallet, _ = user.settled(calls=len(answered))
    spent = len(answered) * api.cost(api.MODEL, input=10, output=1000, reasoning=1000)
    assert wallet.balance == 66_000_000 - spent


def test_the_ledger_of_a_wallet_sums_to_zero_at_every_position(user):
    with user.client() as client:
        client.chat.completions.create(model=api.MODEL, messages=api.says("[[say ok]] [[usage 1001 503]] [[cached 7]]"))
    user.settled(calls=1)

    def entries():
        return api.own_api("GET", "ledger/entries?limit=100", token=user.token)["items"]

    found = api.eventually(entries, lambda items: {"grant", "hold", "charge"} <= {item["kind"] for item in items})
    sums = collections.Counter()
    for entry in found:
        sums[entry["position"]] += int(entry["amount_nanos"])
    assert len(sums) >= 3 and set(sums.values()) == {0}
