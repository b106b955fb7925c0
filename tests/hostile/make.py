"""Hostile inputs, the same bytes on every run: `python make.py FOLDER` writes them, tests/python/test_hostile.py sends them.

`entries()` yields `Entry(name, part, raw, wanted)`. `part` is the content part that carries it (image, file or video), `wanted`
is 400, or 200 for what is hostile in looks only: a picture that the rules allow, which must be answered.
Needs Pillow for the bodies that it damages; bombs and lies are written by hand.
"""
import io, pathlib, random, struct, sys, zipfile, zlib

from PIL import Image

import documents, heif, movies
from boxes import Entry

rng = random.Random(5)


def be(n): return struct.pack(">I", n)
def le(n): return struct.pack("<I", n)
def le2(n): return struct.pack("<H", n)


def zeros(n, level=9):
    """n zero bytes, deflated without holding them."""
    z, out, block = zlib.compressobj(level), [], bytes(1 << 20)
    for _ in range(n >> 20):
        out.append(z.compress(block))
    return b"".join([*out, z.compress(bytes(n & 0xFFFFF)), z.flush()])


def saved(kind, size=(61, 43), mode="RGB", **options):
    """A real picture with something in it."""
    r = random.Random(9)
    small = Image.frombytes("RGB", (8, 8), r.randbytes(192)).resize(size).convert(mode)
    out = io.BytesIO()
    small.save(out, kind, **options)
    return out.getvalue()


# PNG -----------------------------------------------------------------------------------------------------------------

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data=b"", crc=None, length=None):
    body = kind + data
    return be(len(data) if length is None else length) + body + be(zlib.crc32(body) if crc is None else crc)


def ihdr(w, h, depth=8, color=2, compression=0, filtering=0, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, compression, filtering, interlace))


def rows(w, h, filtering=0): return bytes([filtering] + [90] * (3 * w)) * h


def idat(raw): return chunk(b"IDAT", zlib.compress(raw, 9))


END = chunk(b"IEND")


