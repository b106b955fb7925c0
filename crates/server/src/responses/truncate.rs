//! `truncation: auto`: what is dropped where the context is too small for all.

use vlgate_engine::{Conversation, Role};

/// Drops the oldest turns until about `share` of the messages are gone, at least one turn; a turn is a user's message and
/// what follows it, so that no result loses its call. Instructions and the last turn stay. Whether anything was dropped.
pub fn forget(conversation: &mut Conversation, share: f64) -> bool {
    let messages = &mut conversation.messages;
    let droppable = messages.iter().filter(|m| m.role != Role::System).count();
    let aim = (share * droppable as f64) as usize;
    let mut dropped = 0;
    while dropped == 0 || dropped < aim {
        let Some(first) = messages.iter().position(|m| m.role != Role::System) else { break };
        let behind = messages.iter().skip(first + 1).position(|m| m.role == Role::User);
        // The last turn stays.
        let Some(behind) = behind else { break };
        let turn = first..first + 1 + behind;
        dropped += turn.len();
        messages.drain(turn);
    }
    dropped > 0
}

#[cfg(test)]
mod tests {
    use vlgate_engine::{Conversation, Message, Part, Role};

    use super::forget;

    fn said(conversation: &Conversation) -> String {
        let text = |m: &Message| match &m.parts[..] {
            [Part::Text(text)] => text.clone(),
            _ => String::new(),
        };
        conversation.messages.iter().map(text).collect()
    }

    #[test]
    fn whole_turns_go_the_oldest_first() {
        let roles = [
            (Role::System, "s"),
            (Role::User, "a"),
            (Role::Assistant, "b"),
            (Role::Tool, "c"),
            (Role::User, "d"),
            (Role::Assistant, "e"),
            (Role::User, "f"),
            (Role::Assistant, "g"),
            (Role::User, "h"),
        ];
        let messages: Vec<Message> = roles.into_iter().map(|(role, text)| Message::text(role, text)).collect();
        let whole = Conversation { messages, ..Conversation::default() };
        let mut one = whole.clone();
        assert!(forget(&mut one, 0.0) && said(&one) == "sdefgh");
        let mut many = whole.clone();
        assert!(forget(&mut many, 0.5) && said(&many) == "sfgh");
        let mut all = whole;
        assert!(forget(&mut all, 1.0) && said(&all) == "sh");
        assert!(!forget(&mut all, 1.0) && said(&all) == "sh");
    }
}
