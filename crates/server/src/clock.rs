//! Time stamps as people write them: the model's `<12.5 seconds>` becomes `00:12` in the answer, also where it comes in
//! pieces.

use futures::{StreamExt, stream};
use vlgate_engine::{Event, EventStream, TokenLogprob};

/// What stands behind the number.
const UNIT: &str = " seconds>";
/// Digits and the point of a number; a longer one is no time.
const NUMBER: usize = 12;

/// The same events with the stamps of their text rewritten. Log-probabilities stay those of the model's own tokens.
pub fn clocked(events: EventStream) -> EventStream {
    let mut clock = Clock::default();
    events
        .flat_map(move |event| {
            let mut out = Vec::with_capacity(2);
            match event {
                Ok(Event::Text { delta, logprobs }) => out.push(Ok(text(clock.push(&delta), logprobs))),
                other => {
                    let held = clock.finish();
                    if !held.is_empty() {
                        out.push(Ok(text(held, Vec::new())));
                    }
                    out.push(other);
                }
            }
            stream::iter(out)
        })
        .filter(|event| {
            let empty = matches!(event, Ok(Event::Text { delta, logprobs }) if delta.is_empty() && logprobs.is_empty());
            std::future::ready(!empty)
        })
        .boxed()
}

const fn text(delta: String, logprobs: Vec<TokenLogprob>) -> Event {
    Event::Text { delta, logprobs }
}

/// Holds back what may yet become a stamp.
#[derive(Debug, Default)]
struct Clock {
    held: String,
}

/// What a text is that begins with `<`.
enum Stamp {
    /// Seconds, and the bytes that say so.
    Whole(f64, usize),
    /// The beginning of one.
    Begun,
    None,
}

impl Clock {
    fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let mut out = String::new();
        let mut rest = self.held.as_str();
        while let Some(at) = rest.find('<') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            match stamp(from) {
                Stamp::Begun => {
                    self.held = from.to_owned();
                    return out;
                }
                Stamp::Whole(seconds, bytes) => {
                    out.push_str(&time(seconds));
                    rest = from.get(bytes..).unwrap_or_default();
                }
                Stamp::None => {
                    out.push('<');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        out.push_str(rest);
        self.held.clear();
        out
    }

    fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

fn stamp(text: &str) -> Stamp {
    let body = text.get(1..).unwrap_or_default();
    let digits = body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
    let (number, unit) = body.split_at(digits);
    if number.len() > NUMBER {
        return Stamp::None;
    }
    match number.parse::<f64>() {
        Ok(seconds) if unit.starts_with(UNIT) => Stamp::Whole(seconds, 1 + number.len() + UNIT.len()),
        Ok(_) if UNIT.starts_with(unit) => Stamp::Begun,
        _ if body.is_empty() => Stamp::Begun,
        _ => Stamp::None,
    }
}

/// Whole seconds, as a player shows them: `02:07`, `1:00:00`.
fn time(seconds: f64) -> String {
    let all = seconds as u64;
    let (h, m, s) = (all / 3600, all / 60 % 60, all % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m:02}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> String {
        let mut clock = Clock::default();
        let mut out: String = pieces.iter().map(|p| clock.push(p)).collect();
        out.push_str(&clock.finish());
        out
    }

    #[test]
    fn stamps_become_times_wherever_they_are_cut() {
        let text = "é <0.5 seconds> to <127.9 seconds>, <3600 seconds>; a < b, <5 minutes> <x> <12 sec";
        let wanted = "é 00:00 to 02:07, 1:00:00; a < b, <5 minutes> <x> <12 sec";
        assert_eq!(all(&[text]), wanted);
        for cut in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
            let (a, b) = text.split_at(cut);
            assert_eq!(all(&[a, b]), wanted, "cut at {cut}");
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(all(&letters.iter().map(String::as_str).collect::<Vec<_>>()), wanted);
    }

    #[test]
    fn nothing_is_held_that_cannot_become_a_stamp() {
        let mut clock = Clock::default();
        assert_eq!(clock.push("<<1.2.3 seconds><1234567890123"), "<<1.2.3 seconds><1234567890123");
        assert_eq!(clock.push("<12."), "");
        assert_eq!(clock.push("5 s"), "");
        assert_eq!(clock.push("!"), "<12.5 s!");
    }

    #[tokio::test]
    async fn what_was_held_comes_before_the_end() {
        use vlgate_engine::{FinishReason, Timings, Usage};
        let piece = |t: &str| Ok(text(t.to_owned(), Vec::new()));
        let end =
            Event::Finished { reason: FinishReason::Length, usage: Usage::default(), timings: Timings::default() };
        let events: EventStream =
            stream::iter(vec![piece("at <6"), piece("1 seconds> and <2"), Ok(end.clone())]).boxed();
        let got: Vec<Event> = clocked(events).map(Result::unwrap).collect().await;
        let wanted = ["at ", "01:01 and ", "<2"].map(|t| text(t.to_owned(), Vec::new()));
        assert_eq!(got, wanted.into_iter().chain([end]).collect::<Vec<_>>());
    }
}
