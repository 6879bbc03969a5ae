//! Promises 1 to 3 as rules over a history: what breaks them is found and named.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::history::{Conversation, History, Logs, Message, Outcome, Read, Send, conversation};

/// What a history can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An acknowledged message is not there.
    Lost,
    /// It is there twice.
    Duplicated,
    /// Ids are not 1, 2, 3 …, or a page leaves out some.
    Gap,
    /// An id had one value for one client and another for another, or another later.
    Altered,
    /// What was read has gone.
    Vanished,
    /// Acknowledged before another was sent, but with the higher id.
    Disordered,
    /// A page does not show what was acknowledged before it was asked for.
    Stale,
    /// What was collected page by page is not the conversation.
    Missed,
    /// What was refused has been stored.
    Refused,
    /// Nobody has sent it, or not there.
    Invented,
    /// Time stamps run backwards.
    Clock,
}

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

/// Everything in which `history`, or what is stored in the end, breaks a promise.
pub fn check(history: &History, logs: &Logs) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut broken = |rule, what: String| violations.push(Violation { rule, what });
    check_logs(history, logs, &mut broken);
    check_sends(history, logs, &mut broken);
    check_order(history, logs, &mut broken);
    check_reads(history, logs, &mut broken);
    for (conversation, messages) in &history.collected {
        if messages != log_of(logs, conversation) {
            broken(Rule::Missed, format!("{} messages of {conversation:?}", messages.len()));
        }
    }
    violations
}

fn check_logs(history: &History, logs: &Logs, broken: &mut impl FnMut(Rule, String)) {
    let sends: HashMap<_, _> = history.sends.iter().map(|send| (send.text.as_str(), send)).collect();
    let mut seen = HashMap::new();
    for (conversation, log) in logs {
        for (index, message) in log.iter().enumerate() {
            if message.id != index + 1 {
                broken(Rule::Gap, format!("{message:?} is number {} of its conversation", index + 1));
            }
            if index > 0 && message.time_stamp < log[index - 1].time_stamp {
                broken(Rule::Clock, format!("{message:?} after {:?}", log[index - 1]));
            }
            if let Some(first) = seen.insert(message.text.as_str(), message) {
                broken(Rule::Duplicated, format!("{first:?} and {message:?}"));
            }
            match sends.get(message.text.as_str()) {
                Some(send)
                    if send.conversation != *conversation || message.conversation() != *conversation =>
                {
                    broken(Rule::Invented, format!("{message:?} in {conversation:?}"));
                }
                Some(send) if matches!(send.outcome, Outcome::Refused) => {
                    broken(Rule::Refused, format!("{message:?}"));
                }
                Some(_) => {}
                None => broken(Rule::Invented, format!("{message:?}")),
            }
        }
    }
}

fn check_sends(history: &History, logs: &Logs, broken: &mut impl FnMut(Rule, String)) {
    for (send, message) in history.acknowledged() {
        let log = log_of(logs, &send.conversation);
        if message.text != send.text {
            broken(Rule::Altered, format!("{:?} was answered with {message:?}", send.text));
        }
        match with_id(log, message.id) {
            Some(stored) if stored == message => {}
            Some(stored) if log.iter().any(|other| other.text == message.text) => {
                broken(Rule::Altered, format!("{message:?} is {stored:?}"));
            }
            _ => broken(Rule::Lost, format!("{message:?}")),
        }
        if let Some(repeated) = send.repeated.as_ref().filter(|repeated| *repeated != message) {
            broken(Rule::Altered, format!("{message:?} became {repeated:?} when the send was repeated"));
        }
    }
}

/// Real time: what was acknowledged before another send began has the lower id.
fn check_order(history: &History, logs: &Logs, broken: &mut impl FnMut(Rule, String)) {
    let acknowledged = highest_ids(
        history.acknowledged().map(|(send, message)| (send.conversation.clone(), send.ended, message.id)),
    );
    let ids: HashMap<_, _> =
        logs.values().flatten().map(|message| (message.text.as_str(), message.id)).collect();
    for send in &history.sends {
        let before = highest_id(&acknowledged, &send.conversation, send.invoked);
        if let Some(&id) = ids.get(send.text.as_str())
            && id <= before
        {
            broken(
                Rule::Disordered,
                format!("{:?} has the id {id}, but {before} was there first", send.text),
            );
        }
    }
}

