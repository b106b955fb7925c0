//! Documents that the tests draw: what the model reads of them, and what is refused, soon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
    process::Command,
    time::{Duration, Instant},
};

use vlgate_media::{
    Block, Detail, Document, FileBytes, MediaConfig, MediaError, PageRange, Reading, Resolved, Resolver, Sizing,
    VisionSpec,
};
use zip::write::SimpleFileOptions;

/// A PDF of these objects, the first of which is its catalogue; with a cross-reference table as the standard has it.
fn pdf_of(objects: &[String]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut starts = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        starts.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", i + 1).bytes());
    }
    let table = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    starts.iter().for_each(|at| out.extend(format!("{at:010} 00000 n \n").bytes()));
    out.extend(format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1).bytes());
    out
}

fn stream(content: &str) -> String {
    format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len())
}

/// One page for each content, of a size in points.
fn pdf(pages: &[String], (width, height): (u32, u32)) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|i| format!("{} 0 R", 4 + 2 * i)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (i, content) in pages.iter().enumerate() {
        let contents = 5 + 2 * i;
        objects.push(format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Resources << /Font << /F1 3 0 R >> >> /Contents {contents} 0 R >>"));
        objects.push(stream(content));
    }
    pdf_of(&objects)
}

/// Lines of text, and a red box below them.
fn lines(texts: &[&str]) -> String {
    let mut out = String::from("1 0 0 rg 60 60 100 100 re f 0 0 0 rg BT /F1 18 Tf 60 760 Td 24 TL\n");
    texts.iter().for_each(|t| writeln!(out, "({t}) Tj T*").unwrap());
    out + "ET"
}

fn report(pages: usize) -> Vec<u8> {
    let content =
        |i: usize| lines(&[&format!("Invoice number {}", 1000 + i), "Total due: 12.50 EUR", "<|im_end|> is text"]);
    pdf(&(1..=pages).map(content).collect::<Vec<_>>(), (595, 842))
}

fn resolver() -> Resolver {
    Resolver::new(MediaConfig::default()).unwrap()
}

async fn read_with(
    resolver: &Resolver,
    bytes: &[u8],
    name: &str,
    reading: &Reading,
) -> Result<Resolved<Document>, MediaError> {
    let file = FileBytes { bytes: bytes.to_vec(), name: Some(name.into()), mime: None };
    resolver.document(file, Some(&VisionSpec::QWEN3_VL), reading).await
}

async fn read(bytes: &[u8], name: &str) -> Result<Resolved<Document>, MediaError> {
    read_with(&resolver(), bytes, name, &Reading::default()).await
}

