"""Files, batches, old completions and token counts through the official SDK, against the real binary."""

import json, signal, time

import openai, pytest
from openai import OpenAI

from conftest import Gateway, ask, data_url, png, red_circle

MODEL = "gpt-4o"


def until(client, batch, *statuses, seconds=300):
    end = time.monotonic() + seconds
    while batch.status not in statuses:
        assert time.monotonic() < end, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    return batch


def line(name, body):
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": {"model": MODEL, **body}}


def batch_of(client, lines, **extra):
    text = "".join(json.dumps(l) + "\n" for l in lines)
    file = client.files.create(file=("requests.jsonl", text.encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **extra)


def answers(client, file_id):
    return {a["custom_id"]: a for a in map(json.loads, client.files.content(file_id).text.splitlines())}


def test_a_files_life(client):
    raw = png(red_circle())
    file = client.files.create(file=("red.png", raw), purpose="vision", expires_after={"anchor": "created_at", "seconds": 3600})
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(raw), "red.png", "vision")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == raw
    others = [client.files.create(file=(f"{i}.txt", b"x"), purpose="user_data").id for i in range(3)]
    assert [f.id for f in client.files.list(limit=2, order="asc", purpose="user_data")][-3:] == others
    assert client.files.delete(file.id).deleted
    for gone in [lambda: client.files.retrieve(file.id), lambda: client.files.content(file.id), lambda: client.files.delete(file.id)]:
        with pytest.raises(openai.NotFoundError) as error:
            gone()
        assert error.value.body["message"] == f"No such File object: {file.id}"
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(file=("a", b"x"), purpose="fun")
    assert error.value.param == "purpose"


def test_an_uploaded_picture_is_seen_wherever_a_part_may_name_it(client):
    file = client.files.create(file=("red.png", png(red_circle())), purpose="user_data")
    question = "What color is the shape?"
    wanted = client.chat.completions.create(model=MODEL, messages=ask(question, data_url(png(red_circle()))), temperature=0)
    part = {"type": "text", "text": question}
    for named in [{"type": "file", "file": {"file_id": file.id}}, {"type": "image_url", "image_url": {"file_id": file.id}}]:
        messages = [{"role": "user", "content": [named, part]}]
        got = client.chat.completions.create(model=MODEL, messages=messages, temperature=0)
        assert "red" in got.choices[0].message.content.lower()
        assert got.choices[0].message.content == wanted.choices[0].message.content
        assert got.usage.prompt_tokens == wanted.usage.prompt_tokens
    response = client.responses.create(model=MODEL, temperature=0, input=[{"role": "user", "content": [
        {"type": "input_image", "file_id": file.id, "detail": "auto"}, {"type": "input_text", "text": question}]}])
    assert "red" in response.output_text.lower()


def test_a_batch_of_pictures(client):
    file = client.files.create(file=("red.png", png(red_circle())), purpose="vision")
    look = [{"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}, {"type": "text", "text": "What color is the shape?"}]}]
    batch = batch_of(client, [
        line("inline", {"messages": ask("What color is the shape?", data_url(png(red_circle())))}),
        line("file", {"messages": look}),
        line("wrong", {"messages": look, "temperature": 9}),
    ], metadata={"night": "1"}, extra_body={"output_expires_after": {"anchor": "created_at", "seconds": 7200}})
    assert batch.status == "validating" and batch.metadata == {"night": "1"}
    batch = until(client, batch, "completed", "failed")
    assert (batch.status, batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 3, 2, 1)
    good, bad = answers(client, batch.output_file_id), answers(client, batch.error_file_id)
    assert set(good) == {"inline", "file"} and set(bad) == {"wrong"}
    for answer in good.values():
        completion = answer["response"]["body"]
        assert "red" in completion["choices"][0]["message"]["content"].lower()
    assert batch.usage.input_tokens == sum(a["response"]["body"]["usage"]["prompt_tokens"] for a in good.values())
    assert bad["wrong"]["response"]["status_code"] == 400
    output = client.files.retrieve(batch.output_file_id)
    assert output.purpose == "batch_output" and output.expires_at == output.created_at + 7200
    assert batch.id in [b.id for b in client.batches.list(limit=5)]


def test_a_batch_goes_on_after_a_crash(tmp_path):
    """The process is killed in the middle; the next one on the same folder answers what is left, and nothing twice."""
    data = str(tmp_path / "data")
    first = Gateway(tmp_path / "first.log", "--data", data)
    client = OpenAI(base_url=first.url, api_key="any", max_retries=0)
    lines = [line(str(i), {"messages": [{"role": "user", "content": f"Count: {i}"}], "max_tokens": 40, "seed": i}) for i in range(40)]
    batch = batch_of(client, lines)
    while batch.request_counts.completed < 3:
        time.sleep(0.02)
        batch = client.batches.retrieve(batch.id)
        assert batch.status in ("validating", "in_progress"), "too fast to be in the middle"
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = Gateway(tmp_path / "second.log", "--data", data)
    try:
        client = OpenAI(base_url=second.url, api_key="any", max_retries=0)
        seen = client.batches.retrieve(batch.id)
        assert seen.request_counts.completed >= batch.request_counts.completed
        done = until(client, seen, "completed", "failed")
        assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 40, 0)
        good = answers(client, done.output_file_id)
        assert list(good) == [str(i) for i in range(40)]
        # Tokens are counted once a line: had one been answered twice, the sums would differ.
        assert done.usage.output_tokens == sum(a["response"]["body"]["usage"]["completion_tokens"] for a in good.values())
    finally:
        second.stop()


def test_two_keys_and_limits(tmp_path):
    config = tmp_path / "vlgate.toml"
    config.write_text("[store]\nfile_bytes = 100000\ntotal_bytes = 300000\n")
    gateway = Gateway(tmp_path / "log", "--config", str(config), "--data", str(tmp_path / "data"), "--api-key", "sk-one-5f3a9,sk-two-77b1c")
    try:
        one, two = (OpenAI(base_url=gateway.url, api_key=k, max_retries=0) for k in ("sk-one-5f3a9", "sk-two-77b1c"))
        file = one.files.create(file=("a.jsonl", json.dumps(line("a", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})).encode()), purpose="batch")
        batch = one.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        for denied in [lambda: two.files.retrieve(file.id), lambda: two.files.content(file.id), lambda: two.files.delete(file.id),
                       lambda: two.batches.retrieve(batch.id), lambda: two.batches.cancel(batch.id)]:
            with pytest.raises(openai.NotFoundError):
                denied()
        with pytest.raises(openai.BadRequestError) as error:
            two.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert error.value.param == "input_file_id"
        assert list(two.files.list()) == [] and list(two.batches.list()) == []
        until(one, batch, "completed")
        with pytest.raises(openai.APIStatusError) as error:
            one.files.create(file=("big", b"x" * 100001), purpose="user_data")
        assert (error.value.status_code, error.value.code) == (413, "file_too_large")
        with pytest.raises(openai.RateLimitError) as error:
            for _ in range(4):
                one.files.create(file=("full", b"x" * 99000), purpose="user_data")
        assert error.value.code == "storage_quota_exceeded" and error.value.response.headers["x-should-retry"] == "false"
        # The key itself is nowhere on the disk.
        for path in (tmp_path / "data").rglob("*"):
            if path.is_file():
                assert b"sk-one" not in path.read_bytes() and b"sk-two" not in path.read_bytes()
    finally:
        gateway.stop()


