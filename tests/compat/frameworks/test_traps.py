"""What broke these frameworks behind other gateways, each named by its report."""

import langchain_anthropic
import langchain_google_genai
import langchain_openai
import litellm
import pytest

import api

SUFFIXES = ["/v1", "/v1/", "/v1/v1"]


@pytest.mark.parametrize("upstream", ["", "[[usage-merged]]", "[[usage-bare]]"])
def test_litellm_reads_a_stream_whose_provider_sends_chunks_without_choices(rich_key, upstream):
    # osaurus-ai/osaurus#1661, BerriAI/litellm#30761: it indexes `choices[0]` of every chunk.
    stream = litellm.completion(
        model=f"openai/{api.MODEL}", api_base=api.FACTS["house"] + "/v1", api_key=rich_key, stream=True, num_retries=0,
        messages=api.says(f"[[say one two three]] {upstream}"))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "one two three"


@pytest.mark.parametrize("upstream", api.UPSTREAMS)
def test_langchain_adds_up_the_usage_of_a_stream_once(rich_key, upstream):
    # BerriAI/litellm#8450: a usage in several chunks is added up by whoever adds up chunks.
    model = langchain_openai.ChatOpenAI(
        model=api.UPSTREAMS[upstream][2], api_key=rich_key, base_url=api.FACTS["house"] + "/v1", stream_usage=True)
    chunks = [chunk.usage_metadata for chunk in model.stream("[[say one two three]] [[usage 70 30]]") if chunk.usage_metadata]
    assert [(usage["input_tokens"], usage["output_tokens"]) for usage in chunks] == [(70, 30)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_base_url_of_a_chat_model_may_end_as_people_write_it(rich_key, suffix):
    model = langchain_openai.ChatOpenAI(model=api.MODEL, api_key=rich_key, base_url=api.FACTS["house"] + suffix)
    assert model.invoke("[[say hello]]").text == "hello"


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
def test_the_base_url_of_claude_may_have_its_version(rich_key, suffix):
    model = langchain_anthropic.ChatAnthropic(
        model=api.MODEL, api_key=rich_key, base_url=api.FACTS["house"] + suffix, max_tokens=100)
    assert model.invoke("[[say hello]]").text == "hello"


@pytest.mark.parametrize("suffix", ["", "/"])
def test_the_base_url_of_gemini_may_end_with_a_slash(rich_key, suffix):
    model = langchain_google_genai.ChatGoogleGenerativeAI(
        model=api.MODEL, api_key=rich_key, base_url=api.FACTS["house"] + suffix)
    assert model.invoke("[[say hello]]").text == "hello"


@pytest.mark.parametrize("upstream", ["messages", "gemini"])
def test_an_agent_that_drops_signatures_takes_several_steps(rich_key, upstream):
    # langchain-ai/langchain#37347: the second step of a tool loop was refused for a signature that ChatOpenAI drops.
    marked, model = api.mark(), langchain_openai.ChatOpenAI(
        model=api.UPSTREAMS[upstream][2], api_key=rich_key, base_url=api.FACTS["house"] + "/v1", reasoning_effort="low")
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    said = [("human", f"{marked} [[think Hm.]] [[call look {{}}]]")]
    for _ in range(2):
        answer = model.bind_tools([tool]).invoke(said)
        said += [answer, *[{"role": "tool", "content": "rain", "tool_call_id": call["id"]} for call in answer.tool_calls]]
    first, second = api.asked(marked)
    assert (first["fault"], second["fault"]) == (False, False)
    assert '"Hm."' in str(second["body"]).replace("'", '"') or "thoughtSignature" in str(second["body"])
    assert "skip_thought_signature_validator" not in str(second["body"])
