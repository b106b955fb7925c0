//! HTML as text: what a reader would see, in order; nothing is loaded, run or nested into a tree.

use html5gum::{Token, Tokenizer};

use super::text::Out;
use crate::MediaError;

/// Elements of which nothing is shown.
const HIDDEN: [&[u8]; 8] = [b"script", b"style", b"head", b"template", b"noscript", b"svg", b"iframe", b"object"];
/// Elements that stand on lines of their own.
const LINES: [&[u8]; 11] =
    [b"br", b"tr", b"li", b"dt", b"dd", b"div", b"option", b"figcaption", b"caption", b"summary", b"address"];
/// Elements with an empty line around them.
const PARAGRAPHS: [&[u8]; 20] = [
    b"p",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"ul",
    b"ol",
    b"dl",
    b"table",
    b"blockquote",
    b"pre",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"main",
    b"form",
    b"hr",
];

/// Writes the text of a page.
///
/// # Errors
/// [`MediaError::TooMuchText`].
pub fn html(page: &str, out: &mut Out) -> Result<(), MediaError> {
    // Inside a hidden element: its name, and how deep in elements of the same name.
    let mut hidden: Option<(Vec<u8>, usize)> = None;
    let (mut preformatted, mut space) = (0usize, false);
    for token in Tokenizer::new(page) {
        let Ok(token) = token;
        match (token, &mut hidden) {
            (Token::StartTag(tag), Some((name, depth))) if *tag.name == *name => {
                *depth += usize::from(!tag.self_closing)
            }
            (Token::EndTag(tag), Some((name, depth))) if *tag.name == *name => {
                *depth -= 1;
                if *depth == 0 {
                    hidden = None;
                }
            }
            (_, Some(_)) => {}
            (Token::StartTag(tag), None) => {
                let name: &[u8] = &tag.name;
                if HIDDEN.contains(&name) && !tag.self_closing {
                    hidden = Some((name.to_vec(), 1));
                    continue;
                }
                preformatted += usize::from(name == b"pre");
                space &= !between(name, out)?;
                match name {
                    b"li" => out.push("- ")?,
                    [b'h', level @ b'1'..=b'6'] => {
                        out.push(&"#".repeat(usize::from(level - b'0')))?;
                        out.push(" ")?;
                    }
                    b"img" => {
                        let alt = tag.attributes.get(&b"alt"[..]).map(|alt| String::from_utf8_lossy(alt).into_owned());
                        if let Some(alt) = alt.filter(|alt| !alt.trim().is_empty()) {
                            out.push(&format!("[{}]", alt.trim()))?;
                        }
                    }
                    _ => {}
                }
            }
            (Token::EndTag(tag), None) => {
                let name: &[u8] = &tag.name;
                preformatted = preformatted.saturating_sub(usize::from(name == b"pre"));
                space &= !between(name, out)?;
                if matches!(name, b"td" | b"th") {
                    out.push("\t")?;
                }
            }
            (Token::String(text), None) => {
                let text = String::from_utf8_lossy(&text);
                if preformatted > 0 {
                    out.push(&text)?;
                } else {
                    flowing(&text, &mut space, out)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Begins a line or a paragraph where the element does.
fn between(name: &[u8], out: &mut Out) -> Result<bool, MediaError> {
    if PARAGRAPHS.contains(&name) {
        out.paragraph()?;
    } else if LINES.contains(&name) {
        out.line()?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Text whose white space is one blank, none at the beginning of a line.
fn flowing(text: &str, space: &mut bool, out: &mut Out) -> Result<(), MediaError> {
    *space |= text.starts_with(|c: char| c.is_ascii_whitespace());
    for word in text.split_ascii_whitespace() {
        let begun = out.so_far().ends_with(['\n', '\t', ' ']) || out.so_far().is_empty();
        if *space && !begun {
            out.push(" ")?;
        }
        out.push(word)?;
        *space = true;
    }
    *space = text.ends_with(|c: char| c.is_ascii_whitespace()) || (*space && text.trim_ascii().is_empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &str) -> String {
        let mut out = Out::new(100_000);
        html(page, &mut out).unwrap();
        out.done()
    }

    #[test]
    fn what_a_reader_sees() {
        let page = "<!doctype html><html><head><title>t</title><style>p{}</style></head><body>
            <h1>The  <b>big</b>\n title</h1><script>if (a < b) alert('<p>no</p>')</script>
            <p>Caf&eacute; &lt;b&gt; &amp; more<br>next</p><ul><li>one<li>two</ul>
            <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><pre>x
  y</pre><img alt='A chart' src=http://x/>end</body></html>";
        let wanted =
            "# The big title\n\nCafé <b> & more\nnext\n\n- one\n- two\n\na\tb\t\n1\t2\t\n\nx\n  y\n\n[A chart]end";
        assert_eq!(text(page), wanted);
    }

    #[test]
    fn depth_and_damage_cost_nothing() {
        assert_eq!(text(&"<div>".repeat(100_000)), "");
        // A browser reads the same: an element named "scr<script", and then text.
        assert_eq!(text("<p>a<scr<script>x"), "ax");
        assert_eq!(text("a<svg><svg></svg>b</svg>c"), "ac");
    }
}
