"""The official SDKs with providers of every dialect: the scenarios of `shared/scenarios.py`."""

import base64
import json

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

import api
from scenarios import *  # noqa: F403 the tests are there
from scenarios import SCHEMA, Client, Failure, Told, results

WEATHER = {"name": "weather", "description": "The weather of a city."}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
# Enough for the least that thinking may take.
ROOM = 2000


def data_url(png):
    return "data:image/png;base64," + base64.b64encode(png).decode()


class Chat(Client):
    """OpenAI's SDK, chat completions."""

    def __init__(self, key):
        self.create = api.sdk(api_key=key).chat.completions.create
        self.stream = api.sdk(api_key=key).chat.completions.stream
        self.parse = api.sdk(api_key=key).chat.completions.parse

    def tell(self, model, prompt, stream):
        ask = {"model": model, "messages": api.says(prompt)}
        if not stream:
            answer = self.create(**ask)
            return Told(answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens)
        chunks = list(self.create(**ask, stream=True, stream_options={"include_usage": True}))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        return Told(text, chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens)

    def turn(self, model, prompt, stream):
        tools = [{"type": "function", "function": {**WEATHER, "parameters": PARAMETERS}}]

        def message(messages):
            if not stream:
                return self.create(model=model, messages=messages, tools=tools).choices[0].message
            with self.stream(model=model, messages=messages, tools=tools) as events:
                return events.get_final_completion().choices[0].message

        asked = message(api.says(prompt))
        calls = [json.loads(call.function.arguments) for call in asked.tool_calls]
        told = [{"role": "tool", "tool_call_id": call.id, "content": result}
                for call, result in zip(asked.tool_calls, results(calls))]
        return calls, message([*api.says(prompt), asked.model_dump(exclude_none=True, exclude={"parsed"}), *told]).content

    def look(self, model, prompt, png):
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": data_url(png)}}]
        return self.create(model=model, messages=[{"role": "user", "content": content}]).choices[0].message.content

    def fill(self, model, prompt):
        form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}}
        return json.loads(self.create(model=model, messages=api.says(prompt), response_format=form).choices[0].message.content)

    def fail(self, model, prompt, stream):
        with pytest.raises(openai.APIError) as caught:
            answer = self.create(model=model, messages=api.says(prompt), stream=stream)
            list(answer)
        return Failure(getattr(caught.value, "status_code", None), str(caught.value))

    def leave(self, model, prompt):
        with self.create(model=model, messages=api.says(prompt), stream=True) as stream:
            for number, _ in enumerate(stream):
                if number == 5:
                    return


class Responses(Client):
    """OpenAI's SDK, responses; nothing is kept, so thoughts travel encrypted."""

    KEEPS = {"store": False, "include": ["reasoning.encrypted_content"]}

    def __init__(self, key):
        self.create = api.sdk(api_key=key).responses.create
        self.stream = api.sdk(api_key=key).responses.stream

    def answer(self, stream, **ask):
        if not stream:
            return self.create(**ask, **self.KEEPS)
        with self.stream(**ask, **self.KEEPS) as events:
            return events.get_final_response()

    def tell(self, model, prompt, stream):
        answer = self.answer(stream, model=model, input=prompt)
        return Told(answer.output_text, answer.usage.input_tokens, answer.usage.output_tokens)

    def turn(self, model, prompt, stream):
        tools = [{"type": "function", **WEATHER, "parameters": PARAMETERS, "strict": True}]
        said = {"role": "user", "content": prompt}
        first = self.answer(stream, model=model, input=[said], tools=tools)
        asked = [item for item in first.output if item.type == "function_call"]
        calls = [json.loads(call.arguments) for call in asked]
        told = [{"type": "function_call_output", "call_id": call.call_id, "output": result}
                for call, result in zip(asked, results(calls))]
        items = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
        return calls, self.answer(stream, model=model, input=[said, *items, *told], tools=tools).output_text

    def look(self, model, prompt, png):
        content = [{"type": "input_text", "text": prompt}, {"type": "input_image", "image_url": data_url(png)}]
        return self.answer(False, model=model, input=[{"role": "user", "content": content}]).output_text

    def fill(self, model, prompt):
        form = {"format": {"type": "json_schema", "name": "city", "strict": True, "schema": SCHEMA}}
        return json.loads(self.answer(False, model=model, input=prompt, text=form).output_text)

    def fail(self, model, prompt, stream):
        try:
            answer = self.create(model=model, input=prompt, stream=stream, store=False)
            last = list(answer)[-1]
        except openai.APIError as error:
            return Failure(getattr(error, "status_code", None), str(error))
        assert last.type in ("error", "response.failed"), last
        return Failure(None, str(last))

    def leave(self, model, prompt):
        with self.create(model=model, input=prompt, stream=True, store=False) as stream:
            for number, _ in enumerate(stream):
                if number == 8:
                    return