fn check_reads(history: &History, logs: &Logs, broken: &mut impl FnMut(Rule, String)) {
    let written =
        history.acknowledged().map(|(send, message)| (send.conversation.clone(), send.ended, message.id));
    let read = history.reads.iter().filter_map(|read| {
        read.messages.last().map(|message| (read.conversation.clone(), read.ended, message.id))
    });
    let known = highest_ids(written.chain(read));
    for read in &history.reads {
        let log = log_of(logs, &read.conversation);
        for message in &read.messages {
            match with_id(log, message.id) {
                Some(stored) if stored == message => {}
                Some(stored) => broken(Rule::Altered, format!("{message:?} became {stored:?}")),
                None => broken(Rule::Vanished, format!("{message:?}")),
            }
        }
        let newest = read.messages.first().map_or(1, |message| message.id);
        let start = read.after.map_or(newest, |after| after + 1);
        if (start..).zip(&read.messages).any(|(id, message)| message.id != id) {
            broken(Rule::Gap, format!("{read:?}"));
        }
        let reaches = read.messages.last().map_or(read.after.unwrap_or(0), |message| message.id);
        let known = highest_id(&known, &read.conversation, read.invoked);
        // A page of ids after one may end before the newest, but not before there was any.
        let goes_on = read.after.is_some() && read.more && !read.messages.is_empty();
        if reaches < known && !goes_on {
            broken(Rule::Stale, format!("{known} was known, but not told: {read:?}"));
        }
    }
}

fn log_of<'a>(logs: &'a Logs, conversation: &Conversation) -> &'a [Message] {
    logs.get(conversation).map(Vec::as_slice).unwrap_or_default()
}

fn with_id(log: &[Message], id: usize) -> Option<&Message> {
    let dense = log.get(id.wrapping_sub(1)).filter(|message| message.id == id);
    dense.or_else(|| log.iter().find(|message| message.id == id))
}

/// By conversation, the times at which a higher id than any before became known.
type HighestIds = HashMap<Conversation, BTreeMap<Instant, usize>>;

fn highest_ids(known: impl Iterator<Item = (Conversation, Instant, usize)>) -> HighestIds {
    let mut highest = HighestIds::new();
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|(_, time, _)| *time);
    for (conversation, time, id) in known {
        let times = highest.entry(conversation).or_default();
        let before = times.values().next_back().copied().unwrap_or(0);
        times.insert(time, id.max(before));
    }
    highest
}

/// The highest id that was known before `time`; 0 for none.
fn highest_id(highest: &HighestIds, conversation: &Conversation, time: Instant) -> usize {
    let times = highest.get(conversation);
    times.and_then(|times| times.range(..time).next_back()).map_or(0, |(_, id)| *id)
}

/// Alice and Bob write to each other, some milliseconds apart; one send stays unknown and one is refused. What
/// is read is read page by page.
fn sound() -> (History, Logs) {
    let start = Instant::now();
    let at = |time: u64| start + Duration::from_millis(time);
    let alice_and_bob = conversation("alice", "bob");
    let message = |id: usize, sender: &str, receiver: &str, text: &str| Message {
        id,
        sender: sender.into(),
        receiver: receiver.into(),
        text: text.into(),
        time_stamp: format!("2026-11-23T10:00:00.{id:06}Z"),
    };
    let log = vec![
        message(1, "alice", "bob", "one"),
        message(2, "bob", "alice", "two"),
        message(3, "alice", "bob", "three"),
    ];
    let send = |text: &str, invoked, ended, outcome| Send {
        text: text.into(),
        conversation: alice_and_bob.clone(),
        invoked: at(invoked),
        ended: at(ended),
        outcome,
        repeated: None,
    };
    let read = |after, invoked, messages: &[Message]| Read {
        conversation: alice_and_bob.clone(),
        after,
        invoked: at(invoked),
        ended: at(invoked + 5),
        messages: messages.to_vec(),
        more: false,
    };
    let history = History {
        sends: vec![
            send("one", 0, 10, Outcome::Acknowledged(log[0].clone())),
            send("two", 20, 30, Outcome::Acknowledged(log[1].clone())),
            send("three", 25, 40, Outcome::Unknown),
            send("four", 45, 50, Outcome::Refused),
        ],
        reads: vec![
            read(None, 12, &log[..1]),
            read(Some(0), 31, &log[..2]),
            read(Some(2), 50, &log[2..]),
            read(Some(3), 60, &[]),
        ],
        collected: vec![(alice_and_bob.clone(), log.clone())],
        exchanges: Vec::new(),
    };
    (history, Logs::from([(alice_and_bob, log)]))
}

