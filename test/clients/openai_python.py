"""The `openai` package of PyPI, unmodified, against a server on nano.

    pip install openai
    npx qwen3 serve --port 8000 &
    python test/clients/openai_python.py http://127.0.0.1:8000
"""

import asyncio
import json
import sys

import openai

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters."
QUESTION = [{"role": "user", "content": "Who are you?"}]
BERLIN = [{"role": "user", "content": "What is the weather in Berlin?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
options = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}
client = openai.OpenAI(**options)
GREEDY = {"model": client.models.list().data[0].id, "temperature": 0}


def chat():
    done = client.chat.completions.create(**GREEDY, messages=QUESTION)
    assert done.choices[0].message.content == ANSWER
    assert done.choices[0].finish_reason == "stop"
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (15, 22)


def stream():
    chunks = list(client.chat.completions.create(**GREEDY, messages=QUESTION, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert chunks[-1].usage.completion_tokens == 22


def stream_left_early():
    with client.chat.completions.create(model=GREEDY["model"], messages=QUESTION, stream=True, temperature=2, extra_body={"ignore_eos": True}) as chunks:
        for _ in zip(range(3), chunks):
            pass
    chat()


def several_answers():
    done = client.chat.completions.create(model=GREEDY["model"], messages=QUESTION, n=3, temperature=2, seed=1, max_tokens=5)
    assert [c.index for c in done.choices] == [0, 1, 2]


def log_probabilities():
    done = client.chat.completions.create(**GREEDY, messages=QUESTION, logprobs=True, top_logprobs=2)
    content = done.choices[0].logprobs.content
    assert b"".join(bytes(t.bytes) for t in content[:-1]).decode() == ANSWER
    assert all(t.top_logprobs[0].logprob == t.logprob for t in content)


def tools():
    done = client.chat.completions.create(**GREEDY, messages=BERLIN, tools=[WEATHER])
    call = done.choices[0].message.tool_calls[0]
    assert done.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Berlin"})
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"city": "Berlin", "temperature": 7, "condition": "rain"}'}
    answer = client.chat.completions.create(**GREEDY, messages=[*BERLIN, done.choices[0].message, result], tools=[WEATHER])
    assert "7" in answer.choices[0].message.content


def completions():
    done = client.completions.create(**GREEDY, prompt=["One", "Two"], max_tokens=3, echo=True, logprobs=1)
    assert [c.index for c in done.choices] == [0, 1]
    assert done.choices[0].text.startswith("One")
    assert done.choices[0].logprobs.token_logprobs[0] is None


def a_form():
    done = client.chat.completions.create(**GREEDY, messages=QUESTION, extra_body={"guided_choice": ["red", "green"]})
    assert done.choices[0].message.content in ("red", "green")


def errors():
    for error, arguments in [
        (openai.BadRequestError, {**GREEDY, "messages": []}),
        (openai.BadRequestError, {**GREEDY, "messages": QUESTION, "temperature": -1}),
        (openai.NotFoundError, {"model": "gpt", "messages": QUESTION}),
    ]:
        try:
            client.chat.completions.create(**arguments)
        except error as caught:
            assert caught.body["message"]
        else:
            raise AssertionError(f"{arguments} was not refused")


async def at_once():
    async with openai.AsyncOpenAI(**options) as other:
        done = await asyncio.gather(*(other.chat.completions.create(**GREEDY, messages=QUESTION) for _ in range(12)))
    assert all(d.choices[0].message.content == ANSWER for d in done)


cases = [chat, stream, stream_left_early, several_answers, log_probabilities, tools, completions, a_form, errors]
for case in cases:
    case()
    print(f"ok {case.__name__}")
asyncio.run(at_once())
print(f"{len(cases) + 1} passed, openai {openai.__version__}")
