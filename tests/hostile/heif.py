"""AVIF and HEIC: a writer of their boxes, also used by crates/media/tests/golden/heif.py, and files that lie in them."""
import io, random, struct

from PIL import Image

rng = random.Random(11)


def be(n): return struct.pack(">I", n)
def be2(n): return struct.pack(">H", n)
def box(kind, data=b"", size=None): return be(len(data) + 8 if size is None else size) + kind + data
def full(kind, data=b"", version=0, flags=0): return box(kind, be(version << 24 | flags) + data)
def ispe(w, h): return full(b"ispe", be(w) + be(h))


def boxes(raw, kind):
    """The first box of a kind, wherever it is: good enough for what Pillow writes."""
    at = raw.index(kind) - 4
    return raw[at:at + struct.unpack(">I", raw[at:at + 4])[0]]


class Item:
    """`properties` are boxes, `refers` is (kind, [numbers of items]) pairs; items are numbered from 1."""

    def __init__(self, kind, data=b"", properties=(), refers=(), hidden=0, extents=None):
        self.kind, self.data, self.properties, self.refers, self.hidden, self.extents = kind, data, list(properties), list(refers), hidden, extents


def file(items, primary=1, brands=(b"avif", b"mif1", b"miaf"), infos=b""):
    ftyp = box(b"ftyp", brands[0] + bytes(4) + b"".join(brands))
    shared = []
    for item in items:
        shared += [p for p in item.properties if p not in shared]
    has = b"".join(be2(n) + bytes([len(i.properties)]) + bytes(shared.index(p) + 1 for p in i.properties) for n, i in enumerate(items, 1))
    iprp = box(b"iprp", box(b"ipco", b"".join(shared)) + full(b"ipma", be(len(items)) + has))
    infe = b"".join(full(b"infe", be2(n) + be2(0) + i.kind + b"\0", 2, i.hidden) for n, i in enumerate(items, 1))
    refers = b"".join(box(kind, be2(n) + be2(len(to)) + b"".join(map(be2, to))) for n, i in enumerate(items, 1) for kind, to in i.refers)

    def meta(at):
        places, body = b"", b""
        for n, i in enumerate(items, 1):
            own = [(at + len(body), len(i.data))]
            extents = i.extents(own[0]) if i.extents else own
            places += be2(n) + be2(0) + be2(len(extents)) + b"".join(be(a) + be(b) for a, b in extents)
            body += i.data
        iloc = full(b"iloc", b"\x44\0" + be2(len(items)) + places)
        hdlr = full(b"hdlr", bytes(4) + b"pict" + bytes(13))
        iref = full(b"iref", refers) if refers else b""
        return full(b"meta", hdlr + full(b"pitm", be2(primary)) + iloc + full(b"iinf", be2(len(items)) + infe + infos) + iref + iprp), body

    head, _ = meta(0)
    head, body = meta(len(ftyp) + len(head) + 8)
    return ftyp + head + box(b"mdat", body)


def grid(columns, rows, w, h): return bytes([0, 1, rows - 1, columns - 1]) + be(w) + be(h)


