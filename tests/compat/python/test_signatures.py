"""Clients that keep the calls of a model and drop its thoughts: the provider gets them back all the same.

Gemini 3 refuses a call that has lost its signature, Claude a turn that has lost its thinking; LangChain, LiteLLM and many
agents keep id, name and arguments only (langchain-ai/langchain#37347 and #34056, BerriAI/litellm#16895).
"""

import json

import pytest

import api

CALL = '[[think It may rain.]] [[call weather {"city": "Köln"}]]'
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
ARGUMENTS = {"city": "Köln"}


def post(token, path, body):
    answer = api.send("POST", path, body, token)
    assert answer.status == 200, answer.body
    return answer.json


def chat(token, model, prompt, call=None):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
    messages = api.says(prompt)
    if call:
        function = {"name": "weather", "arguments": json.dumps(ARGUMENTS)}
        messages += [{"role": "assistant", "content": None, "tool_calls": [{"id": call, "type": "function", "function": function}]},
                     {"role": "tool", "tool_call_id": call, "content": "rain"}]
    body = {"model": model, "messages": messages, "tools": tools, "reasoning_effort": "low", "max_tokens": 2000}
    message = post(token, "/v1/chat/completions", body)["choices"][0]["message"]
    return next((call["id"] for call in message.get("tool_calls") or []), None)


def messages(token, model, prompt, call=None):
    said = api.says(prompt)
    if call:
        said += [{"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "weather", "input": ARGUMENTS}]},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "rain"}]}]
    body = {"model": model, "messages": said, "tools": [{"name": "weather", "input_schema": PARAMETERS}], "max_tokens": 2000}
    return next((block["id"] for block in post(token, "/v1/messages", body)["content"] if block["type"] == "tool_use"), None)


def responses(token, model, prompt, call=None):
    items = [{"role": "user", "content": prompt}]
    if call:
        items += [{"type": "function_call", "call_id": call, "name": "weather", "arguments": json.dumps(ARGUMENTS)},
                  {"type": "function_call_output", "call_id": call, "output": "rain"}]
    tools = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
    body = {"model": model, "input": items, "tools": tools, "store": False}
    output = post(token, "/v1/responses", body)["output"]
    return next((item["call_id"] for item in output if item["type"] == "function_call"), None)


def gemini(token, model, prompt, call=None):
    contents = [{"role": "user", "parts": [{"text": prompt}]}]
    if call:
        result = {"id": call, "name": "weather", "response": {"output": "rain"}}
        contents += [{"role": "model", "parts": [{"functionCall": {"id": call, "name": "weather", "args": ARGUMENTS}}]},
                     {"role": "user", "parts": [{"functionResponse": result}]}]
    body = {"contents": contents, "tools": [{"functionDeclarations": [{"name": "weather", "parameters": PARAMETERS}]}]}
    parts = post(token, f"/v1beta/models/{model}:generateContent", body)["candidates"][0]["content"]["parts"]
    return next((part["functionCall"]["id"] for part in parts if "functionCall" in part), None)


def thoughts(body):
    """What a request brings back of the model's thoughts, whatever the provider's dialect."""
    found = []
    for message in body.get("messages", []):
        blocks = message["content"] if isinstance(message["content"], list) else []
        found += [(block["thinking"], bool(block["signature"])) for block in blocks if block["type"] == "thinking"]
    for item in body.get("input", []):
        found += [(item["summary"][0]["text"], True) for _ in [item] if item.get("encrypted_content")]
    for content in body.get("contents", []):
        signatures = [part.get("thoughtSignature") for part in content["parts"] if "functionCall" in part]
        found += [("It may rain.", True) for signature in signatures if signature != "skip_thought_signature_validator"]
    return found


PAIRS = [(client, upstream) for client in (chat, messages, responses, gemini) for upstream in ("responses", "messages", "gemini")
         if client.__name__ != upstream]


@pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=lambda value: getattr(value, "__name__", value))
def test_what_a_client_dropped_of_a_models_thoughts_is_given_back(rich, client, upstream):
    model, marked = api.UPSTREAMS[upstream][2], api.mark()
    call = client(rich.token, model, f"{marked} {CALL}")
    client(rich.token, model, f"{marked} {CALL}", call)
    first, second = api.asked(marked)
    assert (first["fault"], second["fault"]) == (False, False)
    assert thoughts(second["body"]) == [("It may rain.", True)]


@pytest.mark.parametrize("upstream", ["responses", "messages", "gemini"])
def test_nobody_gets_what_belongs_to_the_calls_of_another_account(rich, user, upstream):
    model, marked = api.UPSTREAMS[upstream][2], api.mark()
    call = chat(rich.token, model, f"{marked} {CALL}")
    chat(user.token, model, f"{marked} {CALL}", call)
    assert thoughts(api.asked(marked)[-1]["body"]) == []
