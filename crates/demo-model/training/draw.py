#!/usr/bin/env python3
"""Draws the demo model's pictures: plain shapes and printed numbers. Needs pillow and numpy only.

    python draw.py --seed 7 --count 50 --kind count --out /tmp/pictures

writes PNG files and `questions.jsonl`, one line per picture:
{"file", "kind", "question", "expect": [words, all of which must appear], "forbid": [words that must not]}.
Kinds: object, count, color, relation, number (or all). Seeds given here never meet training's: the random
streams are named apart (see `stream`). Fonts: those installed, or Pillow's own when there are none.
"""
import argparse, glob, io, json, math, os
from functools import lru_cache
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHAPES = ["circle", "square", "triangle", "star", "rectangle"]
COLORS = {
    "black": [(0, 0, 0), (15, 15, 15), (30, 30, 30)],
    "white": [(255, 255, 255), (248, 248, 248)],
    "gray": [(128, 128, 128), (105, 105, 105), (150, 150, 150), (169, 169, 169), (110, 115, 120)],
    "red": [(255, 0, 0), (220, 20, 60), (230, 25, 40), (200, 25, 25), (214, 39, 40), (235, 50, 45), (190, 10, 10), (255, 40, 40)],
    "orange": [(255, 165, 0), (255, 140, 0), (245, 130, 48), (255, 127, 14), (255, 120, 10), (240, 140, 30)],
    "yellow": [(255, 255, 0), (255, 225, 25), (240, 220, 40), (255, 235, 59), (250, 240, 90), (255, 215, 0)],
    "green": [(0, 128, 0), (0, 200, 0), (34, 139, 34), (50, 205, 50), (60, 180, 75), (0, 255, 0), (0, 100, 0), (44, 160, 44), (30, 170, 60), (76, 175, 80)],
    "blue": [(0, 0, 255), (30, 60, 220), (0, 0, 205), (65, 105, 225), (30, 144, 255), (67, 99, 216), (31, 119, 180), (20, 40, 160), (40, 90, 200), (33, 150, 243)],
    "purple": [(128, 0, 128), (145, 30, 180), (148, 0, 211), (138, 43, 226), (106, 13, 173), (148, 103, 189), (120, 40, 160), (155, 60, 200)],
    "pink": [(255, 192, 203), (255, 105, 180), (255, 182, 193), (255, 130, 190), (250, 170, 200), (240, 98, 146), (255, 150, 180), (255, 20, 147)],
    "brown": [(165, 42, 42), (139, 69, 19), (160, 82, 45), (150, 75, 0), (101, 67, 33), (121, 85, 72), (140, 86, 75), (120, 72, 30), (130, 80, 40)],
}
COLOR_NAMES = list(COLORS)
TRAIN, EVAL = 1, 2


def stream(which, seed, index=0):
    return np.random.default_rng([which, seed, index])


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


def color_rgb(rng, name):
    base = np.array(pick(rng, COLORS[name]), float)
    j = 12 if name not in ("red", "brown", "white", "black") else 7
    if name == "gray":
        return tuple(int(v) for v in np.clip(base + rng.uniform(-12, 12) + rng.uniform(-3, 3, 3), 80, 185))
    return tuple(int(v) for v in np.clip(base + rng.uniform(-j, j, 3), 0, 255))


def distance(a, b):
    a, b = np.array(a, float), np.array(b, float)
    return math.sqrt(float((np.array([2.0, 4.0, 3.0]) * (a - b) ** 2).sum()) / 3)


def background(rng):
    u = rng.random()
    if u < 0.30:
        return (255, 255, 255)
    if u < 0.50:
        v = int(rng.integers(200, 256)); return (v, v, v)
    if u < 0.58:
        v = int(rng.integers(110, 200)); return (v, v, v)
    if u < 0.80:
        return tuple(int(v) for v in rng.integers(195, 256, 3))
    if u < 0.95:
        return tuple(int(v) for v in rng.integers(110, 225, 3))
    v = int(rng.integers(0, 50)); return tuple(int(x) for x in np.clip(v + rng.integers(-10, 25, 3), 0, 255))


def good_color(rng, bg, name=None, names=None, least=75):
    for _ in range(60):
        n = name or pick(rng, names or COLOR_NAMES)
        c = color_rgb(rng, n)
        if distance(c, bg) >= least:
            return n, c
    return None, None


