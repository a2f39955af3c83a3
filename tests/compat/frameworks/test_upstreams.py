"""LangChain and LiteLLM as clients, with providers of every dialect: the scenarios of `shared/scenarios.py`."""

import base64
import json

import anthropic
import google.genai.errors
import langchain_anthropic
import langchain_google_genai
import langchain_openai
import litellm
import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage

import api
from scenarios import *  # noqa: F403 the tests are there
from scenarios import FILLED, SCHEMA, Client, Failure, Told, results

WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
CITY = {"title": "city", "description": "A city.", **SCHEMA}
ROOM = 2000


def status_of(error):
    """What the SDK below says, however deep it is wrapped."""
    while error is not None:
        for name in ("status_code", "code"):
            if isinstance(getattr(error, name, None), int):
                return getattr(error, name)
        error = error.__cause__
    return None


class LangChain(Client):
    """A chat model of LangChain; what differs is how it is made."""

    ERRORS = (openai.APIError, ValueError)

    def __init__(self, key):
        self.key = key

    def model(self, name, **options):
        return langchain_openai.ChatOpenAI(
            model=name, api_key=self.key, base_url=api.FACTS["house"] + "/v1", max_retries=0, timeout=60, **options)

    def thinking(self, name):
        return self.model(name)

    @staticmethod
    def ask(runnable, said, stream):
        if not stream:
            return runnable.invoke(said)
        pieces = list(runnable.stream(said))
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        assert isinstance(whole, AIMessageChunk)
        return whole

    def tell(self, model, prompt, stream):
        answer = self.ask(self.model(model, **self.usage_options()), prompt, stream)
        return Told(answer.text, answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"])

    def usage_options(self):
        return {"stream_usage": True}

    def turn(self, model, prompt, stream):
        agent = self.thinking(model).bind_tools([WEATHER])
        said = [HumanMessage(prompt)]
        first = self.ask(agent, said, stream)
        told = [ToolMessage(result, tool_call_id=call["id"], name=call["name"])
                for call, result in zip(first.tool_calls, results(first.tool_calls))]
        return [call["args"] for call in first.tool_calls], self.ask(agent, [*said, first, *told], stream).text

    def look(self, model, prompt, png):
        picture = {"type": "image", "base64": base64.b64encode(png).decode(), "mime_type": "image/png"}
        return self.model(model).invoke([HumanMessage([{"type": "text", "text": prompt}, picture])]).text

    def fill(self, model, prompt):
        return self.model(model).with_structured_output(CITY).invoke(prompt)

    def fail(self, model, prompt, stream):
        with pytest.raises(self.ERRORS) as caught:
            self.ask(self.model(model), prompt, stream)
        return Failure(status_of(caught.value), str(caught.value))

    def leave(self, model, prompt):
        stream = self.model(model).stream(prompt)
        for number, _ in enumerate(stream):
            if number == 5:
                break
        stream.close()


class LangChainResponses(LangChain):
    """`ChatOpenAI` by the Responses API, as agents with reasoning use it; nothing is kept."""

    def model(self, name, **options):
        return super().model(name, use_responses_api=True, store=False, include=["reasoning.encrypted_content"],
                             output_version="responses/v1", **options)


class LangChainAnthropic(LangChain):
    ERRORS = (anthropic.APIError, ValueError)

    def model(self, name, **options):
        return langchain_anthropic.ChatAnthropic(
            model=name, api_key=self.key, base_url=api.FACTS["house"], max_retries=0, timeout=60, max_tokens=ROOM, **options)

    def thinking(self, name):
        return self.model(name, thinking={"type": "enabled", "budget_tokens": 1024})


class LangChainGoogle(LangChain):
    ERRORS = (langchain_google_genai.chat_models.ChatGoogleGenerativeAIError, google.genai.errors.APIError,
              google.genai.errors.UnknownApiResponseError, ValueError)

    def model(self, name, **options):
        return langchain_google_genai.ChatGoogleGenerativeAI(
            model=name, api_key=self.key, base_url=api.FACTS["house"], max_retries=1, timeout=60, **options)

    def usage_options(self):
        return {}


class LiteLLM(Client):
    """LiteLLM as a library, by OpenAI's dialect."""

    def __init__(self, key):
        self.key = key

    def options(self, model):
        return {"model": f"openai/{model}", "api_base": api.FACTS["house"] + "/v1"}

    def ask(self, model, messages, stream=False, **options):
        return litellm.completion(messages=messages, api_key=self.key, stream=stream, num_retries=0, max_retries=0,
                                  timeout=60, max_tokens=ROOM, **self.options(model), **options)

    def answer(self, model, messages, stream, **options):
        if not stream:
            return self.ask(model, messages, **options)
        chunks = list(self.ask(model, messages, stream=True, stream_options={"include_usage": True}, **options))
        return litellm.stream_chunk_builder(chunks, messages=messages)

    def tell(self, model, prompt, stream):
        answer = self.answer(model, api.says(prompt), stream)
        return Told(answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens)

    def turn(self, model, prompt, stream):
        first = self.answer(model, api.says(prompt), stream, tools=[WEATHER]).choices[0].message
        told = [{"role": "tool", "tool_call_id": call.id, "content": result}
                for call, result in zip(first.tool_calls, results(first.tool_calls))]
        second = self.answer(model, [*api.says(prompt), first.model_dump(), *told], stream, tools=[WEATHER])
        return [json.loads(call.function.arguments) for call in first.tool_calls], second.choices[0].message.content

    def look(self, model, prompt, png):
        url = "data:image/png;base64," + base64.b64encode(png).decode()
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": url}}]
        return self.answer(model, [{"role": "user", "content": content}], False).choices[0].message.content

    def fill(self, model, prompt):
        form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}}
        return json.loads(self.answer(model, api.says(prompt), False, response_format=form).choices[0].message.content)

    def fail(self, model, prompt, stream):
        with pytest.raises(openai.APIError) as caught:
            list(self.ask(model, api.says(prompt), stream=stream))
        status = getattr(caught.value, "status_code", None)
        # It makes up its own for failures of the server, and for what fails within a stream.
        return Failure(None if stream or (status or 500) >= 500 else status, str(caught.value))

    def leave(self, model, prompt):
        stream = self.ask(model, api.says(prompt), stream=True)
        for number, _ in enumerate(stream):
            if number == 5:
                break
        # What reads the connection, within what understands it.
        getattr(stream.completion_stream, "streaming_response", stream.completion_stream).close()


class LiteLLMAnthropic(LiteLLM):
    """By Anthropic's dialect."""

    def options(self, model):
        return {"model": f"anthropic/{model}", "api_base": api.FACTS["house"]}


class LiteLLMGemini(LiteLLM):
    """By Google's dialect."""

    def options(self, model):
        return {"model": f"gemini/{model}", "api_base": f"{api.FACTS['house']}/v1beta"}

    def fill(self, model, prompt):
        # It tells models whose names it does not know of the schema in words only.
        return super().fill(model, f"[[say {json.dumps(FILLED)}]]")


@pytest.fixture(params=["messages"])
def failing(request):
    """How failures of each dialect are told to each is the official SDKs' affair; here, how they reach a program."""
    return request.param


KINDS = [LangChain, LangChainResponses, LangChainAnthropic, LangChainGoogle, LiteLLM, LiteLLMAnthropic, LiteLLMGemini]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def connect(request):
    return request.param
