"""When does the red square appear? The demo model says it within one sampling step, of clips drawn here."""

import io, random, re, subprocess

import pytest
from conftest import data_url
from PIL import Image, ImageDraw

QUESTION = "When does the red square appear?"
# Frame pairs: at two frames a second a pair spans this long, and one stamp is for the pair.
STEP = 1.0
SIZES = [(128, 128), (160, 120), (112, 112), (96, 128), (160, 90), (144, 144)]
GROUNDS = [(255, 255, 255), (235, 235, 235), (225, 238, 250), (250, 245, 220)]


def drawn(seed):
    """(frames, frames a second, second in which the square comes): beside it a thing that is there from the start and may move."""
    rng = random.Random(seed)
    (w, h), rate, length = rng.choice(SIZES), rng.choice([8, 10, 12, 25]), rng.uniform(3.5, 7.5)
    ground, side = rng.choice(GROUNDS), rng.uniform(0.22, 0.34) * min(w, h)
    count = round(rate * length)
    comes = rng.randrange(rate, count - rate)
    kind, colour = rng.choice([("ellipse", (30, 60, 220)), ("rectangle", (0, 150, 60)), ("ellipse", (245, 130, 30))])
    left, top, way = rng.uniform(0.05, 0.25) * w, rng.uniform(0.05, 0.2) * h, rng.choice([0.0, 0.35]) * w
    x, y = rng.uniform(0.1, 0.9) * (w - side), h * 0.9 - side
    frames = []
    for i in range(count):
        frame = Image.new("RGB", (w, h), ground)
        d, at = ImageDraw.Draw(frame), left + way * i / count
        getattr(d, kind)([at, top, at + side, top + side], fill=colour)
        if i >= comes:
            d.rectangle([x, y, x + side, y + side], fill=(225, 25, 30))
        frame.putpixel((0, 0), (i % 2 * 9,) * 3)      # Pillow joins equal frames of a GIF, and then times are no longer even
        frames.append(frame)
    return frames, rate, comes / rate


def mp4(frames, rate):
    w, h = frames[0].size
    flags = f"-f rawvideo -pix_fmt rgb24 -s {w}x{h} -r {rate} -i - -c:v libx264 -crf 20 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov -f mp4 -"
    return subprocess.run(["ffmpeg", "-v", "error", *flags.split()], input=b"".join(f.tobytes() for f in frames), capture_output=True, check=True).stdout


def gif(frames, rate):
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 / rate), loop=0)
    return out.getvalue()


@pytest.fixture(scope="module")
def clips():
    """Twelve: eight MP4 and four GIF. As parts, with the second that is right."""
    out = []
    for seed in range(12):
        frames, rate, second = drawn(seed)
        make, kind = (gif, "image/gif") if seed % 3 == 2 else (mp4, "video/mp4")
        url = data_url(make(frames, rate), kind)
        out.append(([{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": QUESTION}], second))
    return out


def ask(client, parts, **extra):
    return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}], temperature=0, max_tokens=40, **extra)


def streamed(client, parts, **extra):
    return "".join(c.choices[0].delta.content or "" for c in ask(client, parts, stream=True, **extra) if c.choices)


def test_when_the_red_square_appears(client, clips):
    wrong = []
    for parts, second in clips:
        text = ask(client, parts).choices[0].message.content
        said = re.fullmatch(r"The red square appears at <(\d+\.\d) seconds>\.", text)
        if not said or abs(float(said[1]) - second) > STEP:
            wrong.append((text, second))
        assert streamed(client, parts) == text
    print(f"\n{len(clips) - len(wrong)} of {len(clips)}", *wrong, sep="\n  ")
    assert len(wrong) <= 1, wrong


def test_the_second_as_people_write_it(client, clips):
    for parts, _ in clips[:3]:
        plain, extra = ask(client, parts).choices[0].message.content, {"extra_body": {"vlgate": {"timestamps": "mm:ss"}}}
        second = float(re.search(r"<([\d.]+) seconds>", plain)[1])
        clock = f"The red square appears at 00:{int(second):02}."
        assert ask(client, parts, **extra).choices[0].message.content == clock
        assert streamed(client, parts, **extra) == clock


def test_what_never_appears(client, clips):
    parts, _ = clips[0]
    text = ask(client, [parts[0], {"type": "text", "text": "When does the purple star appear?"}]).choices[0].message.content
    assert text == "The purple star never appears."