# ---- fonts
@lru_cache(None)
def font_files():
    """Fonts whose ten digits all draw, and differ."""
    wanted = ("dejavu", "liberation", "freefont", "lato", "roboto", "open-sans", "crosextra", "hack", "cantarell", "noto")
    files = sorted(f for d in ("/usr/share/fonts", "/usr/local/share/fonts") for f in glob.glob(d + "/**/*.[to]tf", recursive=True))
    out = {}
    for f in files:
        low, base = f.lower(), os.path.basename(f).lower()
        family = next((w for w in wanted if w in low), None)
        if family is None or "symbol" in base or "emoji" in base or "math" in base or "thin" in base or "hairline" in base:
            continue
        if family == "noto" and not base.startswith(("notosans-", "notoserif-", "notosansmono", "notomono", "notosansdisplay", "notoserifdisplay")):
            continue
        try:
            font = ImageFont.truetype(f, 24)
            masks = {bytes(font.getmask(d)) for d in "0123456789"}
            if len(masks) == 10 and bytes(font.getmask("\u0378")) not in masks:
                out.setdefault(family, []).append(f)
        except Exception:
            continue
    return out


@lru_cache(2000)
def load_font(path, size):
    if path is None:
        try:
            return ImageFont.load_default(size)
        except TypeError:
            return ImageFont.load_default()
    return ImageFont.truetype(path, size)