def png():
    good = ihdr(8, 8) + idat(rows(8, 8)) + END
    head, body = ihdr(8, 8), idat(rows(8, 8))
    third = zeros(30_000 * 3_751)[:40_000]
    yield "30000x30000_40kb", SIGNATURE + ihdr(30_000, 30_000, 1, 0) + chunk(b"IDAT", third), 400
    yield "30000x30000_interlaced", SIGNATURE + ihdr(30_000, 30_000, 1, 0, interlace=1) + chunk(b"IDAT", third) + END, 400
    yield "largest_sides", SIGNATURE + ihdr(2**31 - 1, 2**31 - 1) + body + END, 400
    yield "sides_beyond_the_format", SIGNATURE + ihdr(2**32 - 1, 2**32 - 1) + body + END, 400
    yield "no_width", SIGNATURE + ihdr(0, 8) + body + END, 400
    yield "no_height", SIGNATURE + ihdr(8, 0) + body + END, 400
    yield "hollow_9000x9000", SIGNATURE + ihdr(9_000, 9_000, 8, 6) + idat(b"") + END, 400
    yield "hollow_16_bit", SIGNATURE + ihdr(9_000, 9_000, 16, 6) + idat(b"\0") + END, 400
    yield "1x20000", SIGNATURE + ihdr(1, 20_000) + idat(rows(1, 20_000)) + END, 400
    yield "20000x1", SIGNATURE + ihdr(20_000, 1) + idat(rows(20_000, 1)) + END, 400
    yield "1x201", SIGNATURE + ihdr(1, 201) + idat(rows(1, 201)) + END, 400
    yield "1x200", SIGNATURE + ihdr(1, 200) + idat(rows(1, 200)) + END, 200
    yield "1x1", SIGNATURE + ihdr(1, 1) + idat(rows(1, 1)) + END, 200
    yield "8000x8000_of_60_kb", SIGNATURE + ihdr(8_000, 8_000, 1, 0) + chunk(b"IDAT", zeros(8_000 * 1_001)) + END, 200
    yield "data_after_the_last_row", SIGNATURE + head + chunk(b"IDAT", zlib.compress(rows(8, 8))[:-4] + zeros(1 << 28)) + END, 200
    yield "icc_bomb", SIGNATURE + head + chunk(b"iCCP", b"x\0\0" + zeros(1 << 28)) + body + END, 200
    yield "text_bomb", SIGNATURE + head + chunk(b"zTXt", b"x\0\0" + zeros(1 << 28)) + body + END, 200
    yield "international_text_bomb", SIGNATURE + head + chunk(b"iTXt", b"x\0\1\0\0\0" + zeros(1 << 28)) + body + END, 200
    yield "fifty_text_bombs", SIGNATURE + head + chunk(b"zTXt", b"x\0\0" + zeros(1 << 24)) * 50 + body + END, 200
    yield "huge_exif", SIGNATURE + head + chunk(b"eXIf", b"MM\0*" + rng.randbytes(2 << 20)) + body + END, 200
    yield "length_of_4_gib", SIGNATURE + head + chunk(b"IDAT", b"xx", length=2**32 - 1), 400
    yield "length_of_2_gib", SIGNATURE + head + chunk(b"tEXt", b"xx", length=2**31 - 1) + body + END, 400
    yield "no_pixels", SIGNATURE + head + END, 400
    yield "pixels_first", SIGNATURE + body + head + END, 400
    yield "short_header", SIGNATURE + chunk(b"IHDR", b"\0\0\0\1"), 400
    yield "header_only", SIGNATURE + head, 400
    yield "signature_only", SIGNATURE, 400
    yield "header_checksum", SIGNATURE + chunk(b"IHDR", head[8:21], crc=1) + body + END, 400
    yield "depth_3", SIGNATURE + ihdr(8, 8, 3) + body + END, 400
    yield "depth_16_palette", SIGNATURE + ihdr(8, 8, 16, 3) + body + END, 400
    yield "colour_type_7", SIGNATURE + ihdr(8, 8, 8, 7) + body + END, 400
    yield "compression_9", SIGNATURE + ihdr(8, 8, compression=9) + body + END, 400
    yield "interlace_9", SIGNATURE + ihdr(8, 8, interlace=9) + body + END, 400
    yield "filter_200", SIGNATURE + head + idat(rows(8, 8, 200)) + END, 400
    yield "palette_missing", SIGNATURE + ihdr(8, 8, 8, 3) + idat(bytes(72)) + END, 400
    yield "palette_too_long", SIGNATURE + ihdr(8, 8, 8, 3) + chunk(b"PLTE", bytes(3 * 3000)) + idat(bytes(72)) + END, 400
    yield "not_deflated", SIGNATURE + head + chunk(b"IDAT", b"hello, this is no zlib stream") + END, 400
    yield "preset_dictionary", SIGNATURE + head + chunk(b"IDAT", b"\x78\xbb" + bytes(40)) + END, 400
    yield "half_the_rows", SIGNATURE + head + chunk(b"IDAT", zlib.compress(rows(8, 4))) + END, 400
    yield "cut_in_the_rows", (SIGNATURE + good)[:50], 400
    yield "hundred_thousand_chunks", SIGNATURE + head + chunk(b"tEXt", b"a\0b") * 100_000 + END, 400
    yield "hundred_thousand_empty_pixel_chunks", SIGNATURE + head + chunk(b"IDAT") * 100_000 + END, 400
    control = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 0, 0, 1, 1, 0, 0)
    yield "animation_frame_beyond_canvas", SIGNATURE + head + chunk(b"acTL", be(1) + be(0)) + chunk(b"fcTL", control) + body + END, 400
    yield "animation_without_frames", SIGNATURE + head + chunk(b"acTL", be(2**31 - 1) + be(0)) + END, 400


