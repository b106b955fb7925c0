//! From tokens to text: whole UTF-8 characters as they come, and stop texts held back until they are certain.

use tokenizers::Tokenizer;

/// Marks that are part of what a model says, also where its tokenizer calls them special.
const MARKS: [&str; 4] = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

/// Turns a job's tokens into text.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// Tokens before this one are shown; they stay for the decoder's context.
    shown: usize,
    /// First token of the window that is decoded.
    window: usize,
    /// Marks that the decoder would leave out.
    marks: Vec<(u32, &'static str)>,
}

impl<'a> TextStream<'a> {
    /// A stream before its first token.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder();
        let special = |mark: &'static str| {
            let id = tokenizer.token_to_id(mark)?;
            added.get(&id).is_some_and(|t| t.special).then_some((id, mark))
        };
        Self { tokenizer, ids: Vec::new(), shown: 0, window: 0, marks: MARKS.into_iter().filter_map(special).collect() }
    }

    /// Takes a token. Decodes a window of the last tokens only, so that a long answer costs no more per token.
    pub fn push(&mut self, id: u32) -> String {
        if let Some((_, mark)) = self.marks.iter().copied().find(|m| m.0 == id) {
            let text = self.finish() + mark;
            self.ids.clear();
            (self.shown, self.window) = (0, 0);
            return text;
        }
        self.ids.push(id);
        let old = self.decode(self.window, self.shown);
        let new = self.decode(self.window, self.ids.len());
        // A broken character at the end: wait for its other bytes.
        if new.ends_with('\u{FFFD}') && self.ids.len() - self.shown < 8 {
            return String::new();
        }
        let text = new.strip_prefix(old.as_str()).unwrap_or_default().to_owned();
        self.window = self.shown;
        self.shown = self.ids.len();
        text
    }

    /// The text that is left when the job ended by itself.
    pub fn finish(&mut self) -> String {
        let old = self.decode(self.window, self.shown);
        let new = self.decode(self.window, self.ids.len());
        self.shown = self.ids.len();
        new.strip_prefix(old.as_str()).unwrap_or_default().to_owned()
    }

    fn decode(&self, from: usize, to: usize) -> String {
        let ids = self.ids.get(from..to).unwrap_or_default();
        self.tokenizer.decode(ids, true).unwrap_or_default()
    }
}

/// Texts that end an answer and are never shown.
#[derive(Debug, Default)]
pub struct Stops {
    /// Text that may yet turn out to be part of a stop text.
    held: String,
    stop: Vec<String>,
}

/// What text gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text to show; may be empty.
    Text(String),
    /// A stop text was met: the last text to show, and which it was.
    Stopped(String, String),
}

impl Stops {
    /// Empty texts stop nothing.
    #[must_use]
    pub fn new(stop: Vec<String>) -> Self {
        Self { held: String::new(), stop: stop.into_iter().filter(|s| !s.is_empty()).collect() }
    }

    /// Takes more text.
    pub fn admit(&mut self, text: &str) -> Piece {
        self.held.push_str(text);
        let met = self.stop.iter().filter_map(|s| self.held.find(s.as_str()).map(|at| (at, s))).min_by_key(|m| m.0);
        if let Some((at, stop)) = met {
            let stop = stop.clone();
            self.held.truncate(at);
            return Piece::Stopped(std::mem::take(&mut self.held), stop);
        }
        // The longest end of the text that is the beginning of a stop text stays back.
        let keep = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                let tail = self.held.get(*at..).unwrap_or_default();
                self.stop.iter().any(|s| s.starts_with(tail))
            })
            .unwrap_or(self.held.len());
        let rest = self.held.split_off(keep);
        Piece::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back and is no stop text after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// A single token's bytes: byte-level BPE maps each byte to a printable character (GPT-2's table).
#[must_use]
pub fn token_bytes(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let Some(token) = tokenizer.id_to_token(id) else { return Vec::new() };
    if tokenizer.get_added_tokens_decoder().contains_key(&id) {
        return token.into_bytes();
    }
    plain_bytes(&token)
}

/// The bytes that a token stands for which is not an added one.
pub fn plain_bytes(token: &str) -> Vec<u8> {
    token.chars().flat_map(|c| byte_of(c).map_or_else(|| c.to_string().into_bytes(), |b| vec![b])).collect()
}

fn byte_of(c: char) -> Option<u8> {
    let printable = |b: u32| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let code = c as u32;
    if printable(code) {
        return u8::try_from(code).ok();
    }
    let nth = code.checked_sub(256)?;
    (0u32..256).filter(|b| !printable(*b)).nth(nth as usize).and_then(|b| u8::try_from(b).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(stop: &[&str]) -> Stops {
        Stops::new(stop.iter().map(|s| (*s).to_owned()).collect())
    }

    #[test]
    fn a_stop_text_is_found_over_any_split_and_never_shown() {
        let text = "héllo STOP world";
        for cut in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
            let mut s = stops(&["STOP", "or"]);
            let mut shown = String::new();
            let mut stopped = None;
            for piece in [&text[..cut], &text[cut..]] {
                match s.admit(piece) {
                    Piece::Text(x) => shown.push_str(&x),
                    Piece::Stopped(x, stop) => {
                        shown.push_str(&x);
                        stopped = Some(stop);
                        break;
                    }
                }
            }
            assert_eq!((shown.as_str(), stopped.as_deref()), ("héllo ", Some("STOP")), "cut at {cut}");
        }
    }

    #[test]
    fn what_only_looked_like_a_stop_text_is_shown_in_the_end() {
        let mut s = stops(&["STOP"]);
        assert_eq!(s.admit("a ST"), Piece::Text("a ".into()));
        assert_eq!(s.admit("x"), Piece::Text("STx".into()));
        assert_eq!(s.admit(" STO"), Piece::Text(" ".into()));
        assert_eq!(s.finish(), "STO");
    }

    #[test]
    fn the_byte_table_is_gpt2s() {
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('a'), Some(b'a'));
        assert_eq!(byte_of('Ń'), Some(0xAD));
    }
}