def pick_font(rng):
    fams = font_files()
    u = rng.random()
    if not fams or u < 0.10:
        return None
    if "dejavu" in fams and u < 0.45:
        plain = [f for f in fams["dejavu"] if os.path.basename(f) in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif-Bold.ttf")]
        if plain and rng.random() < 0.7:
            return pick(rng, plain)
        return pick(rng, fams["dejavu"])
    return pick(rng, fams[pick(rng, sorted(fams))])


# ---- shapes
def polygon(shape, cx, cy, r, rng, turn):
    """Corner points (None for a circle, which turns to itself) and the half extents."""
    if shape == "circle":
        return None
    if shape == "square":
        s = r / math.sqrt(2) * 1.12
        pts = [(-s, -s), (s, -s), (s, s), (-s, s)]
    elif shape == "rectangle":
        aspect = rng.uniform(1.5, 2.8)
        a = r * aspect / math.hypot(aspect, 1); b = a / aspect
        if rng.random() < 0.4:
            a, b = b, a
        pts = [(-a, -b), (a, -b), (a, b), (-a, b)]
    elif shape == "triangle":
        k = rng.random()
        if k < 0.6:
            pts = [(r * math.sin(t), -r * math.cos(t)) for t in (0, 2 * math.pi / 3, 4 * math.pi / 3)]
        elif k < 0.9:
            w, h = r * rng.uniform(0.75, 1.0), r * rng.uniform(0.75, 1.0)
            pts = [(0, -h), (w, h), (-w, h)]
        else:
            w, h = r * rng.uniform(0.7, 0.9), r * rng.uniform(0.7, 0.9)
            pts = [(-w, -h), (w, h), (-w, h)]
        if rng.random() < 0.06:
            pts = [(x, -y) for x, y in pts]
    else:
        n = 5 if rng.random() < 0.95 else 6
        inner = rng.uniform(0.36, 0.52)
        pts = []
        for i in range(2 * n):
            rr = r if i % 2 == 0 else r * inner
            t = math.pi * i / n
            pts.append((rr * math.sin(t), -rr * math.cos(t)))
    c, s = math.cos(turn), math.sin(turn)
    return [(cx + x * c - y * s, cy + x * s + y * c) for x, y in pts]


def draw_shape(d, rng, shape, cx, cy, r, rgb, ss, turn, outline, width):
    pts = polygon(shape, cx * ss, cy * ss, r * ss, rng, turn)
    w = max(1, round(width * ss))
    if pts is None:
        q = r * 0.92 * ss
        d.ellipse([cx * ss - q, cy * ss - q, cx * ss + q, cy * ss + q], fill=rgb, outline=outline, width=w if outline else 1)
    else:
        d.polygon(pts, fill=rgb)
        if outline:
            d.line(pts + [pts[0], pts[1]], fill=outline, width=w, joint="curve")


def turn_of(rng, shape):
    u = rng.random()
    if u < 0.55:
        return 0.0
    if u < 0.92:
        return math.radians(rng.uniform(-20, 20))
    return math.radians(rng.uniform(-180, 180)) if shape in ("triangle", "star") else math.radians(rng.uniform(-30, 30))


def canvas_size(rng):
    u = rng.random()
    if u < 0.5:
        s = pick(rng, [96, 112, 128, 128, 144, 160, 192, 200, 224, 224, 240, 256, 256, int(rng.integers(96, 257))])
        return s, s
    while True:
        w, h = (int(v) for v in rng.integers(96, 257, 2))
        if max(w, h) / min(w, h) <= 2.2 or rng.random() < 0.3:
            return w, h


class Scene:
    """What is drawn: `objects` are dicts kind ('shape'|'digit'), name, color, x, y, r in pixels; numbers are whole."""
    def __init__(self, w, h, bg):
        self.w, self.h, self.bg = w, h, bg
        self.objects, self.numbers, self.digits = [], [], []
        self.boxes = []

    def free(self, box, gap):
        x0, y0, x1, y1 = box
        if x0 < 1 or y0 < 1 or x1 > self.w - 1 or y1 > self.h - 1:
            return False
        return all(x1 + gap <= a or c + gap <= x0 or y1 + gap <= b or d + gap <= y0 for a, b, c, d in self.boxes)


def add_shape(scene, rng, shape, color, r, where=None, tries=40, gap=2, turn=None):
    name, rgb = color
    for _ in range(tries):
        if r * 2 > min(scene.w, scene.h) - 3:
            r = (min(scene.w, scene.h) - 4) / 2
        x = rng.uniform(r + 1, scene.w - r - 1) if where is None else where[0]
        y = rng.uniform(r + 1, scene.h - r - 1) if where is None else where[1]
        box = (x - r, y - r, x + r, y + r)
        if scene.free(box, gap):
            scene.boxes.append(box)
            scene.objects.append(dict(name=shape, color=name, rgb=rgb, x=x, y=y, r=r, turn=turn_of(rng, shape) if turn is None else turn))
            return True
        if where is not None:
            return False
        r *= 0.96
    return False


def add_number(scene, rng, text, size, color, font, where=None, tries=30, angle=0.0):
    name, rgb = color
    f = load_font(font, size)
    b = f.getbbox(text)
    bw, bh = b[2] - b[0], b[3] - b[1]
    diag = abs(math.sin(angle))
    rw, rh = (bw * math.cos(angle) + bh * diag) / 2, (bh * math.cos(angle) + bw * diag) / 2
    for _ in range(tries):
        if rw * 2 + 4 > scene.w or rh * 2 + 4 > scene.h:
            return False
        x = rng.uniform(rw + 2, scene.w - rw - 2) if where is None else where[0]
        y = rng.uniform(rh + 2, scene.h - rh - 2) if where is None else where[1]
        box = (x - rw, y - rh, x + rw, y + rh)
        if scene.free(box, 5):
            scene.boxes.append(box)
            scene.numbers.append(dict(text=text, color=name, rgb=rgb, x=x, y=y, size=size, font=font, angle=angle, w=bw, h=bh))
            for i, ch in enumerate(text):
                a, c = f.getlength(text[:i]), f.getlength(text[:i + 1])
                dx, dy = (a + c) / 2 - b[0] - bw / 2, 0.0
                scene.digits.append(dict(name=ch, color=name, x=x + dx * math.cos(angle) - dy * math.sin(angle),
                                         y=y + dx * math.sin(angle) + dy * math.cos(angle), w=c - a, h=bh))
            return True
        if where is not None:
            return False
    return False


def paint(scene, rng):
    ss = 1 if rng.random() < 0.25 else 2
    im = Image.new("RGB", (scene.w * ss, scene.h * ss), scene.bg)
    d = ImageDraw.Draw(im)
    outline = None
    if rng.random() < 0.25:
        outline = "dark" if rng.random() < 0.6 else "black"
    for o in scene.objects:
        line = None
        if outline == "black":
            line = (0, 0, 0)
        elif outline == "dark":
            line = tuple(int(v * 0.6) for v in o["rgb"])
        pen = np.random.default_rng(o["seed"]) if "seed" in o else rng      # the same in every frame of a clip
        draw_shape(d, pen, o["name"], o["x"], o["y"], o["r"], o["rgb"], ss, o["turn"], line, max(1.0, min(o["r"] * 0.12, pen.uniform(1, 3))))
    if ss > 1:
        im = im.reduce(ss)
    for n in scene.numbers:
        f = load_font(n["font"], n["size"])
        b = f.getbbox(n["text"])
        if n["angle"] == 0:
            ImageDraw.Draw(im).text((n["x"] - (b[0] + b[2]) / 2, n["y"] - (b[1] + b[3]) / 2), n["text"], font=f, fill=n["rgb"])
        else:
            pad = int(max(b[2] - b[0], b[3] - b[1]) * 0.4) + 4
            m = Image.new("L", (b[2] - b[0] + 2 * pad, b[3] - b[1] + 2 * pad), 0)
            ImageDraw.Draw(m).text((pad - b[0], pad - b[1]), n["text"], font=f, fill=255)
            m = m.rotate(-math.degrees(n["angle"]), Image.BICUBIC)
            im.paste(n["rgb"], (round(n["x"] - m.width / 2), round(n["y"] - m.height / 2)), m)
    u = rng.random()
    if u < 0.12:
        a = np.asarray(im).astype(np.int16) + rng.normal(0, rng.uniform(1, 7), (scene.h, scene.w, 1 if rng.random() < 0.5 else 3))
        im = Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))
    if rng.random() < 0.15:
        buf = io.BytesIO(); im.save(buf, "JPEG", quality=int(rng.integers(55, 96))); im = Image.open(io.BytesIO(buf.getvalue())).convert("RGB")
    return im