#[test]
fn a_sound_history_breaks_no_rule() {
    let (history, logs) = sound();
    assert_eq!(check(&history, &logs), []);
}

#[test]
fn every_rule_that_is_broken_is_found() {
    type Doctor = fn(&mut History, &mut Vec<Message>);
    fn acknowledged(history: &mut History, index: usize) -> &mut Message {
        let Outcome::Acknowledged(message) = &mut history.sends[index].outcome else { panic!() };
        message
    }
    let table: [(&str, Rule, Doctor); 23] = [
        ("the last message has gone", Rule::Lost, |_, log| log.truncate(1)),
        ("another message has taken its place", Rule::Lost, |_, log| log[1].text = "three".into()),
        ("stored twice", Rule::Duplicated, |_, log| {
            log.push(Message { id: 4, time_stamp: log[2].time_stamp.clone(), ..log[0].clone() });
        }),
        ("an id is left out", Rule::Gap, |_, log| log[2].id = 4),
        ("the first id is not 1", Rule::Gap, |_, log| log.iter_mut().for_each(|message| message.id += 1)),
        ("a page begins too late", Rule::Gap, |history, _| {
            history.reads[1].messages.remove(0);
        }),
        ("a page has a hole", Rule::Gap, |history, log| {
            history.reads[1].messages = vec![log[0].clone(), log[2].clone()];
        }),
        ("a byte has changed since it was acknowledged", Rule::Altered, |history, _| {
            acknowledged(history, 0).text.push(' ');
        }),
        ("the answer had another time stamp", Rule::Altered, |history, log| {
            acknowledged(history, 0).time_stamp = log[1].time_stamp.clone();
        }),
        ("the answer had another id", Rule::Altered, |history, _| acknowledged(history, 0).id = 3),
        ("a reader saw another value", Rule::Altered, |history, log| {
            history.reads[0].messages[0] = Message { id: 1, ..log[1].clone() };
        }),
        ("a repeated send gets another answer", Rule::Altered, |history, log| {
            history.sends[0].repeated = Some(log[1].clone());
        }),
        ("an unknown send was read and has gone", Rule::Vanished, |_, log| log.truncate(2)),
        ("the later one comes first", Rule::Disordered, |history, log| {
            log.swap(0, 1);
            (log[0].id, log[1].id) = (1, 2);
            (acknowledged(history, 0).id, acknowledged(history, 1).id) = (2, 1);
        }),
        ("a sender does not read its own write", Rule::Stale, |history, _| {
            history.reads[0].messages.clear();
        }),
        ("a reader no longer sees what another has seen", Rule::Stale, |history, _| {
            history.reads[3].after = Some(2);
        }),
        ("nothing is told, but that there is more", Rule::Stale, |history, _| {
            history.reads[1].messages.clear();
            history.reads[1].more = true;
        }),
        ("a page says too early that there is no more", Rule::Stale, |history, _| {
            history.reads[1].messages.pop();
        }),
        ("a message was not collected", Rule::Missed, |history, _| {
            history.collected[0].1.remove(1);
        }),
        ("what was refused is there", Rule::Refused, |_, log| {
            log.push(Message { id: 4, text: "four".into(), ..log[2].clone() });
        }),
        ("nobody has sent it", Rule::Invented, |_, log| {
            log.push(Message { id: 4, text: "five".into(), ..log[2].clone() });
        }),
        ("it was sent to somebody else", Rule::Invented, |_, log| log[2].receiver = "carol".into()),
        ("time runs backwards", Rule::Clock, |_, log| {
            log[2].time_stamp = "2026-11-23T09:59:59.999999Z".into();
        }),
    ];
    for (what, rule, doctor) in table {
        let (mut history, mut logs) = sound();
        doctor(&mut history, logs.values_mut().next().unwrap());
        let rules: Vec<_> = check(&history, &logs).into_iter().map(|violation| violation.rule).collect();
        assert!(rules.contains(&rule), "{what}: {rules:?}");
    }
}
