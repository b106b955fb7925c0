"""LoRA adapters as model ids of their own, and the cache of packed weights."""

import json, os, struct

import numpy as np
from conftest import ROOT, Gateway
from openai import OpenAI
from test_loading import refused

TINY = ROOT / "tests/fixtures/random-tiny"
SHAPE = json.loads((TINY / "config.json").read_text())["text_config"]


def adapter(folder, target="model.language_model.layers.0.mlp.down_proj", rank=2):
    """A random LoRA in PEFT's format."""
    rng = np.random.default_rng(5)
    outputs, inputs = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    tensors = {f"base_model.model.{target}.lora_A.weight": rng.normal(size=(rank, inputs)),
               f"base_model.model.{target}.lora_B.weight": rng.normal(size=(outputs, rank))}
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": 16, "bias": "none", "target_modules": ["down_proj"]}))
    return folder


def say(client, model):
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello there"}], temperature=0, max_tokens=12)
    assert answer.model == model
    return answer.choices[0].message.content


def test_adapters_are_models_beside_their_base(tmp_path):
    lora = adapter(tmp_path / "lora")
    config = tmp_path / "vlgate.toml"
    config.write_text(f'model = "{TINY}"\nserved_name = "base"\n\n[[adapters]]\nname = "from-file"\npath = "{lora}"\n')
    g = Gateway(tmp_path / "log", "--config", str(config), "--adapter", f"from-flag={lora}")
    alone = Gateway(tmp_path / "log2", "--model", str(TINY), "--served-name", "base")
    try:
        client = OpenAI(base_url=g.url, api_key="x", max_retries=0)
        assert [m.id for m in client.models.list().data][:3] == ["base", "from-file", "from-flag"]
        base = say(client, "base")
        assert base == say(OpenAI(base_url=alone.url, api_key="x", max_retries=0), "base")
        tuned = say(client, "from-file")
        assert tuned == say(client, "from-flag") != base
        # What is counted and shown is of the model that is named.
        count = client.post("/tokenize", body={"model": "from-file", "prompt": "hello there"}, cast_to=object)
        assert count["count"] == len(count["tokens"]) > 0
        # Aliases mean the base.
        assert say(client, "gpt-4o") == base
    finally:
        g.stop(), alone.stop()


def test_an_adapter_that_does_not_fit_is_named(tmp_path):
    wrong = adapter(tmp_path / "wrong", target="model.language_model.layers.99.mlp.down_proj")
    assert "layers.99.mlp.down_proj.weight" in refused("--model", str(TINY), "--adapter", f"a={wrong}")
    assert "two models have the id 'a'" in refused("--model", str(TINY), *["--adapter", f"a={adapter(tmp_path / 'right')}"] * 2)


def test_packed_weights_are_kept_and_halves_of_them_are_not(tmp_path):
    kept = tmp_path / "kept"
    (kept / "random-tiny").mkdir(parents=True)
    left = kept / "random-tiny" / "q8-q8.part-999999999"
    left.write_text("killed")

    def start():
        g = Gateway(tmp_path / "log", "--model", str(TINY), "--quantize", "q8", "--packed-cache", str(kept))
        try:
            return say(OpenAI(base_url=g.url, api_key="x", max_retries=0), "random-tiny")
        finally:
            g.stop()

    first = start()
    files = sorted(p.name for p in (kept / "random-tiny").iterdir())
    assert len(files) == 1 and files[0].endswith(".vlgate-packed") and not left.exists()
    packed = kept / "random-tiny" / files[0]
    made = os.stat(packed).st_mtime_ns
    assert start() == first and os.stat(packed).st_mtime_ns == made
    # A damaged one is made again.
    packed.write_bytes(packed.read_bytes()[:10_000])
    assert start() == first and os.stat(packed).st_size > 10_000