# JPEG ----------------------------------------------------------------------------------------------------------------

def segment(marker, data=b"", length=None):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2 if length is None else length) + data


def frame(w, h, components=((1, 0x11, 0), (2, 0x11, 0), (3, 0x11, 0)), precision=8, marker=0xC0):
    body = struct.pack(">BHHB", precision, h, w, len(components)) + b"".join(bytes(c) for c in components)
    return segment(marker, body)


def jpeg():
    whole = saved("JPEG", quality=80)
    sof, sos, dqt, dht = (whole.index(m) for m in (b"\xff\xc0", b"\xff\xda", b"\xff\xdb", b"\xff\xc4"))
    def frame_of(new): return whole[:sof] + new + whole[sof + 19:]
    scan = whole[sos:]
    yield "65500x65500", frame_of(frame(65_500, 65_500)), 400
    yield "no_width", frame_of(frame(0, 43)), 400
    yield "no_height", frame_of(frame(61, 0)), 400
    yield "65535x1", frame_of(frame(65_535, 1)), 400
    yield "no_components", frame_of(frame(61, 43, ())), 400
    yield "200_components", frame_of(frame(61, 43, [(i, 0x11, 0) for i in range(200)])), 400
    yield "two_components", frame_of(frame(61, 43, ((1, 0x11, 0), (2, 0x11, 0)))), 400
    yield "sampling_0", frame_of(frame(61, 43, ((1, 0x00, 0), (2, 0x11, 0), (3, 0x11, 0)))), 400
    yield "sampling_15", frame_of(frame(61, 43, ((1, 0xFF, 0), (2, 0x11, 0), (3, 0x11, 0)))), 400
    yield "table_9", frame_of(frame(61, 43, ((1, 0x22, 9), (2, 0x11, 9), (3, 0x11, 9)))), 400
    yield "precision_12", frame_of(frame(61, 43, precision=12)), 400
    yield "arithmetic", frame_of(frame(61, 43, marker=0xC9)), 400
    yield "lossless", frame_of(frame(61, 43, marker=0xC3)), 400
    yield "hierarchical", frame_of(frame(61, 43, marker=0xC5)), 400
    yield "no_frame", whole[:sof] + whole[sof + 19:], 400
    yield "no_quantisation", whole[:dqt] + whole[sof:], 400
    yield "no_huffman", whole[:dht] + scan, 400
    yield "huffman_too_many_codes", whole[:2] + segment(0xC4, b"\0" + b"\xff" * 16 + bytes(255)) + whole[2:], 400
    yield "segment_of_length_0", whole[:2] + segment(0xE1, b"", 0) + whole[2:], 400
    yield "segment_of_length_1", whole[:2] + segment(0xE1, b"", 1) + whole[2:], 400
    yield "segment_beyond_the_end", whole[:2] + segment(0xE1, b"Exif\0\0", 0xFFFF), 400
    yield "start_only", b"\xff\xd8\xff", 400
    yield "cut_in_the_frame", whole[:sof + 6], 400
    yield "cut_before_the_scan", whole[:sos], 400
    yield "fill_bytes_1_mib", b"\xff\xd8" + b"\xff" * (1 << 20), 400
    yield "hollow_9000x9000", whole[:sof] + frame(9_000, 9_000) + whole[sof + 19:sos + 14] + b"\xff\xd9", 400
    exif = segment(0xE1, b"Exif\0\0MM\0*" + rng.randbytes(60_000))
    yield "exif_12_mib", whole[:2] + exif * 200 + whole[2:], 200
    loop = b"Exif\0\0II*\0" + le(8) + le2(1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + le(8)
    yield "exif_directory_loop", whole[:2] + segment(0xE1, loop) + whole[2:], 200
    lies = b"Exif\0\0II*\0" + le(8) + le2(65_535) + struct.pack("<HHII", 0x0112, 3, 2**32 - 1, 2**32 - 1)
    yield "exif_count_lies", whole[:2] + segment(0xE1, lies) + whole[2:], 200
    icc = b"ICC_PROFILE\0"
    yield "icc_chunk_200_of_3", whole[:2] + segment(0xE2, icc + b"\xc8\x03" + rng.randbytes(999)) + whole[2:], 200
    yield "icc_garbage_15_mib", whole[:2] + b"".join(segment(0xE2, icc + bytes([i, 255]) + rng.randbytes(65_000)) for i in range(1, 256)) + whole[2:], 200
    profile = bytearray(rng.randbytes(600)); profile[0:4] = be(600); profile[36:40] = b"acsp"; profile[16:20] = b"RGB "; profile[128:132] = be(2**32 - 1)
    yield "icc_tag_count_lies", whole[:2] + segment(0xE2, icc + b"\1\1" + profile) + whole[2:], 200
    for transform in (0, 1, 2, 255):
        adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
        cmyk = saved("JPEG", mode="CMYK")
        marker = cmyk.index(b"\xff\xee")
        yield f"cmyk_transform_{transform}", cmyk[:marker] + adobe + cmyk[marker + 16:], 400 if transform == 255 else 200
    scans = saved("JPEG", progressive=True)
    first = scans.index(b"\xff\xda")
    again = scans[first:scans.index(b"\xff", first + 20)]
    frame_at = scans.index(b"\xff\xc2")
    big = scans[:frame_at] + frame(4_000, 4_000, ((1, 0x22, 0), (2, 0x11, 1), (3, 0x11, 1)), marker=0xC2) + scans[frame_at + 19:first]
    yield "thousand_empty_scans", big + again * 1_000 + b"\xff\xd9", 400
    yield "restart_storm", whole[:sos] + scan[:14] + b"\xff\xd0\xff\xd1" * 200_000 + b"\xff\xd9", 200


# WebP ----------------------------------------------------------------------------------------------------------------

def riff(*chunks, size=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + le(len(body) if size is None else size) + body


def part(kind, data, size=None): return kind + le(len(data) if size is None else size) + data + b"\0" * (len(data) & 1)


def extended(w, h, flags=0): return part(b"VP8X", bytes([flags, 0, 0, 0]) + le(w - 1)[:3] + le(h - 1)[:3])


def webp():
    lossy, lossless = saved("WEBP"), saved("WEBP", lossless=True)
    vp8, vp8l = lossy[12:], lossless[12:]
    big = struct.pack("<BI", 0x2F, (16_383 - 1) | (16_383 - 1) << 14)
    yield "lossless_16383x16383", riff(part(b"VP8L", big + bytes(20))), 400
    yield "canvas_2_to_24", riff(extended(1 << 24, 1 << 24), vp8), 400
    yield "canvas_unlike_the_frame", riff(extended(9_000, 9_000), vp8), 400
    sized = bytearray(lossy); sized[26:30] = le2(16_383) * 2
    yield "lossy_16383x16383", bytes(sized), 400
    sized = bytearray(lossy); sized[26:30] = le2(0) * 2
    yield "no_size", bytes(sized), 400
    yield "nothing_inside", riff(), 400
    yield "twelve_bytes", lossy[:12], 400
    yield "cut_in_half", lossy[:len(lossy) // 2], 400
    yield "lossless_cut_in_half", lossless[:len(lossless) // 2], 400
    yield "riff_size_0", riff(vp8, size=0), 200
    yield "chunk_of_4_gib", riff(part(b"VP8 ", vp8[8:], 2**32 - 1)), 200
    yield "chunk_of_0", riff(part(b"VP8 ", vp8[8:], 0)), 400
    yield "lossless_garbage", riff(part(b"VP8L", vp8l[8:13] + rng.randbytes(2_000))), 400
    yield "lossless_wrong_signature", riff(part(b"VP8L", b"\0" + vp8l[9:])), 400
    yield "not_a_key_frame", riff(part(b"VP8 ", bytes([vp8[8] | 1]) + vp8[9:])), 400
    yield "alpha_garbage", riff(extended(61, 43, 0x10), part(b"ALPH", b"\1" + rng.randbytes(100)), vp8), 400
    yield "animation_without_frames", riff(extended(61, 43, 2), part(b"ANIM", bytes(6))), 400
    outside = b"\xff\xff\xff" * 2 + le(60)[:3] + le(42)[:3] + bytes(4) + vp8
    yield "animation_frame_outside", riff(extended(61, 43, 2), part(b"ANIM", bytes(6)), part(b"ANMF", outside)), 400
    nested = part(b"ANMF", bytes(16) + part(b"ANMF", bytes(16) + part(b"ANMF", bytes(16))))
    yield "animation_of_animations", riff(extended(61, 43, 2), part(b"ANIM", bytes(6)), nested), 400
    yield "million_unknown_chunks", riff(part(b"junk", b"") * 1_000_000), 400
    yield "exif_4_mib", riff(extended(61, 43, 8), vp8, part(b"EXIF", rng.randbytes(4 << 20))), 200
    solid = io.BytesIO(); Image.new("RGB", (16_383, 5_000), "red").save(solid, "WEBP", lossless=True)
    yield "82_million_pixels_of_a_few_bytes", solid.getvalue(), 200


# GIF -----------------------------------------------------------------------------------------------------------------

def gif_head(w, h, flags=0x80): return b"GIF89a" + le2(w) + le2(h) + bytes([flags, 0, 0]) + (bytes(6) if flags & 0x80 else b"")


def gif_frame(w, h, x=0, y=0, code=2, data=b"\x02\x44\x01", flags=0):
    return b"," + le2(x) + le2(y) + le2(w) + le2(h) + bytes([flags, code]) + (bytes([len(data)]) + data if data else b"") + b"\0"


def gif():
    whole = saved("GIF", mode="P")
    yield "65535x65535", gif_head(65_535, 65_535) + gif_frame(65_535, 65_535) + b";", 400
    yield "screen_65535x65535_frame_1x1", gif_head(65_535, 65_535) + gif_frame(1, 1) + b";", 400
    yield "no_size", gif_head(0, 0) + gif_frame(0, 0) + b";", 400
    yield "no_frame", gif_head(8, 8) + b";", 400
    yield "head_only", gif_head(8, 8), 400
    yield "signature_only", b"GIF89a", 400
    yield "no_colours", gif_head(8, 8, 0) + gif_frame(8, 8) + b";", 400
    yield "code_size_0", gif_head(8, 8) + gif_frame(8, 8, code=0) + b";", 400
    yield "code_size_200", gif_head(8, 8) + gif_frame(8, 8, code=200) + b";", 400
    yield "lzw_garbage", gif_head(64, 64) + gif_frame(64, 64, data=b"\xff" * 200) + b";", 400
    yield "pixels_missing", gif_head(90, 90) + gif_frame(90, 90) + b";", 400
    yield "cut_in_the_pixels", whole[:len(whole) // 2], 400
    yield "endless_extensions", gif_head(8, 8) + (b"!\xfe\xff" + b"x" * 255 + b"\0") * 40_000, 400
    yield "endless_comment", gif_head(8, 8) + b"!\xfe" + (b"\xff" + b"x" * 255) * 40_000, 400
    yield "endless_frames", whole[:-1] + whole[whole.index(b","):-1] * 2_000, 200
    yield "frame_outside", gif_head(8, 8) + gif_frame(8, 8, 9_000, 9_000) + b";", 400
    yield "unknown_block", gif_head(8, 8) + b"Q" * 100, 400


# BMP -----------------------------------------------------------------------------------------------------------------

def bmp_of(w, h, bits=24, compression=0, colours=0, offset=54, size=40, data=b"", planes=1):
    info = struct.pack("<IiiHHIIiiII", size, w, h, planes, bits, compression, 0, 2835, 2835, colours, 0)
    return b"BM" + le(54 + len(data)) + bytes(4) + le(offset) + info + data


def bmp():
    yield "30000x30000", bmp_of(30_000, 30_000), 400
    yield "no_size", bmp_of(0, 0), 400
    yield "width_minus_5", bmp_of(-5, 5, data=bytes(99)), 400
    yield "height_smallest_integer", bmp_of(5, -2**31, data=bytes(99)), 400
    yield "7_bits", bmp_of(8, 8, 7, data=bytes(999)), 400
    yield "0_bits", bmp_of(8, 8, 0, data=bytes(999)), 400
    yield "64_bits", bmp_of(8, 8, 64, data=bytes(999)), 400
    yield "compression_99", bmp_of(8, 8, compression=99, data=bytes(999)), 400
    yield "jpeg_inside", bmp_of(8, 8, compression=4, data=bytes(999)), 400
    yield "4_billion_colours", bmp_of(8, 8, 8, colours=2**32 - 1, data=bytes(99)), 400
    yield "pixels_beyond_the_end", bmp_of(8, 8, offset=2**31, data=bytes(999)), 400
    yield "header_of_2_gib", bmp_of(8, 8, size=2**31, data=bytes(999)), 400
    yield "header_of_3", bmp_of(8, 8, size=3, data=bytes(999)), 400
    yield "pixels_missing", bmp_of(5_000, 5_000, data=bytes(99)), 400
    yield "masks_overlap", bmp_of(8, 8, 32, compression=3, offset=66, data=le(0xFF) + le(0xFF) + le(0x5) + bytes(256)), 400
    yield "run_lengths_missing", bmp_of(9_000, 9_000, 8, 1, offset=54 + 1024, data=bytes(1024) + b"\x01"), 400
    yield "signature_only", b"BM", 400


# TIFF ----------------------------------------------------------------------------------------------------------------

def tiff_of(tags, data=b"", after=0):
    """Little endian; a tag is (number, type, count, value); strips begin behind the directory."""
    body = le2(len(tags)) + b"".join(struct.pack("<HHII", *t) for t in sorted(tags)) + le(after)
    return b"II*\0" + le(8) + body + data


def strip(w, h, raw, compression=1, rows_each=None, extra=(), bits=8, samples=1):
    tags = {256: (4, 1, w), 257: (4, 1, h), 258: (3, 1, bits), 259: (3, 1, compression), 262: (3, 1, 1), 277: (3, 1, samples),
            278: (4, 1, rows_each or h), 279: (4, 1, len(raw)), **{k: v for k, *v in extra}}
    at = 8 + 2 + 12 * (len(tags) + (273 not in tags)) + 4
    tags.setdefault(273, (4, 1, at))
    return tiff_of([(k, *v) for k, v in tags.items()], raw)


def tiff():
    flat = bytes(64)
    yield "directory_loop", strip(8, 8, flat)[:8] + tiff_of([(256, 4, 1, 8)], after=8)[8:], 400
    yield "directory_beyond_the_end", b"II*\0" + le(2**31), 400
    yield "directory_at_itself", b"II*\0" + le(4), 400
    yield "no_directory", b"II*\0" + le(0), 400
    yield "65535_entries", b"II*\0" + le(8) + le2(65_535) + bytes(500), 400
    yield "4_billion_x_4_billion", strip(2**32 - 1, 2**32 - 1, flat), 400
    yield "30000x30000", strip(30_000, 30_000, flat), 400
    yield "no_size", strip(0, 0, flat), 400
    yield "strip_beyond_the_end", strip(8, 8, flat, extra=[(273, 4, 1, 2**31)]), 400
    yield "strip_of_4_gib", strip(8_000, 8_000, flat, extra=[(279, 4, 1, 2**32 - 1)]), 400
    yield "strip_offsets_4_billion", strip(8, 8, flat, extra=[(273, 4, 2**32 - 1, 8)]), 400
    yield "pixels_missing", strip(9_000, 9_000, flat), 400
    yield "samples_65535", strip(8, 8, flat, samples=65_535), 400
    yield "0_bits", strip(8, 8, flat, bits=0), 400
    yield "7_bits", strip(8, 8, flat, bits=7), 400
    yield "compression_60000", strip(8, 8, flat, compression=60_000), 400
    yield "deflate_garbage", strip(8, 8, rng.randbytes(64), compression=8), 400
    yield "lzw_garbage", strip(64, 64, b"\xff" * 64, compression=5), 400
    yield "packbits_cut", strip(640, 64, b"\x81\x00", compression=32_773), 400
    yield "deflate_bomb", strip(8, 8, zeros(1 << 28), compression=8), 200
    yield "predictor_99", strip(8, 8, flat, extra=[(317, 3, 1, 99)]), 400
    yield "tile_of_nothing", strip(8, 8, flat, extra=[(322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 8), (325, 4, 1, 64)]), 400
    yield "tile_of_2_to_31", strip(8, 8, flat, extra=[(322, 4, 1, 2**31), (323, 4, 1, 2**31), (324, 4, 1, 8), (325, 4, 1, 64)]), 400
    yield "rows_per_strip_0", strip(8, 8, flat, extra=[(278, 4, 1, 0)]), 400
    yield "big_tiff_far_directory", b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63), 400
    yield "big_tiff_2_to_60_entries", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + bytes(64), 400


# ICO -----------------------------------------------------------------------------------------------------------------

def ico_of(*images, count=None, lie=None):
    out, at = struct.pack("<HHH", 0, 1, len(images) if count is None else count), 6 + 16 * len(images)
    for raw in images:
        size, offset = lie or (len(raw), at)
        out += struct.pack("<BBBBHHII", 8, 8, 0, 0, 1, 32, size, offset)
        at += len(raw)
    return out + b"".join(images)


def ico():
    inner = SIGNATURE + ihdr(8, 8, 8, 6) + chunk(b"IDAT", zlib.compress((b"\0" + bytes(32)) * 8)) + END
    bomb = SIGNATURE + ihdr(30_000, 30_000, 1, 0) + chunk(b"IDAT", zeros(1 << 20)) + END
    yield "no_entries", ico_of(), 400
    yield "65535_entries", ico_of(inner, count=65_535), 400
    yield "beyond_the_end", ico_of(inner, lie=(2**31, 2**31)), 400
    yield "entry_at_itself", ico_of(inner, lie=(64, 0)), 400
    yield "png_of_30000x30000", ico_of(bomb), 400
    yield "bitmap_of_30000x30000", ico_of(bmp_of(30_000, 30_000, 32)[14:]), 400
    yield "bitmap_of_smallest_height", ico_of(bmp_of(8, -2**31, 32)[14:]), 400
    yield "icon_in_an_icon", ico_of(ico_of(inner)), 400
    yield "head_only", b"\0\0\1\0", 400
    yield "cut", ico_of(inner)[:40], 400


# SVG and what is no picture -------------------------------------------------------------------------------------------

def svg_of(body, head="", size='width="64" height="64"'):
    return f'{head}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size}>{body}</svg>'.encode()


def svg():
    laughs = "<!DOCTYPE svg [<!ENTITY a \"aaaaaaaaaa\">" + "".join(
        f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9)) + "]>"
    outside = '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    uses = '<g id="a0"><rect width="9" height="9"/></g>' + "".join(
        f'<g id="a{i + 1}">{f"<use xlink:href=%s#a{i}%s/>" % (chr(34), chr(34)) * 10}</g>' for i in range(9)) + '<use xlink:href="#a9"/>'
    yield "billion_laughs", svg_of("<text>&j;</text>", laughs), 400
    yield "outside_entity", svg_of("<text>&x;</text>", outside), 400
    yield "billion_uses", svg_of(f"<defs>{uses}</defs><use xlink:href=\"#a9\"/>"), 400
    yield "deep", svg_of("<g>" * 200_000 + "</g>" * 200_000), 400
    yield "million_nodes", svg_of("<rect/>" * 1_000_000), 400
    yield "huge", svg_of("<rect/>", size='width="1e9" height="1e9"'), 200
    yield "no_size", svg_of("<rect/>", size='width="0" height="0"'), 400
    yield "not_closed", svg_of("")[:-6] + b"<rect", 400
    yield "nan", svg_of("<rect/>", size='width="NaN" height="-5"'), 400
    filters = "".join(f'<feGaussianBlur stdDeviation="{i}"/>' for i in range(1, 500))
    yield "filter_chain", svg_of(f'<filter id="f">{filters}</filter><rect filter="url(#f)" width="9000" height="9000"/>', size='width="9000" height="9000"'), 400


def strangers():
    ftyp = lambda brand: be(24) + b"ftyp" + brand + bytes(4) + b"mif1miaf"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("zeros", (1980, 1, 1, 0, 0, 0)), bytes(1 << 20))
    yield from ((name, raw, 400) for name, raw in [
        ("nothing", b""), ("one_byte", b"\0"), ("text", b"hello, I am not a picture"), ("html", b"<!DOCTYPE html><html><body>login</body></html>"),
        ("html_with_svg", b"<html><svg></svg></html>"), ("zip", zipped.getvalue()), ("gzip", b"\x1f\x8b\x08" + bytes(30)), ("elf", b"\x7fELF" + bytes(60)),
        ("zero_bytes", bytes(1 << 20)), ("ones", b"\xff" * (1 << 20)), ("noise", rng.randbytes(1 << 20)), ("avif", ftyp(b"avif") + rng.randbytes(99)),
        ("heic", ftyp(b"heic") + rng.randbytes(99)), ("jpeg_xl", b"\xff\x0a" + rng.randbytes(99)), ("jpeg_2000", be(12) + b"jP  \r\n\x87\n" + bytes(50)),
        ("photoshop", b"8BPS\0\1" + bytes(60)), ("pdf", b"%PDF-1.7\n"), ("mp4", ftyp(b"isom")), ("webm", b"\x1a\x45\xdf\xa3" + bytes(40)),
        ("farbfeld", b"farbfeld" + be(2**32 - 1) * 2), ("pnm", b"P6 99999 99999 255\n"), ("hdr", b"#?RADIANCE\n\n-Y 99999 +X 99999\n"),
        ("exr", b"\x76\x2f\x31\x01" + bytes(60)), ("dds", b"DDS " + bytes(124)), ("tga", bytes([0, 0, 2]) + bytes(9) + b"\xff\xff\xff\xff\x18\0"),
    ])


def damaged():
    """Real pictures cut early: where the bytes end, no decoder can go on."""
    for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF", "ICO"):
        whole = saved(kind, mode="P" if kind == "GIF" else "RGB")
        for share in (3, 9):
            yield f"{kind.lower()}_to_{share}_tenths", whole[:len(whole) * share // 10], 400


def entries():
    groups = {"png": png, "jpeg": jpeg, "webp": webp, "gif": gif, "bmp": bmp, "tiff": tiff, "ico": ico, "svg": svg, "heif": heif.lies, "stranger": strangers, "cut": damaged}
    for group, make in groups.items():
        for name, raw, wanted in make():
            yield Entry(f"{group}/{name}", "image", raw, wanted)
    yield from documents.entries()
    yield from movies.entries()


if __name__ == "__main__":
    folder, total = pathlib.Path(sys.argv[1]), 0
    for count, entry in enumerate(entries(), 1):
        path = folder / entry.part / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.raw)
        total += len(entry.raw)
    print(f"{count} files, {total >> 20} MiB")
