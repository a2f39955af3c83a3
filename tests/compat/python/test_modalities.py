"""Vectors, pictures, speech, transcripts and judgements by the SDK, and what each of them costs."""

import base64
import io

import openai
import pytest

import api

SPEECH = "[[say good morning]] [[delay 20]]"


def charged(user):
    """The one charge of a user."""
    wallet = api.eventually(user.wallet, lambda wallet: wallet.held == 0 and wallet.balance != api.USD)
    return api.USD - wallet.balance


def test_vectors_are_numbers_although_the_sdk_asks_for_base64(user):
    with user.client() as client:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["a", "four"], dimensions=4)
    assert [item.embedding for item in answer.data] == [[0.0, 1.0, 0.0, 0.0], [1.0, 4.0, 0.0, 0.0]]
    assert (answer.model, answer.usage.total_tokens) == ("text-embedding-3-small", 1)
    assert charged(user) == 20


def test_token_ids_and_floats_are_taken_as_well(client):
    for input in ([1, 2, 3], [[1, 2, 3]], "abc"):
        answer = client.embeddings.create(model="text-embedding-3-small", input=input, encoding_format="float")
        assert answer.data[0].embedding == [0.0, 3.0, 0.0]


def test_pictures_come_as_base64_and_cost_each(user):
    with user.client() as client:
        answer = client.images.generate(model="compat-draw", prompt="a cat", n=2)
    assert [base64.b64decode(item.b64_json) for item in answer.data] == [b"a cat"] * 2
    assert charged(user) == 2 * 40_000_000


def test_a_picture_is_changed_by_a_form(user):
    with user.client() as client:
        answer = client.images.edit(model="compat-draw", prompt="a hat", image=("a.png", b"a picture", "image/png"))
    assert base64.b64decode(answer.data[0].b64_json) == b"a hat"
    assert charged(user) == 40_000_000


def test_speech_is_streamed_and_costs_its_characters(user):
    with user.client() as client:
        with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=SPEECH) as answer:
            assert answer.headers["content-type"] == "audio/mpeg"
            pieces = list(answer.iter_bytes())
    assert b"".join(pieces) == b"good morning" and len(pieces) > 1
    assert charged(user) == len(SPEECH) * 15_000


@pytest.mark.parametrize("call", ["transcriptions", "translations"])
def test_a_recording_is_written_down_and_costs_its_seconds(user, call):
    with user.client() as client:
        heard = getattr(client.audio, call).create(model="whisper-1", file=("a.wav", io.BytesIO(b"sound")))
    assert heard.text == "heard 5 bytes"
    assert charged(user) == 2 * 100_000, "two seconds, as the provider says"


def test_a_large_recording_passes_through(user):
    size = 9 << 20
    with user.client() as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(size)))
    assert heard.text == f"heard {size} bytes"


def test_a_transcript_comes_as_text_and_as_events(client):
    recording = ("a.mp3", b"sound")
    text = client.audio.transcriptions.create(model="whisper-1", file=recording, response_format="text")
    assert text.strip() == "heard 5 bytes"
    events = list(client.audio.transcriptions.create(
        model="whisper-1", file=recording, prompt="[[say good morning]]", stream=True))
    assert "".join(event.delta for event in events[:-1]) == "good morning"
    assert events[-1].type == "transcript.text.done"


def test_texts_are_judged_without_a_name_of_a_model(client):
    answer = client.moderations.create(input=["peace", "harm"])
    assert [result.flagged for result in answer.results] == [False, True]


def test_what_is_wrong_has_the_sdks_own_exceptions(client, user):
    with pytest.raises(openai.BadRequestError) as wrong:
        client.embeddings.create(model="text-embedding-3-small", input=[])
    assert (wrong.value.param, wrong.value.code) == ("input", "empty_array")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.images.generate(model="nobody", prompt="a cat")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as claude:
        client.embeddings.create(model="compat-claude", input="a")
    assert claude.value.code == "unsupported_operation"
    poor = api.User(39_999_999)
    with poor.client() as client, pytest.raises(openai.RateLimitError) as refused:
        client.images.generate(model="compat-draw", prompt="a cat")
    assert refused.value.code == "insufficient_quota"
