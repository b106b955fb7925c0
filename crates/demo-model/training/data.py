"""Training examples: pictures with dense labels, and packed question rows."""
import math, time
import numpy as np
from PIL import Image
import draw as D
from phrases import Asker, SYSTEM

PATCH, MIN_AREA, MAX_AREA = 8, 16384, 20480
FACTOR = 2 * PATCH
CLASSES = D.SHAPES + list("0123456789")     # class i+1; 0 is nothing
QUESTIONS = {"object": 4, "count": 7, "several": 9, "pair": 8, "number": 3}      # behind one picture
MIX = {"soup": 0.10, "object": 0.07, "count": 0.24, "several": 0.14, "pair": 0.28, "number": 0.17}

FIRST = {"soup": 0.60, "object": 0.07, "count": 0.15, "pair": 0.03, "number": 0.15}      # while only the dense labels teach


def smart_resize(h, w):
    a, b = round(h / FACTOR) * FACTOR, round(w / FACTOR) * FACTOR
    if a * b > MAX_AREA:
        k = math.sqrt(h * w / MAX_AREA)
        a, b = max(FACTOR, math.floor(h / k / FACTOR) * FACTOR), max(FACTOR, math.floor(w / k / FACTOR) * FACTOR)
    elif a * b < MIN_AREA:
        k = math.sqrt(MIN_AREA / (h * w))
        a, b = math.ceil(h * k / FACTOR) * FACTOR, math.ceil(w * k / FACTOR) * FACTOR
    return a, b


def make_soup(rng):
    """Many things at once: for the dense labels only."""
    s = D.Scene(*D.canvas_size(rng), D.background(rng)); side = min(s.w, s.h)
    digits, small = 0.8 if rng.random() < 0.7 else 0.0, rng.random() < 0.7
    for _ in range(int(rng.integers(8, 26))):
        c = D.good_color(rng, s.bg, least=80)
        if c[0] is None:
            continue
        if rng.random() < digits:
            D.add_number(s, rng, D.number_text(rng), int(max(11, side * math.exp(rng.uniform(math.log(0.12), math.log(0.25 if small else 0.5))))), c, D.pick_font(rng),
                         angle=math.radians(rng.uniform(-9, 9)) if rng.random() < 0.2 else 0.0, tries=5)
        else:
            D.add_shape(s, rng, D.pick(rng, D.SHAPES), c, D.radius(rng, side, 0.1, 0.22 if small else 0.5), tries=5)
    return s


def scene(rng, kind):
    return dict(soup=make_soup, object=D.make_object, count=D.make_count, several=D.make_several, pair=D.make_pair, number=D.make_number)[kind](rng)


ASK = {"soup": [], "object": [("object", 3), ("list", 3), ("color", 2), ("count", 1), ("where", 2), ("yesno", 1)],
       "count": [("count", 7), ("list", 1), ("color", 1), ("yesno", .6)],
       "several": [("color", 5), ("position", 3), ("list", 1.5), ("count", 1.5), ("yesno", 1)],
       "pair": [("position", 7), ("where", 1.5), ("list", 1), ("color", 1.5)],
       "number": [("number", 7), ("list", 1), ("ink", 1.2)]}