def radius(rng, side, lo=0.10, hi=0.5):
    return side * math.exp(rng.uniform(math.log(lo), math.log(hi))) / 2 * 1.08


def number_text(rng):
    n = int(rng.integers(1, 4))
    u = rng.random()
    if u < 0.03:
        return "".join(str(int(v)) for v in rng.integers(0, 10, n))
    return str(int(rng.integers(0 if n == 1 else 10 ** (n - 1), 10 ** n)))


def number_size(rng, scene, text):
    side = min(scene.w, scene.h * 1.3)
    fit = scene.w * 0.92 / (0.62 * len(text))
    top = min(fit, 0.8 * min(scene.w, scene.h))
    lo = max(12.0, 0.13 * min(scene.w, scene.h))   # digits are 0.7 of it high
    u = rng.random() ** 0.8
    return int(max(10, math.exp(math.log(lo) + u * (math.log(max(top, lo + 2)) - math.log(lo)))))


def make_number(rng, scene=None):
    for _ in range(100):
        if scene is None or not isinstance(scene, Scene):
            s = Scene(*canvas_size(rng), background(rng))
        else:
            s = scene
        ink = good_color(rng, s.bg, "black" if rng.random() < 0.4 and distance((0, 0, 0), s.bg) > 100 else None, least=95)
        if ink[0] is None:
            continue
        text = number_text(rng)
        where = (s.w / 2, s.h / 2) if rng.random() < 0.35 else None
        angle = math.radians(rng.uniform(-9, 9)) if rng.random() < 0.2 else 0.0
        if add_number(s, rng, text, number_size(rng, s, text), ink, pick_font(rng), where, angle=angle):
            return s
    raise RuntimeError("no number fits")


def base_scene(rng):
    return Scene(*canvas_size(rng), background(rng))


def make_object(rng, where=None):
    s = base_scene(rng)
    side = min(s.w, s.h)
    while True:
        color = good_color(rng, s.bg)
        if color[0]:
            break
        s.bg = background(rng)
    r = radius(rng, side, 0.11, 0.6)
    w = where
    if w is None and rng.random() < 0.35:
        w = (s.w / 2 + rng.uniform(-3, 3), s.h / 2 + rng.uniform(-3, 3))
    add_shape(s, rng, pick(rng, SHAPES), color, r, w) or add_shape(s, rng, pick(rng, SHAPES), color, r)
    return s