def coded(picture, config=b"av1C", kind="AVIF", **options):
    """The bytes of one picture and the box that says how they are coded."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    raw = out.getvalue()
    return raw[raw.index(b"mdat") + 4:], boxes(raw, config)


def lies():
    r = random.Random(9)
    small = Image.frombytes("RGB", (8, 8), r.randbytes(192)).resize((64, 64))
    out = io.BytesIO()
    small.save(out, "AVIF", quality=60)
    whole = out.getvalue()
    data, config = coded(small, quality=60)
    good = [ispe(64, 64), config]
    hevc = box(b"hvcC", bytes.fromhex("010370000000900000000000b4f000fcfdf8f800000f00"))
    def sized(w, h): return whole.replace(ispe(64, 64), ispe(w, h))
    def tiles(n, canvas, **options): return file([Item(b"grid", grid(*canvas), [ispe(*canvas[2:])], [(b"dimg", [2] * n)]), Item(b"av01", data, good, hidden=1)], **options)
    # What is sound is answered.
    yield "itself", file([Item(b"av01", data, good)]), 200
    yield "mirrored_without_end", file([Item(b"av01", data, [*good, box(b"irot", b"\1"), *(box(b"imir", bytes([i & 1])) for i in range(60))])]), 200
    yield "grid_of_one_tile_used_4_times", tiles(4, (2, 2, 128, 128)), 200
    yield "60000x60000", sized(60_000, 60_000), 400
    yield "largest_sides", sized(2**32 - 1, 2**32 - 1), 400
    yield "no_width", sized(0, 64), 400
    yield "hollow_9000x9000", sized(9_000, 9_000), 400
    yield "1x20000", sized(1, 20_000), 400
    yield "smaller_than_it_says", sized(32, 32), 400
    yield "heic_60000x60000", file([Item(b"hvc1", rng.randbytes(500), [ispe(60_000, 60_000), hevc])], brands=(b"heic", b"mif1")), 400
    yield "heic_noise", file([Item(b"hvc1", rng.randbytes(500), [ispe(640, 480), hevc])], brands=(b"heic", b"mif1")), 400
    yield "heic_that_is_av1", file([Item(b"hvc1", data, [ispe(64, 64), hevc])], brands=(b"heic", b"mif1")), 400
    yield "av1_without_its_box", file([Item(b"av01", data, [ispe(64, 64)])]), 400
    yield "no_size", file([Item(b"av01", data, [config])]), 400
    yield "no_primary", file([Item(b"av01", data, good)], primary=7), 400
    yield "no_items", file([]), 400
    yield "wrong_brand_mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + whole[32:], 400
    yield "wrong_codec", file([Item(b"jpeg", data, [ispe(64, 64)])]), 400
    yield "noise_in_place_of_av1", file([Item(b"av01", rng.randbytes(len(data)), good)]), 400
    yield "grid_of_60000x60000", tiles(4, (2, 2, 60_000, 60_000)), 400
    yield "grid_unlike_its_size", file([Item(b"grid", grid(2, 2, 30_000, 30_000), [ispe(128, 128)], [(b"dimg", [2] * 4)]), Item(b"av01", data, good)]), 400
    yield "grid_of_65536_tiles", tiles(65_535, (256, 256, 9_000, 9_000)), 400
    yield "grid_of_one_large_tile_256_times", file([Item(b"grid", grid(16, 16, 9_000, 9_000), [ispe(9_000, 9_000)], [(b"dimg", [2] * 256)]), Item(b"av01", data, [ispe(9_000, 9_000), config])]), 400
    yield "grid_without_tiles", file([Item(b"grid", grid(2, 2, 128, 128), [ispe(128, 128)])]), 400
    yield "grid_of_itself", file([Item(b"grid", grid(2, 2, 128, 128), [ispe(128, 128)], [(b"dimg", [1] * 4)])]), 400
    yield "grids_of_grids", file([*(Item(b"grid", grid(2, 2, 128, 128), [ispe(128, 128)], [(b"dimg", [n + 2] * 4)]) for n in range(20)), Item(b"av01", data, good)]), 400
    yield "grid_beyond_the_end", file([Item(b"grid", b"", [ispe(128, 128)], [(b"dimg", [2] * 4)], extents=lambda own: [(2**31, 8)]), Item(b"av01", data, good)]), 400
    alpha = full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    yield "alpha_of_60000x60000", file([Item(b"av01", data, good), Item(b"av01", data, [ispe(60_000, 60_000), config, alpha], [(b"auxl", [1])])]), 400
    yield "alpha_of_itself", file([Item(b"av01", data, [*good, alpha], [(b"auxl", [1])])]), 400
    yield "hundred_pictures", file([Item(b"av01", data, good) for _ in range(100)]), 200
    yield "overlay", file([Item(b"iovl", bytes(40), [ispe(64, 64)], [(b"dimg", [2])]), Item(b"av01", data, good)]), 400
    yield "identity_of_itself", file([Item(b"iden", b"", [ispe(64, 64)], [(b"dimg", [1])])]), 400
    yield "pieces_that_overlap", file([Item(b"av01", data, good, extents=lambda own: [own] * 4_000)]), 400
    yield "sixty_thousand_pieces_of_nothing", file([Item(b"av01", data, good, extents=lambda own: [(own[0], 0)] * 60_000)]), 400
    yield "piece_of_4_gib", file([Item(b"av01", data, good, extents=lambda own: [(0, 2**32 - 1)])]), 400
    yield "hundred_thousand_items", file([Item(b"av01", data, good)], infos=full(b"infe", be2(9) + be2(0) + b"av01\0", 2) * 100_000), 400
    yield "item_box_of_7", file([Item(b"av01", data, good)], infos=box(b"infe", bytes(4), 7)), 400
    yield "brands_only", whole[:32], 400
    yield "cut_in_the_boxes", whole[:200], 400
    yield "cut_in_the_picture", whole[:len(whole) - len(data) // 2], 400
    nested = b""
    for _ in range(3_000):
        nested = box(b"meta", bytes(4) + nested)
    yield "boxes_in_boxes", whole[:32] + nested, 400
    yield "hundred_thousand_boxes", whole[:32] + box(b"free") * 100_000, 400