def labels(s, H, W):
    """Per patch: class of the object whose centre is there, colour, and which object covers it. Per token: the number
    that covers it, digit by digit (0 none, 11 its end). Per picture: the counts (-1 unknown)."""
    gh, gw = H // PATCH, W // PATCH
    cell = np.zeros((gh, gw), np.int64); color = np.full((gh, gw), -1, np.int64); cover = np.zeros((gh, gw), np.int64)
    slot = np.zeros((gh // 2, gw // 2, 3), np.int64)
    fx, fy = W / s.w, H / s.h
    ys, xs = (np.mgrid[0:gh, 0:gw] * PATCH + PATCH / 2)
    for o, cls, rx, ry in [(o, D.SHAPES.index(o["name"]) + 1, o["r"] * .8, o["r"] * .8) for o in s.objects] + [(d, int(d["name"]) + 6, d["w"] / 2, d["h"] / 2) for d in s.digits]:
        x, y = min(o["x"] * fx, W - 1), min(o["y"] * fy, H - 1)
        ci = D.COLOR_NAMES.index(o["color"])
        for m in ((abs(xs - x) <= rx * fx) & (abs(ys - y) <= ry * fy), (int(y // PATCH), int(x // PATCH))):
            cover[m], color[m] = cls, ci
        cell[int(y // PATCH), int(x // PATCH)] = cls
    ys, xs = (np.mgrid[0:gh // 2, 0:gw // 2] * FACTOR + PATCH)
    for n in s.numbers:
        slot[(abs(xs - n["x"] * fx) <= n["w"] * fx / 2 + 3) & (abs(ys - n["y"] * fy) <= n["h"] * fy / 2 + 3)] = ([int(c) + 1 for c in n["text"]] + [11, 11])[:3]
    few = len(s.objects) <= 8
    counts = np.array([len(s.objects)] + [sum(o["name"] == n for o in s.objects) for n in D.SHAPES], np.int64) if few else np.full(6, -1)
    return cell, color, cover, slot.reshape(-1, 3), counts


def merge_order(a):
    """(h, w, ...) patches to the order of the vision tower: 2x2 blocks together."""
    h, w = a.shape[:2]
    return a.reshape(h // 2, 2, w // 2, 2, *a.shape[2:]).transpose(0, 2, 1, 3, *range(4, a.ndim + 2)).reshape(h * w, *a.shape[2:])


def patches(arr):
    h, w = arr.shape[0] // PATCH, arr.shape[1] // PATCH
    p = arr.reshape(h, PATCH, w, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(h, w, 3 * PATCH * PATCH)   # channel, row, column
    return merge_order(p)


class Maker:
    def __init__(self, tok, cfg):
        self.tok, self.cfg, self.cache = tok, cfg, {}
        self.IM = cfg["image_token_id"]

    def enc(self, t):
        if t not in self.cache:
            if len(self.cache) > 200000:
                self.cache.clear()
            self.cache[t] = self.tok.encode(t, add_special_tokens=False).ids
        return self.cache[t]

    def picture(self, rng, kind, paint=True):
        s = scene(rng, kind)
        H, W = smart_resize(s.h, s.w)
        cell, color, cover, slot, counts = (a.astype(np.int8) for a in labels(s, H, W))
        p = dict(grid=(H // PATCH, W // PATCH), cell=merge_order(cell), color=merge_order(color), cover=merge_order(cover), slot=slot, counts=counts)
        if paint:
            p["px"] = patches(np.asarray(D.paint(s, rng).resize((W, H), Image.BICUBIC)))
        return s, p

    def row(self, pieces, grid):
        """pieces: list of (text or None for the picture, branch, learn). Tokens, positions, branch and loss flags."""
        ids, pos, br, learn = [], [], [], []
        end = {}
        for text, b, l in pieces:
            p = end.get(b, end.get(0, 0))
            if text is None:
                n, h, w = grid[0] * grid[1] // 4, grid[0] // 2, grid[1] // 2
                ids += [self.IM] * n
                pos += [(p, p + i // w, p + i % w) for i in range(n)]
                br += [b] * n; learn += [0] * n
                p += max(h, w)
            else:
                t = self.enc(text)
                ids += t; pos += [(p + i,) * 3 for i in range(len(t))]; br += [b] * len(t); learn += [l] * len(t)
                p += len(t)
            end[b] = p
        return np.array(ids, np.int16), np.array(pos, np.int16), np.array(br, np.int8), np.array(learn, np.int8)

    def rows(self, rng, s, kind, grid):
        """Question rows on a picture: [(tokens...)]."""
        out, asker = [], Asker(rng)
        kinds, ws = zip(*ASK[kind]); ws = np.array(ws, float); ws /= ws.sum()
        qa = []
        for _ in range(QUESTIONS[kind]):
            k = "other" if rng.random() < 0.05 else kinds[int(rng.choice(len(kinds), p=ws))]
            r = asker.one(s, k)
            if r:
                qa.append(r)
        if not qa:
            return out
        sys = f"<|im_start|>system\n{D.pick(rng, SYSTEM)}<|im_end|>\n" if rng.random() < 0.4 else ""
        u = rng.random()
        if u < 0.85:      # picture first, questions side by side
            sep = D.pick(rng, ["", "", "", "", "\n", " "])
            pieces = [(sys + "<|im_start|>user\n<|vision_start|>", 0, 0), (None, 0, 0), ("<|vision_end|>", 0, 0)]
            for i, (q, a) in enumerate(qa):
                pieces += [(sep + q + "<|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        elif u < 0.94:    # question first
            sep = D.pick(rng, ["", "", "", "\n", " "])
            pieces = [(sys + "<|im_start|>user\n", 0, 0)]
            for i, (q, a) in enumerate(qa[:2]):
                pieces += [(q + sep + "<|vision_start|>", i + 1, 0), (None, i + 1, 0), ("<|vision_end|><|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        else:             # a conversation
            pieces = [(sys + "<|im_start|>user\n<|vision_start|>", 0, 0), (None, 0, 0), ("<|vision_end|>", 0, 0)]
            for i, (q, a) in enumerate(qa[:3]):
                pieces += [(("" if i == 0 else "\n<|im_start|>user\n") + q + "<|im_end|>\n<|im_start|>assistant\n", 0, 0), (a + "<|im_end|>", 0, 1)]
        out.append(self.row(pieces, grid))
        return out

    def text_row(self, rng):
        asker = Asker(rng)
        sys = f"<|im_start|>system\n{D.pick(rng, SYSTEM)}<|im_end|>\n" if rng.random() < 0.4 else ""
        pieces = [(sys + "<|im_start|>user\n", 0, 0)]
        for i in range(4):
            q, a = asker.other()
            if rng.random() < 0.25:   # a picture question without a picture
                s = scene(rng, "several"); r = asker.one(s, D.pick(rng, ["color", "count", "list", "yesno"]))
                if r:
                    q, a = r[0], "There is no picture."
            pieces += [(q + "<|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        return self.row(pieces, (0, 0))


def producer(queue, tok_path, cfg, seed, worker, start, batch, mix, paint, ask):
    """Endless batches of equal-sized pictures into the queue."""
    from tokenizers import Tokenizer
    m = Maker(Tokenizer.from_file(tok_path), cfg)
    kinds, ps = list(mix), np.array([mix[k] for k in mix], float); ps /= ps.sum()
    pools, i = {}, start
    while True:
        rng = D.stream(D.TRAIN, seed, worker * 100_000_000 + i); i += 1
        kind = kinds[int(rng.choice(len(kinds), p=ps))]
        try:
            s, p = m.picture(rng, kind, paint)
        except RuntimeError:
            continue
        rows = m.rows(rng, s, kind, p["grid"]) if ask and ASK[kind] else []
        pool = pools.setdefault(p["grid"], [])
        pool.append((p, rows))
        if len(pool) == batch:
            queue.put((collate(pool, [m.text_row(rng)] if ask and rng.random() < 0.5 else []), i))
            pools[p["grid"]] = []


def collate(pool, extra):
    b = {k: np.stack([p[k] for p, _ in pool]) for k in pool[0][0] if k != "grid"}
    b["grid"] = pool[0][0]["grid"]
    rows = [(i, r) for i, (_, rs) in enumerate(pool) for r in rs] + [(-1, r) for r in extra]
    L = max((len(r[0]) for _, r in rows), default=0)
    n = len(rows)
    ids = np.zeros((n, L), np.int16); pos = np.zeros((n, L, 3), np.int16); br = np.full((n, L), -1, np.int8); learn = np.zeros((n, L), np.int8)
    for k, (_, (a, p, g, l)) in enumerate(rows):
        ids[k, :len(a)], pos[k, :len(a)], br[k, :len(a)], learn[k, :len(a)] = a, p, g, l
    b.update(ids=ids, pos=pos, br=br, learn=learn, pic=np.array([i for i, _ in rows], np.int64))
    return b