class Messages(Client):
    """Anthropic's SDK, thinking."""

    def __init__(self, key):
        self.messages = anthropic.Anthropic(
            api_key=key, base_url=api.FACTS["house"], max_retries=0, timeout=60).messages

    def answer(self, stream, **ask):
        ask = {"max_tokens": ROOM, **ask}
        if not stream:
            return self.messages.create(**ask)
        with self.messages.stream(**ask) as events:
            return events.get_final_message()

    def tell(self, model, prompt, stream):
        answer = self.answer(stream, model=model, messages=api.says(prompt))
        usage = answer.usage
        return Told(answer.content[0].text, usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)

    def turn(self, model, prompt, stream):
        ask = {"model": model, "thinking": {"type": "enabled", "budget_tokens": 1024},
               "tools": [{**WEATHER, "input_schema": PARAMETERS}]}
        first = self.answer(stream, **ask, messages=api.says(prompt))
        asked = [block for block in first.content if block.type == "tool_use"]
        calls = [block.input for block in asked]
        told = [{"type": "tool_result", "tool_use_id": block.id, "content": result}
                for block, result in zip(asked, results(calls))]
        second = self.answer(stream, **ask, messages=[
            *api.says(prompt), {"role": "assistant", "content": first.content}, {"role": "user", "content": told}])
        return calls, second.content[-1].text

    def look(self, model, prompt, png):
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png).decode()}
        content = [{"type": "text", "text": prompt}, {"type": "image", "source": source}]
        return self.answer(False, model=model, messages=[{"role": "user", "content": content}]).content[0].text

    def fill(self, model, prompt):
        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return json.loads(self.answer(False, model=model, messages=api.says(prompt), output_config=form).content[0].text)

    def fail(self, model, prompt, stream):
        with pytest.raises(anthropic.APIError) as caught:
            list(self.messages.create(model=model, max_tokens=ROOM, messages=api.says(prompt), stream=stream))
        return Failure(getattr(caught.value, "status_code", None), str(caught.value))

    def leave(self, model, prompt):
        with self.messages.stream(model=model, max_tokens=ROOM, messages=api.says(prompt)) as stream:
            for number, _ in enumerate(stream):
                if number == 8:
                    return


class Gemini(Client):
    """Google's SDK, with thoughts."""

    def __init__(self, key):
        options = types.HttpOptions(base_url=api.FACTS["house"], timeout=60_000)
        # The client closes its connection when it is forgotten.
        self.client = genai.Client(api_key=key, http_options=options)
        self.models = self.client.models

    def answer(self, stream, model, contents, **config):
        config = types.GenerateContentConfig(**config)
        if not stream:
            return [self.models.generate_content(model=model, contents=contents, config=config)]
        return list(self.models.generate_content_stream(model=model, contents=contents, config=config))

    def tell(self, model, prompt, stream):
        pieces = self.answer(stream, model, prompt)
        usage = pieces[-1].usage_metadata
        output = usage.candidates_token_count + (usage.thoughts_token_count or 0)
        return Told("".join(piece.text or "" for piece in pieces), usage.prompt_token_count, output)

    def turn(self, model, prompt, stream):
        weather = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"])
        tools = [types.Tool(function_declarations=[types.FunctionDeclaration(**WEATHER, parameters=weather)])]
        config = {"tools": tools, "thinking_config": types.ThinkingConfig(include_thoughts=True)}
        said = types.Content(role="user", parts=[types.Part(text=prompt)])
        pieces = self.answer(stream, model, [said], **config)
        parts = [part for piece in pieces for part in piece.candidates[0].content.parts or []]
        asked = [part.function_call for part in parts if part.function_call]
        calls = [call.args for call in asked]
        told = [types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": result}))
                for call, result in zip(asked, results(calls))]
        contents = [said, types.Content(role="model", parts=parts), types.Content(role="user", parts=told)]
        return calls, "".join(piece.text or "" for piece in self.answer(stream, model, contents, **config))

    def look(self, model, prompt, png):
        return self.answer(False, model, [prompt, types.Part.from_bytes(data=png, mime_type="image/png")])[0].text

    def fill(self, model, prompt):
        form = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        return json.loads(self.answer(False, model, prompt, **form)[0].text)

    def fail(self, model, prompt, stream):
        with pytest.raises((errors.APIError, errors.UnknownApiResponseError)) as caught:
            self.answer(stream, model, prompt)
        return Failure(getattr(caught.value, "code", None), str(caught.value))

    def leave(self, model, prompt):
        stream = self.models.generate_content_stream(model=model, contents=prompt)
        for number, _ in enumerate(stream):
            if number == 5:
                break
        stream.close()


@pytest.fixture(params=[Chat, Responses, Messages, Gemini], ids=lambda kind: kind.__name__.lower())
def connect(request):
    return request.param