def make_count(rng, n=None):
    """1 to 6 objects: of one kind, or mixed."""
    while True:
        s = base_scene(rng)
        n_ = n or int(rng.integers(1, 7))
        side = min(s.w, s.h)
        hi = {1: 0.5, 2: 0.42, 3: 0.36, 4: 0.32, 5: 0.3, 6: 0.28}[min(n_, 6)]
        mode = rng.random()
        one_shape = pick(rng, SHAPES) if mode < 0.6 else None
        two = [SHAPES[i] for i in rng.permutation(5)[:2]] if mode >= 0.6 and rng.random() < 0.5 else SHAPES
        color = good_color(rng, s.bg)
        if color[0] is None:
            continue
        one_color = rng.random() < (0.6 if one_shape else 0.25)
        same_r = radius(rng, side, 0.11, hi) if rng.random() < 0.5 else None
        grid = None
        if rng.random() < 0.25:   # in a tidy row or grid
            cols = int(rng.integers(max(1, math.ceil(n_ / 3)), min(n_, 3 if n_ > 3 else n_) + 1)); rows = math.ceil(n_ / cols)
            cw, ch = s.w / cols, s.h / rows
            grid = [((i % cols + 0.5) * cw, (i // cols + 0.5) * ch) for i in range(n_)]
            same_r = min(cw, ch) * rng.uniform(0.22, 0.46)
            same_r = min(max(same_r, 0.055 * side), 0.25 * side)
        ok = True
        for i in range(n_):
            c = (color[0], color[1]) if one_color else good_color(rng, s.bg)
            if c[0] is None:
                ok = False; break
            ok = add_shape(s, rng, one_shape or pick(rng, two), c, same_r or radius(rng, side, 0.11, hi), grid[i] if grid else None)
            if not ok:
                break
        if ok:
            return s


def make_several(rng, n=None):
    """2 or 3 objects that differ in shape and colour, so that each can be named."""
    while True:
        s = base_scene(rng)
        side = min(s.w, s.h)
        n_ = n or int(rng.integers(2, 4))
        shapes = [SHAPES[i] for i in rng.permutation(5)[:n_]]
        names, ok = set(), True
        for sh in shapes:
            c = good_color(rng, s.bg, names=[x for x in COLOR_NAMES if x not in names])
            if c[0] is None:
                ok = False; break
            names.add(c[0])
            ok = add_shape(s, rng, sh, c, radius(rng, side, 0.12, 0.42))
            if not ok:
                break
        if ok:
            return s


def make_pair(rng):
    """Two objects clearly left/right or above/below of each other."""
    while True:
        s = base_scene(rng)
        side = min(s.w, s.h)
        flat = rng.random() < 0.5
        if rng.random() < 0.75:
            a, b = (SHAPES[i] for i in rng.permutation(5)[:2])
            same_shape = False
        else:
            a = b = pick(rng, SHAPES); same_shape = True
        ca = good_color(rng, s.bg)
        if ca[0] is None:
            continue
        cb = good_color(rng, s.bg, names=[x for x in COLOR_NAMES if x != ca[0]])
        if cb[0] is None:
            continue
        if not same_shape and rng.random() < 0.08:
            cb = (ca[0], color_rgb(rng, ca[0]))
            if distance(cb[1], s.bg) < 75:
                continue
        if rng.random() < 0.3:   # tidy: on one axis
            r = radius(rng, side, 0.14, 0.42); f = rng.uniform(0.2, 0.32)
            if flat:
                pa, pb = (s.w * f, s.h / 2), (s.w * (1 - f), s.h / 2)
            else:
                pa, pb = (s.w / 2, s.h * f), (s.w / 2, s.h * (1 - f))
            if not (add_shape(s, rng, a, ca, r, pa) and add_shape(s, rng, b, cb, r, pb)):
                continue
            return s
        if not (add_shape(s, rng, a, ca, radius(rng, side, 0.12, 0.42)) and add_shape(s, rng, b, cb, radius(rng, side, 0.12, 0.42))):
            continue
        p, q = s.objects
        dx, dy = abs(p["x"] - q["x"]), abs(p["y"] - q["y"])
        if max(dx, dy) > 1.35 * min(dx, dy) + 4:
            return s


def relation(p, q, axis=None):
    """Where p is as seen from q."""
    dx, dy = p["x"] - q["x"], p["y"] - q["y"]
    if axis == "x" or (axis is None and abs(dx) >= abs(dy)):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def region(s, o):
    """Part of the picture ('top', 'left', ..., 'top left', 'center'), or None near a border between parts."""
    out = []
    fx, fy = o["x"] / s.w, o["y"] / s.h
    def part(f, a, b):
        if abs(f - 0.37) < 0.03 or abs(f - 0.63) < 0.03:
            return None
        return a if f < 0.37 else b if f > 0.63 else ""
    px, py = part(fx, "left", "right"), part(fy, "top", "bottom")
    if px is None or py is None:
        return None
    return (py + " " + px).strip() or "center"


def unique(s, o):
    """How an object can be named without a doubt: 'the circle', 'the red circle'; None when it cannot."""
    same = [x for x in s.objects if x["name"] == o["name"]]
    if len(same) == 1:
        return o["name"]
    if len([x for x in same if x["color"] == o["color"]]) == 1:
        return o["color"] + " " + o["name"]
    return None


# ---- test questions (plain ones; training has many more, in phrases.py)
def example(kind, rng):
    """(image, question, expect, forbid)"""
    sp = rng.random() < 0.3
    colour = "colour" if sp else "color"
    def alts(c):
        return ["gray", "grey"] if c == "gray" else [c]
    if kind == "object":
        s = make_object(rng); o = s.objects[0]
        which = pick(rng, ["What is this?", "What is in this picture?", "Describe the picture.", f"What shape and {colour} is the object?", "What object is shown in the image?", "What do you see?"])
        return paint(s, rng), which, [o["name"]], [x for x in SHAPES if x != o["name"]], alts(o["color"]), [x for x in COLOR_NAMES if x != o["color"]]
    if kind == "count":
        s = make_count(rng)
        names = sorted({o["name"] for o in s.objects})
        if len(names) == 1 and rng.random() < 0.6:
            q = pick(rng, ["How many {}s are there?", "How many {}s are in the picture?", "Count the {}s.", "How many {}s do you see?"]).format(names[0]); n = len(s.objects)
        elif rng.random() < 0.5:
            nm = pick(rng, names)
            q = pick(rng, ["How many {}s are there?", "How many {}s are in the image?", "Count the {}s."]).format(nm); n = sum(o["name"] == nm for o in s.objects)
        else:
            q = pick(rng, ["How many objects are there?", "How many objects are in the image?", "How many shapes are there?", "Count the objects."]); n = len(s.objects)
        words = ["zero", "one", "two", "three", "four", "five", "six"]
        return paint(s, rng), q, [str(n), words[n]], [str(i) for i in range(1, 10) if i != n], None, None
    if kind == "color":
        s = make_object(rng) if rng.random() < 0.4 else make_several(rng)
        o = pick(rng, s.objects)
        q = pick(rng, ["What {} is the {}?", "Which {} is the {}?", "What {} is the {}? Answer in one word.", "What {} does the {} have?", "What is the {} of the {}?"]).format(colour, o["name"])
        return paint(s, rng), q, alts(o["color"]), [x for x in COLOR_NAMES if x != o["color"]], None, None
    if kind == "relation":
        s = make_pair(rng); p, q_ = s.objects
        if rng.random() < 0.5:
            p, q_ = q_, p
        rel = relation(p, q_)
        full = p["name"] == q_["name"] or rng.random() < 0.3
        a, b = [(o["color"] + " " if full else "") + o["name"] for o in (p, q_)]
        qs = [f"Where is the {a} relative to the {b}?"]
        qs.append(f"Is the {a} left or right of the {b}?" if rel in ("left", "right") else f"Is the {a} above or below the {b}?")
        qs.append(f"Is the {a} to the left or to the right of the {b}?" if rel in ("left", "right") else f"Is the {a} above the {b} or below it?")
        qs.append(f"Where is the {a} compared to the {b}: left, right, above or below?")
        return paint(s, rng), pick(rng, qs), [rel], [x for x in ("left", "right", "above", "below") if x != rel], None, None
    if kind == "number":
        s = make_number(rng); t = s.numbers[0]["text"]
        q = pick(rng, ["What number is written here?", "Read the number.", "What does it say?", "What number is in the picture?", "Which number is printed in the image?", "What number is this?"])
        return paint(s, rng), q, [t], [], None, None
    raise ValueError(kind)


KINDS = ["object", "count", "color", "relation", "number"]


# ---- clips: shapes that come, go and move
CLIP_SIZES = [(64, 64), (80, 80), (96, 64), (96, 96), (96, 128), (112, 112), (128, 96), (128, 128), (144, 144), (160, 90), (160, 112), (160, 120), (160, 160), (192, 144), (240, 240), (320, 180), (320, 240)]


class Clip(Scene):
    """`total` frames at `rate` a second; objects come at `since`, go at `until` and move by (`dx`, `dy`) in all, at even speed."""
    def __init__(self, size, bg, total, rate, seed):
        super().__init__(*size, bg)
        self.total, self.rate, self.seed = total, rate, seed

    def shown(self, i):
        """What frame i shows, where."""
        t, f = i / self.rate, i / self.total
        return [dict(o, x=o["x"] + f * o["dx"], y=o["y"] + f * o["dy"]) for o in self.objects if o["since"] <= t < o["until"]]

    def frame(self, i):
        s = Scene(self.w, self.h, self.bg); s.objects = self.shown(i)
        return paint(s, np.random.default_rng(self.seed))


def make_clip(rng, sizes=CLIP_SIZES, seconds=(2.0, 8.0), rates=(5, 8, 10, 12, 15, 24, 25, 30)):
    """1 to 4 objects, no two of the same colour and shape; at least one is not there from the start."""
    while True:
        rate, length = float(pick(rng, rates)), rng.uniform(*seconds)
        c = Clip(pick(rng, sizes), background(rng), max(4, round(rate * length)), rate, int(rng.integers(1 << 30)))
        side, length, paths = min(c.w, c.h), c.total / rate, []
        for k in range(int(rng.choice([1, 2, 3, 4], p=[.25, .35, .25, .15]))):
            color = good_color(rng, c.bg)
            shape = pick(rng, [o["name"] for o in c.objects]) if k and rng.random() < 0.25 else pick(rng, SHAPES)      # a blue square beside the red one
            if color[0] is None or any((o["name"], o["color"]) == (shape, color[0]) for o in c.objects):
                continue
            r, moves = radius(rng, side, 0.18, 0.5), rng.random() < 0.35
            for _ in range(30):
                a, b = (np.array([rng.uniform(r + 1, c.w - r - 1), rng.uniform(r + 1, c.h - r - 1)]) for _ in range(2))
                path = a + np.linspace(0, 1, 13)[:, None] * (b - a if moves else 0)
                if all((abs(path - p).max(1) > r + q + 2).all() for p, q in paths):
                    break
                r = max(r * 0.96, 0.09 * side)
            else:
                continue
            since = 0.0 if c.objects and rng.random() < 0.35 else rng.uniform(0.03, 0.97) * length
            until = since + rng.uniform(1.1, length) if rng.random() < 0.2 else math.inf
            paths.append((path, r))
            c.objects.append(dict(name=shape, color=color[0], rgb=color[1], x=a[0], y=a[1], dx=path[-1, 0] - a[0], dy=path[-1, 1] - a[1], r=r, turn=turn_of(rng, shape), seed=int(rng.integers(1 << 30)), since=since, until=until))
        if c.objects:
            return c


def clip_example(rng):
    """(clip, question, second in which the thing asked for appears)"""
    c = make_clip(rng, seconds=(3.0, 8.0))
    o = pick(rng, [o for o in c.objects if o["since"] > 0])
    first = next((i for i in range(c.total) if o["since"] <= i / c.rate), None)
    if first is None or first / c.rate > (c.total - 1) / c.rate - 0.6 or o["until"] - o["since"] < 1.1:     # sampled twice a second
        return clip_example(rng)
    q = pick(rng, ["When does the {} appear?", "At what second does the {} appear?", "When does the {} show up?", "When is the {} first visible?"])
    return c, q.format(o["color"] + " " + o["name"]), first / c.rate


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--count", type=int, default=20)
    p.add_argument("--kind", choices=KINDS + ["all"], default="all")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    with open(os.path.join(a.out, "questions.jsonl"), "w") as f:
        for k in KINDS if a.kind == "all" else [a.kind]:
            for i in range(a.count):
                im, q, expect, forbid, expect2, forbid2 = example(k, stream(EVAL, a.seed, KINDS.index(k) * 1_000_000 + i))
                name = f"{k}-{a.seed}-{i:04d}.png"
                im.save(os.path.join(a.out, name))
                def one(words):   # the spelling the model answers in
                    return words[-1] if words == ["gray", "grey"] and "olour" in q else words[0]
                row = dict(file=name, kind=k, question=q, expect=[one(w) for w in (expect2, expect) if w], forbid=forbid + (forbid2 or []))
                f.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
