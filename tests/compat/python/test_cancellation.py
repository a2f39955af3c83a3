"""A client that goes away: the provider is stopped, the call is settled, nothing stays held."""

import asyncio

import openai
import pytest

import api

# Ten seconds of writing; the house waits api.FACTS["drain_seconds"] for the end of what nobody reads.
LONG = "[[chunks 500]] [[delay 20]]"


def outcome(marked):
    requests = api.asked(marked)
    return requests[-1]["outcome"] if requests else None


def read_a_little(client, prompt, chunks=10):
    stream = client.chat.completions.create(model=api.MODEL, messages=api.says(prompt), stream=True)
    for number, _ in enumerate(stream):
        if number == chunks:
            break
    stream.close()


def test_a_stream_that_is_closed_stops_the_provider_and_is_charged_for_what_was_written(user):
    marked = api.mark()
    with user.client() as client:
        read_a_little(client, f"{marked} {LONG}")
    assert api.eventually(lambda: outcome(marked), lambda seen: seen != "in_flight") == "aborted"
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] in ("counted", "estimated"), "the provider could not report"
    assert api.USD - wallet.balance == int(charge["charged_nanos"])
    assert api.cost(api.MODEL, input=1, output=8) <= int(charge["charged_nanos"]) < api.cost(api.MODEL, input=200, output=500)


def test_a_client_that_vanishes_without_a_word_is_noticed(user):
    marked = api.mark()
    with user.client() as client:
        stream = client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} {LONG}"), stream=True)
        next(iter(stream))
    assert api.eventually(lambda: outcome(marked), lambda seen: seen != "in_flight") == "aborted"
    user.settled(calls=1)


def test_what_ends_soon_after_the_client_left_is_charged_as_reported(user):
    marked = api.mark()
    with user.client() as client:
        read_a_little(client, f"{marked} [[chunks 30]] [[delay 20]] [[usage 70 30]]", chunks=5)
    wallet, (charge,) = user.settled(calls=1)
    assert outcome(marked) == "finished"
    assert (charge["basis"], api.USD - wallet.balance) == ("reported", api.cost(api.MODEL, input=70, output=30))


def test_a_task_that_is_cancelled_stops_the_provider(user):
    marked = api.mark()

    async def read(key):
        async with openai.AsyncOpenAI(base_url=f"{api.FACTS['house']}/v1", api_key=key, max_retries=0) as client:
            async for _ in await client.chat.completions.create(model=api.MODEL, messages=api.says(f"{marked} {LONG}"), stream=True):
                pass

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(read(user.key()["key"]), 4))
    assert api.eventually(lambda: outcome(marked), lambda seen: seen != "in_flight") == "aborted"
    user.settled(calls=1)


def give_up(client, prompt, **options):
    with pytest.raises(openai.APITimeoutError):
        list(client.chat.completions.create(model=api.MODEL, messages=api.says(prompt), **options))


def test_a_client_that_gives_up_before_the_first_byte_of_a_stream_pays_nothing(user):
    marked = api.mark()
    with user.client(timeout=1) as client:
        give_up(client, f"{marked} [[slow 60000]]", stream=True)
    assert api.eventually(lambda: outcome(marked), lambda seen: seen != "in_flight") == "aborted"
    assert api.eventually(user.wallet, lambda wallet: wallet.held == 0).balance == api.USD


def test_an_answer_in_one_piece_is_let_finish_and_charged_although_nobody_waits_any_more(user):
    marked = api.mark()
    with user.client(timeout=1) as client:
        give_up(client, f"{marked} [[slow {1000 * (api.FACTS['drain_seconds'] + 3)}]] [[say done]] [[usage 70 30]]")
    wallet, (charge,) = user.settled(calls=1)
    assert outcome(marked) == "finished", "half of such an answer has no price"
    assert (charge["basis"], api.USD - wallet.balance) == ("reported", api.cost(api.MODEL, input=70, output=30))


def test_a_provider_that_falls_silent_is_left_when_the_client_leaves(user):
    marked = api.mark()
    with user.client(timeout=5) as client:
        give_up(client, f"{marked} [[chunks 9]] [[stall 4]]", stream=True)
    assert api.eventually(lambda: outcome(marked), lambda seen: seen != "in_flight") == "aborted"
    wallet, (charge,) = user.settled(calls=1)
    assert charge["basis"] in ("counted", "estimated") and api.USD - wallet.balance == int(charge["charged_nanos"]) > 0
