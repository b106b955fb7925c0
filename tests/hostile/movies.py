"""Hostile clips for `video_url` parts."""
import random, struct

from boxes import Entry

rng = random.Random(7)


def box(kind, data=b"", size=None):
    return struct.pack(">I", len(data) + 8 if size is None else size) + kind + data


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")


def mvhd(scale, duration): return box(b"mvhd", bytes(12) + struct.pack(">II", scale, duration) + bytes(80))


def mp4():
    nested = b""
    for _ in range(3_000):
        nested = box(b"moov", nested)
    table = box(b"stts", bytes(4) + struct.pack(">III", 2**32 - 1, 2**32 - 1, 2**32 - 1))
    sizes = box(b"stsz", bytes(4) + struct.pack(">II", 2**31, 2**32 - 1))
    track = box(b"trak", box(b"tkhd", bytes(76) + b"\xff\xff\0\0" * 2) + box(b"mdia", box(b"minf", box(b"stbl", table + sizes))))
    yield "nothing", b""
    yield "head_only", FTYP
    yield "forged_duration", FTYP + box(b"moov", mvhd(1, 2**32 - 1)) + box(b"mdat", rng.randbytes(500))
    yield "forged_tables", FTYP + box(b"moov", mvhd(1, 9) + track) + box(b"mdat", rng.randbytes(500))
    yield "no_index", FTYP + box(b"mdat", rng.randbytes(5_000))
    yield "index_cut", FTYP + box(b"moov", mvhd(1000, 1000))[:40]
    yield "box_of_0", FTYP + box(b"moov", size=0)
    yield "box_of_1", FTYP + struct.pack(">I4sQ", 1, b"moov", 2**63)
    yield "box_of_7", FTYP + box(b"moov", size=7) * 50
    yield "boxes_in_boxes", FTYP + nested
    yield "hundred_thousand_boxes", FTYP + box(b"free") * 100_000
    yield "noise", FTYP + rng.randbytes(9_000)


def others():
    ebml = b"\x1a\x45\xdf\xa3"
    yield "endless.webm", ebml + b"\x01\xff\xff\xff\xff\xff\xff\xff" + rng.randbytes(2_000)
    yield "noise.mkv", ebml + b"\x84" + rng.randbytes(2_000)
    yield "segment_lies.mkv", ebml + b"\x80\x18\x53\x80\x67\x08\xff\xff\xff\xff\xff\xff" + bytes(500)
    yield "lies.avi", b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xffhdrlavih\xff\xff\xff\xff" + bytes(300)
    yield "playlist.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXTINF:1,\nhttp://169.254.169.254/latest\n"
    yield "concat.txt", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "session.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    yield "page.html", b"<!DOCTYPE html><html>login</html>"
    yield "noise.bin", rng.randbytes(9_000)
    yield "drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "dash.mpd", b'<?xml version="1.0"?><MPD><Period><BaseURL>file:///etc/passwd</BaseURL></Period></MPD>'
    yield "huge.y4m", b"YUV4MPEG2 W99999999 H99999999 F1:1\nFRAME\n"


def entries():
    for name, raw in mp4():
        yield Entry(f"mp4/{name}.mp4", "video", raw, 400)
    for name, raw in others():
        yield Entry(f"clip/{name}", "video", raw, 400)