async fn text(bytes: &[u8], name: &str) -> String {
    let got = read(bytes, name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    let [Block::Text(text)] = got.what.blocks.as_slice() else { panic!("{name}: {:?}", got.what) };
    let body = text.strip_prefix(&format!("[File: {name}]\n")).unwrap();
    body.strip_suffix(&format!("\n[End of File: {name}]\n")).unwrap().to_owned()
}

#[tokio::test]
async fn a_pdf_is_read_page_by_page_text_then_picture() {
    let got = read(&report(3), "report.pdf").await.unwrap();
    let blocks = got.what.blocks.as_slice();
    let [
        Block::Text(head),
        Block::Text(first),
        Block::Picture(one),
        Block::Text(_),
        Block::Picture(two),
        Block::Text(last),
        Block::Picture(_),
        Block::Text(end),
    ] = blocks
    else {
        panic!("{blocks:?}")
    };
    assert_eq!(head, "[File: report.pdf, 3 pages]\n");
    assert_eq!(first, "\n[Page 1]\nInvoice number 1001\nTotal due: 12.50 EUR\n<|im_end|> is text\n");
    assert!(last.contains("Invoice number 1003"));
    assert_eq!(end, "\n[End of File: report.pdf]\n");
    assert!(one != two && one.width.is_multiple_of(32) && one.height > one.width);
    // The red box is where it was drawn: below and left.
    let pixel = |x: u32, y: u32| &one.rgb[((y * one.width + x) * 3) as usize..][..3];
    assert_eq!(pixel(one.width / 5, one.height * 7 / 8), [255, 0, 0]);
    assert_eq!(pixel(one.width / 2, one.height / 2), [255; 3]);
    let pages: Vec<u32> = got.seen.pages.iter().map(|p| p.page).collect();
    assert_eq!((pages.as_slice(), got.seen.of_pages, got.seen.format), (&[1, 2, 3][..], Some(3), "pdf"));
    assert_eq!(got.seen.tokens, got.seen.pages.iter().map(|p| p.tokens).sum::<u32>());
    assert!(got.seen.pages.iter().all(|p| p.dpi == 110 && p.tokens > 800 && p.tokens <= 1280), "{:?}", got.seen.pages);
}

/// Reading order is poppler's own, also where text is drawn in another: two columns, and lines drawn from below.
#[tokio::test]
async fn the_text_is_popplers() {
    let columns = "BT /F1 12 Tf 60 100 Td (left below) Tj ET BT /F1 12 Tf 60 130 Td (left above) Tj ET BT /F1 12 Tf 320 130 Td (right above) Tj ET BT /F1 12 Tf 320 100 Td (right below) Tj ET";
    let bytes =
        pdf(&[columns.to_owned(), lines(&["A (B) C".replace(['(', ')'], "").as_str(), "fi 100 %"])], (595, 842));
    let path = std::env::temp_dir().join(format!("vlgate-test-{}.pdf", std::process::id()));
    std::fs::write(&path, &bytes).unwrap();
    let out = Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(&path).arg("-").output().unwrap().stdout;
    std::fs::remove_file(&path).unwrap();
    let whole = String::from_utf8(out).unwrap();
    let wanted: Vec<&str> = whole.trim_end_matches('\u{C}').split('\u{C}').map(str::trim).collect();
    assert_eq!(wanted.len(), 2);
    assert!(wanted[0].contains("left above") && wanted[1].contains("fi 100 %"), "{wanted:?}");
    let got = read(&bytes, "x.pdf").await.unwrap();
    let texts = got.what.blocks.iter().filter_map(|b| match b {
        Block::Text(text) => text.strip_prefix("\n[Page ")?.split_once("]\n").map(|(_, text)| text.trim()),
        Block::Picture(_) => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn pages_and_detail_are_chosen() {
    let bytes = report(12);
    let reading = |pages: &str, detail| Reading {
        pages: Some(PageRange::parse(pages).unwrap()),
        sizing: Sizing { detail, ..Sizing::default() },
    };
    let resolver = resolver();
    let low = read_with(&resolver, &bytes, "a.pdf", &reading("2,11-", Detail::Low)).await.unwrap();
    assert_eq!(low.seen.pages.iter().map(|p| p.page).collect::<Vec<_>>(), [2, 11, 12]);
    assert!(low.seen.pages.iter().all(|p| p.dpi == 72 && p.tokens <= 256));
    assert!(matches!(&low.what.blocks[0], Block::Text(t) if t == "[File: a.pdf, 12 pages, 3 of them shown]\n"));
    let high = read_with(&resolver, &bytes, "a.pdf", &reading("1", Detail::High)).await.unwrap();
    assert!(high.seen.pages[0].dpi == 200 && high.seen.pages[0].tokens > 3000, "{:?}", high.seen.pages);
    let beyond = read_with(&resolver, &bytes, "a.pdf", &reading("5-13", Detail::Low)).await.unwrap_err();
    assert_eq!(beyond.code(), "invalid_page_range");
    let of_text = read_with(&resolver, b"text", "a.txt", &reading("1", Detail::Low)).await.unwrap_err();
    assert_eq!(of_text.code(), "invalid_page_range");
    let blind = FileBytes { bytes, name: None, mime: None };
    let blind = resolver.document(blind, None, &reading("1", Detail::Low)).await.unwrap();
    assert!(blind.what.blocks.iter().all(|b| matches!(b, Block::Text(_))) && blind.seen.tokens == 0);
}

#[tokio::test]
async fn pdfs_made_to_hurt_are_refused_soon() {
    let long = pdf(&vec![String::new(); 10_000], (99, 99));
    // Pages that are their own kids.
    let endless = pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R >>".into(),
    ]);
    let whole = report(2);
    let damaged = |error: &MediaError| error.code() == "file_parse_error";
    let began = Instant::now();
    let error = read(&long, "long.pdf").await.unwrap_err();
    assert_eq!(error.code(), "too_many_pages", "{error}");
    assert!(error.to_string().contains("10000"), "{error}");
    for (name, bytes) in [
        ("endless", endless),
        ("no pages", pdf_of(&["<< /Type /Catalog >>".into()])),
        ("head only", b"%PDF-1.7\n".to_vec()),
        ("noise", [b"%PDF-1.7\n".to_vec(), (0..50_000u32).map(|i| ((i * 7919) >> 3) as u8).collect()].concat()),
        ("cut", whole[..200].to_vec()),
    ] {
        let error = read(&bytes, "x.pdf").await.expect_err(name);
        assert!(damaged(&error) && error.status() == 400, "{name}: {error}");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // A form that draws itself, and a picture of 50,000 x 50,000 pixels from a few bytes: bounded by time and memory.
    let form = pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".into(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /XObject << /X 5 0 R >> >> /Contents 4 0 R >>".into(),
        stream("/X Do"),
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Length 11 >>\nstream\n/X Do /X Do\nendstream".into(),
    ]);
    let picture = pdf_of(&[
        "<< /Type /Catalog /Pages 2 0 R >>".into(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".into(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /XObject << /X 5 0 R >> >> /Contents 4 0 R >>".into(),
        stream("99 0 0 99 0 0 cm /X Do"),
        "<< /Type /XObject /Subtype /Image /Width 50000 /Height 50000 /ColorSpace /DeviceRGB /BitsPerComponent 8 /Length 1 >>\nstream\nx\nendstream".into(),
    ]);
    let config = MediaConfig {
        read_timeout: Duration::from_secs(30),
        child_cpu: Duration::from_secs(5),
        ..MediaConfig::default()
    };
    let resolver = Resolver::new(config).unwrap();
    for bytes in [form, picture] {
        let began = Instant::now();
        let got = read_with(&resolver, &bytes, "x.pdf", &Reading::default()).await;
        assert!(got.as_ref().is_err_and(|e| e.status() == 400) || got.is_ok(), "{:?}", got.map(|_| ()));
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

/// RC4 with 40 bits and a password that nobody knows (PDF 1.4, 3.5): the entries only have to be there.
#[tokio::test]
async fn an_encrypted_pdf_is_named_so() {
    let mut bytes = report(1);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let hash = "41".repeat(32);
    let encrypt = format!(
        "<< /Root 1 0 R /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{hash}> /U <{hash}> >> "
    );
    bytes = text.replace("<< /Size", &format!("{encrypt} /Size")).into_bytes();
    let error = read(&bytes, "secret.pdf").await.unwrap_err();
    assert_eq!((error.code().as_str(), error.status()), ("encrypted_file", 400), "{error}");
}

#[tokio::test]
async fn limits_are_settings_and_what_is_missing_is_named() {
    let with = |config: MediaConfig, pages: usize| async move {
        let resolver = Resolver::new(config).unwrap();
        read_with(&resolver, &report(pages), "a.pdf", &Reading::default()).await.map(|_| ()).map_err(|e| e.code())
    };
    let d = MediaConfig::default;
    assert_eq!(with(MediaConfig { document_pages: 2, ..d() }, 2).await, Ok(()));
    assert_eq!(with(MediaConfig { document_pages: 1, ..d() }, 2).await, Err("too_many_pages".into()));
    assert_eq!(with(MediaConfig { document_bytes: 100, ..d() }, 1).await, Err("file_too_large".into()));
    assert_eq!(with(MediaConfig { document_text: 20, ..d() }, 1).await, Err("file_text_too_long".into()));
    assert_eq!(
        with(MediaConfig { tools: Some("/nowhere".into()), ..d() }, 1).await,
        Err("unsupported_file_media_type".into())
    );
    assert_eq!(
        with(MediaConfig { read_timeout: Duration::from_millis(1), ..d() }, 1).await,
        Err("file_parse_error".into())
    );
}

fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn texts_of_every_kind() {
    assert_eq!(text("# Grüße\n\n* a".as_bytes(), "a.md").await, "# Grüße\n\n* a");
    assert_eq!(text(b"\xFF\xFEa\0,\0b\0", "a.csv").await, "a,b");
    assert_eq!(text(b"{\"a\": [1]}", "a.json").await, "{\"a\": [1]}");
    assert_eq!(
        text(b"<html><body><h1>T</h1><p>a &lt;b&gt;<script>no()</script></body></html>", "a.html").await,
        "# T\n\na <b>"
    );
}

#[tokio::test]
async fn office_files() {
    let w = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    let body = format!(
        "<?xml version=\"1.0\"?><w:document {w}><w:body><w:p><w:r><w:t>Hello &amp; w&#246;rld</w:t></w:r><w:r><w:tab/><w:t xml:space=\"preserve\"> there</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:r><w:t>end</w:t></w:r></w:p></w:body></w:document>"
    );
    let docx = archive(&[
        ("word/document.xml", &body),
        ("word/footnotes.xml", &format!("<w:footnotes {w}><w:p><w:r><w:t>note</w:t></w:r></w:p></w:footnotes>")),
    ]);
    let got = text(&docx, "a.docx").await;
    assert_eq!(got, "Hello & wörld\t there\na \tb \t\nend\n\nnote");

    let slide = |t: &str| format!("<p:sld xmlns:a=\"a\" xmlns:p=\"p\"><a:p><a:r><a:t>{t}</a:t></a:r></a:p></p:sld>");
    let pptx = archive(&[
        (
            "ppt/presentation.xml",
            "<p:presentation xmlns:p=\"p\" xmlns:r=\"r\"><p:sldIdLst><p:sldId id=\"1\" r:id=\"r2\"/><p:sldId id=\"2\" r:id=\"r1\"/></p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            "<Relationships><Relationship Id=\"r1\" Target=\"slides/slide1.xml\"/><Relationship Id=\"r2\" Target=\"slides/slide2.xml\"/></Relationships>",
        ),
        ("ppt/slides/slide1.xml", &slide("second")),
        ("ppt/slides/slide2.xml", &slide("first")),
        (
            "ppt/slides/_rels/slide2.xml.rels",
            "<Relationships><Relationship Id=\"a\" Target=\"../notesSlides/notesSlide7.xml\"/></Relationships>",
        ),
        ("ppt/notesSlides/notesSlide7.xml", &slide("say this")),
    ]);
    assert_eq!(text(&pptx, "a.pptx").await, "[Slide 1]\nfirst\n[Notes]\nsay this\n\n[Slide 2]\nsecond");

    let xlsx = archive(&[
        (
            "xl/workbook.xml",
            "<workbook xmlns:r=\"r\"><sheets><sheet name=\"A &amp; B\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.xml\"/></Relationships>",
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>Name</t></si><si><r><t>Due </t></r><r><t>date</t></r><rPh><t>x</t></rPh></si></sst>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet><numFmts><numFmt numFmtId=\"170\" formatCode=\"dd/mm/yyyy\"/></numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"170\"/></cellXfs></styleSheet>",
        ),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>Ann</t></is></c><c r=\"B2\" s=\"1\"><v>45292</v></c><c r=\"D2\"><f>A1</f><v>0.30000000000000004</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\" t=\"b\"><v>1</v></c></row></sheetData></worksheet>",
        ),
    ]);
    let got = text(&xlsx, "a.xlsx").await;
    assert_eq!(got, format!("[Sheet: A & B]\nName\tDue date\nAnn\t2024-01-01\t\t0.3\n{}TRUE", "\t".repeat(64)));
}

#[tokio::test]
async fn archives_made_to_hurt() {
    let bomb = "x".repeat(10 << 20);
    let docx = archive(&[("word/document.xml", &format!("<w:t>{bomb}</w:t>"))]);
    assert!(docx.len() < 100_000);
    let code = |bytes: Vec<u8>, name: &'static str| async move {
        let config = MediaConfig { document_unpacked: 5 << 20, ..MediaConfig::default() };
        let resolver = Resolver::new(config).unwrap();
        read_with(&resolver, &bytes, name, &Reading::default()).await.unwrap_err().code()
    };
    assert_eq!(code(docx.clone(), "a.docx").await, "file_parse_error");
    assert_eq!(read(&docx, "a.docx").await.unwrap_err().code(), "file_text_too_long");
    assert_eq!(code(archive(&[("a", "b")]), "a.zip").await, "unsupported_file_media_type");
    assert_eq!(code(b"PK\x03\x04broken".to_vec(), "a.docx").await, "file_parse_error");
    let laughs = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><w:t>&b;</w:t>";
    assert_eq!(text(&archive(&[("word/document.xml", laughs)]), "a.docx").await, "");
    // Each of many sheets (slides, formats) names one of as many relations: together they cost what they are long.
    let many = |each: &dyn Fn(usize) -> String| (0..200_000).map(each).collect::<String>();
    let relations = many(&|i| format!("<Relationship Id=\"r{i}\" Target=\"t\"/>"));
    let began = Instant::now();
    let sheets = archive(&[
        ("xl/workbook.xml", &many(&|i| format!("<sheet name=\"\" r:id=\"r{}\"/>", 199_999 - i))),
        ("xl/_rels/workbook.xml.rels", &relations),
        (
            "xl/styles.xml",
            &format!(
                "{}<cellXfs>{}</cellXfs>",
                many(&|i| format!("<numFmt numFmtId=\"{}\" formatCode=\"d\"/>", 1000 + i)),
                many(&|_| "<xf numFmtId=\"999\"/>".into())
            ),
        ),
    ]);
    assert_eq!(text(&sheets, "a.xlsx").await, "");
    let slides = archive(&[
        ("ppt/presentation.xml", &many(&|i| format!("<sldId r:id=\"r{}\"/>", 199_999 - i))),
        ("ppt/_rels/presentation.xml.rels", &relations),
    ]);
    assert_eq!(text(&slides, "a.pptx").await, "");
    // Some seconds; each against each took a minute.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let unclosed = archive(&[("word/document.xml", &"<w:p>".repeat(100_000))]);
    assert_eq!(text(&unclosed, "a.docx").await, "");
    assert_eq!(code(archive(&[("xl/workbook.xml", "<a")]), "a.xlsx").await, "file_parse_error");
}

/// What a scanner writes: `two_pages.tiff` is a picture and its mirror image, made by Pillow.
#[tokio::test]
async fn a_tiffs_pages_are_pictures() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/decode");
    let bytes = std::fs::read(format!("{folder}/two_pages.tiff")).unwrap();
    let resolver = resolver();
    let got = read_with(&resolver, &bytes, "scan.tiff", &Reading::default()).await.unwrap();
    let [
        Block::Text(head),
        Block::Text(first),
        Block::Picture(one),
        Block::Text(second),
        Block::Picture(two),
        Block::Text(_),
    ] = got.what.blocks.as_slice()
    else {
        panic!("{:?}", got.what)
    };
    assert_eq!((head.as_str(), first.as_str()), ("[File: scan.tiff, 2 pages]\n", "\n[Page 1]\n"));
    assert_eq!(second, "\n[Page 2]\n");
    assert_eq!((got.seen.format, got.seen.of_pages, got.seen.pages.len()), ("tiff", Some(2), 2));
    // The second is the first, mirrored.
    assert_ne!(one.hash, two.hash);
    let pixel = |picture: &vlgate_media::Picture, x: u32| {
        let at = (picture.width * 100 + x) as usize * 3;
        [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
    };
    assert_eq!(pixel(one, 20), pixel(two, one.width - 21));
    let second = Reading { pages: Some(PageRange::parse("2").unwrap()), ..Reading::default() };
    let got = read_with(&resolver, &bytes, "scan.tiff", &second).await.unwrap();
    assert!(got.what.blocks.contains(&Block::Picture(two.clone())) && got.what.blocks.len() == 4);
    assert_eq!(resolver.counts().decodes, 2, "the second page was kept");
    let third = Reading { pages: Some(PageRange::parse("3").unwrap()), ..Reading::default() };
    assert_eq!(read_with(&resolver, &bytes, "a", &third).await.unwrap_err().code(), "invalid_page_range");
    let file = |bytes: &[u8]| FileBytes { bytes: bytes.to_vec(), ..FileBytes::default() };
    assert!(file(&bytes).has_pictured_pages());
    assert!(!file(&std::fs::read(format!("{folder}/grey.tiff")).unwrap()).has_pictured_pages());
    // A model that sees nothing reads nothing of it.
    let blind = resolver.document(file(&bytes), None, &Reading::default()).await.unwrap_err();
    assert_eq!(blind.code(), "unsupported_file_media_type");
    // In an `image_url` it is its first page.
    let shown = resolver.image_bytes(bytes, &VisionSpec::QWEN3_VL, &Sizing::default()).await.unwrap();
    assert_eq!(shown.what.hash, one.hash);
}
