"""Hostile documents for `file` parts."""
import io, random, zipfile, zlib

from boxes import Entry

rng = random.Random(6)
MIME = {"pdf": "application/pdf", "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation"}


def pdf_of(*objects, trailer="/Root 1 0 R", table=True, head=b"%PDF-1.7\n"):
    """Objects 1.. with a true cross-reference table, or none."""
    out, at = bytearray(head), []
    for number, body in enumerate(objects, 1):
        at.append(len(out))
        out += f"{number} 0 obj\n".encode() + (body if isinstance(body, bytes) else body.encode()) + b"\nendobj\n"
    start = len(out)
    if table:
        out += f"xref\n0 {len(at) + 1}\n0000000000 65535 f \n".encode() + b"".join(b"%010d 00000 n \n" % a for a in at)
    out += f"trailer\n<</Size {len(at) + 1} {trailer}>>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def stream(raw, more=""): return f"<</Length {len(raw)} {more}>>\nstream\n".encode() + raw + b"\nendstream"


ROOT = "<</Type/Catalog/Pages 2 0 R>>"


def pdf():
    page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<<>>>>"
    good = pdf_of(ROOT, "<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream(b"BT ET"))
    many = [f"{3} 0 R"] * 10_000
    yield "nothing", b""
    yield "head_only", b"%PDF-1.7\n"
    yield "noise", b"%PDF-1.7\n" + rng.randbytes(9_000)
    yield "html", b"<!DOCTYPE html><html>login</html>" * 5
    yield "cut_early", good[:60]
    yield "no_root", pdf_of("<<>>", trailer="")
    yield "root_is_a_number", pdf_of("5")
    yield "pages_hold_themselves", pdf_of(ROOT, "<</Type/Pages/Kids[2 0 R]/Count 1>>")
    yield "pages_in_a_circle", pdf_of(ROOT, "<</Type/Pages/Kids[3 0 R]/Count 9>>", "<</Type/Pages/Kids[2 0 R]/Count 9>>")
    yield "no_pages", pdf_of(ROOT, "<</Type/Pages/Kids[]/Count 0>>")
    yield "10000_pages", pdf_of(ROOT, f"<</Type/Pages/Kids[{' '.join(many)}]/Count 10000>>", page, stream(b"BT ET"))
    yield "encrypted", pdf_of(ROOT, "<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream(b"BT ET"),
                              "<</Filter/Standard/V 2/R 3/Length 128/P -4/O<" + "41" * 32 + ">/U<" + "42" * 32 + ">>>",
                              trailer="/Root 1 0 R/Encrypt 5 0 R/ID[<00><00>]")
    yield "unknown_encryption", pdf_of(ROOT, "<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream(b"BT ET"), "<</Filter/Nobody/V 99>>",
                                       trailer="/Root 1 0 R/Encrypt 5 0 R")


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, body in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with z.open(info, "w", force_zip64=False) as f:
                for block in body if not isinstance(body, bytes) else [body]:
                    f.write(block)
    return out.getvalue()


def office():
    types = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    head = b'<?xml version="1.0"?>'
    laughs = b"<!DOCTYPE x [<!ENTITY a \"" + b"a" * 99 + b"\">" + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + b"]>"
    word = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
    spaces = [b" " * (1 << 20)] * 600
    yield "nothing.docx", b""
    yield "no_archive.docx", b"PK\3\4" + rng.randbytes(500)
    yield "zip_bomb.docx", archive({"[Content_Types].xml": types, "word/document.xml": [head, word, *spaces]})
    yield "zip_bomb.xlsx", archive({"[Content_Types].xml": types, "xl/workbook.xml": [head, *spaces]})
    yield "zip_bomb.pptx", archive({"[Content_Types].xml": types, "ppt/presentation.xml": [head, *spaces], "ppt/slides/slide1.xml": [head, *spaces]})
    yield "no_document.docx", archive({"[Content_Types].xml": types, "word/other.xml": head})
    yield "broken_xml.docx", archive({"[Content_Types].xml": types, "word/document.xml": head + word + b"<<<"})
    yield "entities.docx", archive({"[Content_Types].xml": types, "word/document.xml": head + laughs + word + b"&j;</w:t></w:r></w:p></w:body></w:document>"})
    outer = archive({"[Content_Types].xml": types, "word/document.xml": head})
    yield "directory_lost.docx", outer[:len(outer) // 2]
    lies = bytearray(outer)
    at = lies.rindex(b"PK\1\2")
    lies[at + 42:at + 46] = b"\xff\xff\xff\xff"
    yield "directory_lies.docx", bytes(lies)


def entries():
    for name, raw in pdf():
        yield Entry(f"pdf/{name}.pdf", "file", raw, 400)
    for name, raw in office():
        # Entities are never expanded: what is left is a document without a word.
        yield Entry(f"office/{name}", "file", raw, 200 if name == "entities.docx" else 400)
    for name in ("data.exe", "data.zip", "data.rar"):
        yield Entry(f"unknown/{name}", "file", {"exe": b"MZ", "zip": b"PK\3\4", "rar": b"Rar!\x1a\7"}[name[-3:]] + rng.randbytes(300), 400)