def test_old_completions(client):
    made = client.completions.create(model=MODEL, prompt="Once upon", max_tokens=6, temperature=0, echo=True)
    assert made.object == "text_completion" and made.choices[0].text.startswith("Once upon")
    assert (made.usage.completion_tokens, made.choices[0].finish_reason) in [(6, "length")] or made.choices[0].finish_reason == "stop"
    tail = made.choices[0].text.removeprefix("Once upon")
    chunks = list(client.completions.create(model=MODEL, prompt="Once upon", max_tokens=6, temperature=0, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == tail
    assert chunks[-1].usage.completion_tokens == made.usage.completion_tokens
    both = client.completions.create(model=MODEL, prompt=["Once upon", "The sky"], max_tokens=3, n=2, seed=1, logprobs=2)
    assert [c.index for c in both.choices] == [0, 1, 2, 3]
    logprobs = both.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == len(logprobs.text_offset)
    assert all(2 <= len(top) <= 3 for top in logprobs.top_logprobs)
    # The same prompt in tokens is the same prompt.
    tokens = client.post("/tokenize", body={"model": MODEL, "prompt": "Once upon"}, cast_to=object)["tokens"]
    again = client.completions.create(model=MODEL, prompt=tokens, max_tokens=6, temperature=0)
    assert again.choices[0].text == tail and again.usage.prompt_tokens == len(tokens)
    # What a chat template would have written, by hand, is the chat.
    chat = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "What is this?"}], max_tokens=8, temperature=0)
    prompt = "<|im_start|>user\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"
    by_hand = client.completions.create(model=MODEL, prompt=prompt, max_tokens=8, temperature=0)
    assert by_hand.choices[0].text == chat.choices[0].message.content
    assert by_hand.usage.prompt_tokens == chat.usage.prompt_tokens
    for wrong in [{"suffix": "end"}, {"prompt": []}, {"prompt": [10**9]}, {"echo": True, "logprobs": 1}]:
        with pytest.raises(openai.BadRequestError):
            client.completions.create(**{"model": MODEL, "prompt": "x", **wrong})


@pytest.mark.parametrize("messages", [
    [{"role": "user", "content": "Hello <|image_pad|> there"}],
    ask("What is this?", data_url(png(red_circle()))),
    ask("Which?", data_url(png(red_circle(90))), data_url(png(red_circle(400))), detail="low"),
    [{"role": "system", "content": "Be brief."}, *ask("And?", data_url(png(red_circle(300))))],
])
def test_a_count_is_what_the_usage_says(client, messages):
    extra = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}], "tool_choice": "auto"}
    for body in [{}, extra]:
        request = {"model": MODEL, "messages": messages, "max_tokens": 1, **body}
        usage = client.chat.completions.create(**request).usage
        count = client.post("/chat/completions/input_tokens", body=request, cast_to=object)
        assert count["input_tokens"] == usage.prompt_tokens
        assert count["input_tokens_details"]["image_tokens"] == usage.prompt_tokens_details.image_tokens
        shown = client.post("/tokenize", body=request, cast_to=object)
        assert shown["count"] == len(shown["tokens"]) == usage.prompt_tokens


def test_tokens_there_and_back(client):
    text = "Grüße, 世界! <|im_start|>"
    shown = client.post("/tokenize", body={"prompt": text, "return_token_strs": True}, cast_to=object)
    assert shown["count"] == len(shown["tokens"]) == len(shown["token_strs"])
    assert client.post("/detokenize", body={"tokens": shown["tokens"]}, cast_to=object)["prompt"] == text
    with pytest.raises(openai.BadRequestError):
        client.post("/detokenize", body={"tokens": [10**8]}, cast_to=object)
