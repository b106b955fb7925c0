"""The example of a GUI agent: coordinates, and one step against the real binary."""

import importlib.util, json, pathlib
from types import SimpleNamespace

from conftest import data_url, png, red_circle

PATH = pathlib.Path(__file__).parents[2] / "examples" / "computer_use.py"
spec = importlib.util.spec_from_file_location("computer_use", PATH)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


def test_coordinates_are_mapped_onto_any_screen():
    assert example.to_pixels([0, 0], 1920, 1080) == (0, 0)
    assert example.to_pixels([500, 500], 1920, 1080) == (960, 540)
    assert example.to_pixels([1000, 1000], 1920, 1080) == (1919, 1079)
    assert example.to_pixels([2000, -5], 100, 50) == (99, 0)
    call = SimpleNamespace(id="1", function=SimpleNamespace(arguments=json.dumps({"action": "left_click", "coordinate": [250, 100]})))
    assert example.action(call, 800, 600) == {"action": "left_click", "coordinate": (200, 60)}
    assert example.png_size(png(red_circle())) == red_circle().size


def test_a_step_and_its_result(client):
    screen = data_url(png(red_circle()))
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": screen}}, {"type": "text", "text": "Click the circle."}]}]
    ask = dict(model="gpt-4o", tools=[example.TOOL], parallel_tool_calls=False, temperature=1, max_tokens=400)
    answer = client.chat.completions.create(messages=messages, tool_choice="required", **ask)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason in ("tool_calls", "length")
    if answer.choices[0].finish_reason == "tool_calls":
        [call] = message.tool_calls
        arguments = json.loads(call.function.arguments)
        assert arguments["action"] in example.TOOL["function"]["parameters"]["properties"]["action"]["enum"]
        again = [*messages, message.model_dump(exclude_none=True), example.result(call, screen)]
        assert client.chat.completions.create(messages=again, **ask).choices[0].message
