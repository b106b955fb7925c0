#!/usr/bin/env python3
"""A GUI agent's step with Qwen3-VL: a screenshot in, one `computer_use` call out, its coordinates in pixels.

    python3 examples/computer_use.py screenshot.png "Open the File menu" [--url http://127.0.0.1:8080/v1]

Qwen3-VL points in coordinates from 0 to 1000, whatever the picture's size: (0, 0) is the top left corner, (1000, 1000)
the bottom right. `to_pixels` maps them to a screen of any size, also one that is not the screenshot's (a scaled display).
"""

import argparse
import base64
import json
import struct

TOOL = {
    "type": "function",
    "function": {
        "name": "computer_use",
        "description": "Use the mouse and the keyboard of the computer whose screen is shown. Coordinates are [x, y], "
                       "each 0 to 1000 from the screen's top left to its bottom right corner.",
        "strict": True,
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["action"],
            "properties": {
                "action": {"type": "string", "enum": [
                    "left_click", "right_click", "double_click", "mouse_move", "left_click_drag", "scroll", "type", "key", "wait",
                    "terminate"]},
                "coordinate": {"type": "array", "minItems": 2, "maxItems": 2,
                               "items": {"type": "integer", "minimum": 0, "maximum": 1000}},
                "text": {"type": "string", "description": "What to type, for the action type."},
                "keys": {"type": "array", "items": {"type": "string"}, "description": "Keys pressed together, for the action key."},
                "pixels": {"type": "integer", "description": "How far to scroll; positive is up."},
                "time": {"type": "number", "description": "Seconds to wait."},
                "status": {"type": "string", "enum": ["success", "failure"], "description": "For the action terminate."},
            },
        },
    },
}


def to_pixels(coordinate, width, height):
    """The pixel that a coordinate of the model means on a screen of `width` times `height` pixels; always on the screen."""
    def scale(value, size):
        return min(max(int(value * size / 1000), 0), size - 1)
    x, y = coordinate
    return scale(x, width), scale(y, height)


def action(call, width, height):
    """A call's arguments with the coordinate in pixels."""
    arguments = json.loads(call.function.arguments)
    if "coordinate" in arguments:
        arguments["coordinate"] = to_pixels(arguments["coordinate"], width, height)
    return arguments


def png_size(data):
    """Width and height of a PNG."""
    return struct.unpack(">II", data[16:24])


def result(call, screenshot):
    """The message that feeds an action's result back: the screen as it is now."""
    return {"role": "tool", "tool_call_id": call.id, "content": [{"type": "image_url", "image_url": {"url": screenshot}}]}


def main():
    from openai import OpenAI

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("screenshot", help="a PNG")
    parser.add_argument("task")
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--key", default="none")
    options = parser.parse_args()
    with open(options.screenshot, "rb") as file:
        data = file.read()
    screen = "data:image/png;base64," + base64.b64encode(data).decode()
    answer = OpenAI(base_url=options.url, api_key=options.key).chat.completions.create(
        model="gpt-4o", tools=[TOOL], tool_choice="required", parallel_tool_calls=False,
        messages=[{"role": "user", "content": [
            # `high`: buttons are small.
            {"type": "image_url", "image_url": {"url": screen, "detail": "high"}},
            {"type": "text", "text": options.task}]}])
    for call in answer.choices[0].message.tool_calls:
        print(json.dumps(action(call, *png_size(data))))


if __name__ == "__main__":
    main()
