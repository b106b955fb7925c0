//! What a model says is taken apart the same way wherever it is cut.

use super::{Speech, Utterance};

/// All that was said, with neighbouring pieces of the same kind joined.
fn whole(pieces: &[&str], thinking: bool, tools: bool) -> Vec<Utterance> {
    let mut speech = Speech::new(thinking, true, tools);
    let mut all: Vec<Utterance> = Vec::new();
    let said: Vec<Utterance> = pieces.iter().flat_map(|p| speech.push(p)).collect();
    for utterance in said.into_iter().chain(speech.finish()) {
        match (all.last_mut(), utterance) {
            (Some(Utterance::Text(a)), Utterance::Text(b))
            | (Some(Utterance::Reasoning(a)), Utterance::Reasoning(b)) => a.push_str(&b),
            (Some(Utterance::Arguments { index: i, delta: a }), Utterance::Arguments { index: j, delta: b })
                if *i == j =>
            {
                a.push_str(&b)
            }
            (_, other) => all.push(other),
        }
    }
    all
}

fn text(t: &str) -> Utterance {
    Utterance::Text(t.into())
}

fn thought(t: &str) -> Utterance {
    Utterance::Reasoning(t.into())
}

fn call(index: u32, name: &str, arguments: &str) -> [Utterance; 2] {
    [Utterance::Call { index, name: name.into() }, Utterance::Arguments { index, delta: arguments.into() }]
}

/// What is said, whether the prompt opened `<think>`, and what it means.
fn samples() -> Vec<(&'static str, bool, Vec<Utterance>)> {
    let one = |u: Utterance| vec![u];
    vec![
        ("", false, vec![]),
        ("Hello, wörld 🦀", false, one(text("Hello, wörld 🦀"))),
        ("a < b, <tool, </tool_call> <b>", false, one(text("a < b, <tool, </tool_call> <b>"))),
        (
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
            false,
            call(0, "f", "{\"a\": 1}").into(),
        ),
        (
            "Let me look.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n",
            false,
            [vec![text("Let me look.")], call(0, "f", "{}").into()].concat(),
        ),
        (
            "<tool_call>{\"arguments\":{\"s\":\"</tool_call> \\\"}{\",\"l\":[{},[1]]},\"name\":\"g_é\"}</tool_call>",
            false,
            call(0, "g_é", "{\"s\":\"</tool_call> \\\"}{\",\"l\":[{},[1]]}").into(),
        ),
        (
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"ü\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>",
            false,
            [call(0, "f", "{\"x\": \"ü\"}"), call(1, "g", "{}")].concat(),
        ),
        (
            "<tool_call>{\"name\":\"f\",\"arguments\":{}}<tool_call>{\"name\":\"g\",\"arguments\":{}}",
            false,
            [call(0, "f", "{}"), call(1, "g", "{}")].concat(),
        ),
        ("<tool_call>{\"name\": \"f\"}</tool_call>", false, call(0, "f", "{}").into()),
        ("<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", false, call(0, "f", "{}").into()),
        (
            "<tool_call>{\"name\": \"f\", \"id\": 7, \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
            false,
            call(0, "f", "{\"a\": 1}").into(),
        ),
        // Half a call whose head was certain stays a call; what was not certain becomes text in the end.
        (
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"cut he",
            false,
            call(0, "f", "{\"a\": \"cut he").into(),
        ),
        ("so: <tool_call>\n{\"name\": \"f\", \"argum", false, one(text("so:<tool_call>\n{\"name\": \"f\", \"argum"))),
        ("<tool_c", false, one(text("<tool_c"))),
        ("x <tool_call>", false, one(text("x<tool_call>"))),
        (
            "<tool_call>\nnot json at all\n</tool_call>\nStill here.",
            false,
            one(text("Still here.<tool_call>\nnot json at all\n</tool_call>")),
        ),
        (
            "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> \n Done.  ",
            false,
            [call(0, "f", "{}").into(), vec![text("Done.  ")]].concat(),
        ),
        (
            "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>",
            false,
            one(text("<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>")),
        ),
        (
            "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
            false,
            one(text("<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>")),
        ),
        ("I see.\nNow\n</think>\n\nThe answer.", true, vec![thought("I see.\nNow"), text("The answer.")]),
        ("\n\n</think>\n\nQuick.", true, one(text("Quick."))),
        ("a </thin b </thi", true, one(thought("a </thin b </thi"))),
        ("cut in the mid\n", true, one(thought("cut in the mid"))),
        (" \n<think>\nOwn block\n</think>\nDone", false, vec![thought("Own block"), text("Done")]),
        (
            "Hm <tool_call>{}</tool_call>\n</think>\n\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
            true,
            [vec![thought("Hm <tool_call>{}</tool_call>")], call(0, "f", "{}").into()].concat(),
        ),
        ("not first <think>x</think>", false, one(text("not first <think>x</think>"))),
    ]
}

#[test]
fn every_split_means_the_same() {
    for (sample, thinking, meaning) in samples() {
        assert_eq!(whole(&[sample], thinking, true), meaning, "{sample:?} in one piece");
        let letters: Vec<String> = sample.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(whole(&letters, thinking, true), meaning, "{sample:?} letter by letter");
        let cuts: Vec<usize> = (0..=sample.len()).filter(|i| sample.is_char_boundary(*i)).collect();
        for (n, a) in cuts.iter().enumerate() {
            for b in &cuts[n..] {
                assert_eq!(
                    whole(&[&sample[..*a], &sample[*a..*b], &sample[*b..]], thinking, true),
                    meaning,
                    "{sample:?} at {a} and {b}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_certain_too_early() {
    let mut speech = Speech::new(false, false, true);
    assert_eq!(speech.push("Look. <tool_"), [text("Look.")]);
    assert_eq!(speech.push("call>\n{\"name\": \"f\""), []);
    assert!(!speech.speaks());
    assert_eq!(
        speech.push(", \"arguments\": {\"a"),
        [Utterance::Call { index: 0, name: "f".into() }, Utterance::Arguments { index: 0, delta: "{\"a".into() }]
    );
    assert_eq!(speech.push("\": 1}"), [Utterance::Arguments { index: 0, delta: "\": 1}".into() }]);
    assert_eq!((speech.begun(), speech.completed()), (1, 0));
    assert_eq!(speech.push("}\n</tool_call>"), []);
    assert_eq!((speech.begun(), speech.completed(), speech.speaks()), (1, 1, true));
}

#[test]
fn without_tools_a_mark_is_text() {
    let said = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
    assert_eq!(whole(&[said], false, false), [text(said)]);
}
