//! A client that sends, repeats and reads through the API, and writes down what it did and saw.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::Deserialize;
use serde_json::json;

use super::history::{Conversation, Exchange, History, Message, Outcome, Read, Send, conversation};
use crate::support::bad_input::UNKNOWN_TOKEN;
use crate::support::inbox::{Device, State};
use crate::support::service::{Call, PASSWORD};
use crate::support::{Answer, Session};

/// After this long without an answer that settles a send, the service has not come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Parts of a message's text: of one to four bytes in UTF-8, right to left, combining, and NUL.
const LETTERS: [&str; 8] = ["a", " ", "ß", "語", "🙂", "שלום", "e\u{301}", "\0"];

/// What all clients share.
#[derive(Default)]
pub struct Shared {
    /// Held by each request; whoever has it alone knows that none is under way.
    pub gate: RwLock<()>,
    /// How many sends were acknowledged, by the number of the client.
    pub acknowledged: Vec<AtomicUsize>,
    /// How many of them had been stored before, unheard.
    pub replayed: AtomicUsize,
}

pub struct Client<'a> {
    number: usize,
    session: Session<'a>,
    /// To whom it writes.
    others: &'a [String],
    random: Rng,
    shared: &'a Shared,
    pub history: History,
    collected: BTreeMap<String, Vec<Message>>,
    /// What it knows of its conversations.
    device: Device,
    /// What it knew at times, each with a position that was handed out.
    known: Vec<Device>,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    more: bool,
}

impl<'a> Client<'a> {
    pub fn new(
        number: usize,
        session: Session<'a>,
        others: &'a [String],
        random: Rng,
        shared: &'a Shared,
    ) -> Self {
        Self {
            number,
            session,
            others,
            random,
            shared,
            history: History::default(),
            collected: BTreeMap::new(),
            device: Device::default(),
            known: Vec::new(),
        }
    }

    /// Works for as long as told.
    pub fn work(&mut self, running: &AtomicBool) {
        while running.load(Ordering::SeqCst) {
            // Half of it concerns the first: conversations that are always busy, beside some that are quiet or new.
            let other = self.random.usize(..self.others.len() * 2).saturating_sub(self.others.len());
            let other = &self.others[other];
            match self.random.u8(..100) {
                0..60 => self.send(other),
                60..68 => self.send_what_is_refused(other),
                68..75 => drop(self.read(other, None)),
                75..85 => drop(self.collect(other)),
                85..92 => drop(self.sync()),
                92..95 => self.mark(other),
                95..98 => {
                    self.exchange_for(200, &self.session.call("get_users"));
                }
                98 => self.come_and_go(),
                _ => self.meet_a_guest(),
            }
        }
    }

    /// Collects what it has not read yet, once nobody writes any more.
    pub fn finish(&mut self) {
        for other in self.collected.keys().cloned().collect::<Vec<_>>() {
            self.collect_the_rest(&other);
        }
        for (other, messages) in std::mem::take(&mut self.collected) {
            self.history.collected.push((conversation(&self.session.username, &other), messages));
        }
    }

    /// Asks for what has changed: whether there is more, or none if the service was not there.
    fn sync(&mut self) -> Option<bool> {
        let mut device = self.device.clone();
        let session = self.session.clone();
        let more = device.sync(&session, 3, |call| self.exchange_for(200, call))?;
        self.known.push(std::mem::replace(&mut self.device, device));
        Some(more)
    }

    /// Marks as read what it has collected from the conversation with `other`.
    fn mark(&mut self, other: &str) {
        if let Some(last) = self.collected.get(other).and_then(|messages| messages.last()) {
            let id = i64::try_from(last.id).unwrap();
            let call = self.session.mark(other, id);
            self.exchange_for(200, &call);
        }
    }

    /// What it knows in the end, from whatever position it has been told; and its inbox.
    pub fn states(&mut self) -> Vec<State> {
        while self.sync().expect("the service is back") {}
        let known = std::mem::take(&mut self.known);
        let step = known.len().div_ceil(20).max(1);
        let devices = known.into_iter().step_by(step).chain([self.device.clone()]);
        let states = devices.map(|mut device| {
            while device.sync(&self.session, 200, |call| Some(call.clone().expect(200))).unwrap() {}
            device.state
        });
        let inbox = Device::page(&self.session, 7, |call| call.clone().expect(200)).state;
        states.chain([inbox]).collect()
    }

    /// With whom it is in the conversation, if it is.
    pub fn partner_in<'b>(&self, (one, other): &'b Conversation) -> Option<&'b str> {
        let me = &self.session.username;
        if me == one { Some(other) } else { (me == other).then_some(one) }
    }

    /// All messages of the conversation with `other`.
    pub fn everything(&mut self, other: &str) -> Vec<Message> {
        self.collected.remove(other);
        self.collect_the_rest(other);
        self.collected.remove(other).unwrap_or_default()
    }

    fn collect_the_rest(&mut self, other: &str) {
        while self.collect(other).expect("the service is back") {}
    }

    /// Sends a message, and repeats it with the same key until it is acknowledged; one in ten is given up
    /// after the first try, and one in ten is repeated although it was acknowledged.
    fn send(&mut self, other: &str) {
        let text = self.text();
        let (gives_up, repeats) = (self.random.u8(..10) == 0, self.random.u8(..10) == 0);
        let key = format!("{}-{}", self.session.username, self.history.sends.len());
        let call = self.session.message(other, &text).header("Idempotency-Key", &key);
        let invoked = Instant::now();
        let outcome = loop {
            if let Some(answer) = self.exchange_for(201, &call) {
                self.shared.acknowledged[self.number].fetch_add(1, Ordering::SeqCst);
                let replayed = answer.header("idempotent-replayed").is_some();
                self.shared.replayed.fetch_add(replayed.into(), Ordering::SeqCst);
                break Outcome::Acknowledged(serde_json::from_value(answer.body).unwrap());
            }
            if gives_up {
                break Outcome::Unknown;
            }
            assert!(invoked.elapsed() < PATIENCE, "the service has not come back");
            thread::sleep(Duration::from_millis(20));
        };
        let ended = Instant::now();
        let repeats = repeats && matches!(outcome, Outcome::Acknowledged(_));
        let repeated = if repeats { self.exchange_for(201, &call) } else { None };
        let conversation = conversation(&self.session.username, other);
        let repeated = repeated.map(|answer| serde_json::from_value(answer.body).unwrap());
        self.history.sends.push(Send { text, conversation, invoked, ended, outcome, repeated });
    }

    /// Writes as somebody else, to nobody or without a session.
    fn send_what_is_refused(&mut self, other: &str) {
        let (text, me) = (self.text(), self.session.username.clone());
        let (token, sender, receiver, status) = match self.random.u8(..3) {
            0 if other != me => (self.session.token.as_str(), other, me.as_str(), 403),
            1 => (self.session.token.as_str(), me.as_str(), "nobody", 404),
            _ => (UNKNOWN_TOKEN, me.as_str(), other, 401),
        };
        let body = json!({"sender": sender, "receiver": receiver, "message": text});
        let (call, conversation) = (
            self.session.service.call("send_message").token(token).json(body),
            conversation(sender, receiver),
        );
        let invoked = Instant::now();
        self.exchange_for(status, &call);
        let (ended, outcome, repeated) = (Instant::now(), Outcome::Refused, None);
        self.history.sends.push(Send { text, conversation, invoked, ended, outcome, repeated });
    }

    /// Reads the next page of the conversation with `other`: whether there was anything, or none where the
    /// service was not there.
    fn collect(&mut self, other: &str) -> Option<bool> {
        let after = self.collected.get(other).and_then(|messages| messages.last()).map_or(0, |last| last.id);
        let messages = self.read(other, Some(after))?;
        let something = !messages.is_empty();
        self.collected.entry(other.into()).or_default().extend(messages);
        Some(something)
    }

    /// Reads a page; none where the service was not there.
    fn read(&mut self, other: &str, after: Option<usize>) -> Option<Vec<Message>> {
        let cursor = after.map_or(json!({}), |after| json!({"after": after}));
        let call = self.session.page(other, cursor);
        let invoked = Instant::now();
        let answer = self.exchange_for(200, &call)?;
        let Page { messages, more } = serde_json::from_value(answer.body).unwrap();
        let conversation = conversation(&self.session.username, other);
        let read =
            Read { conversation, after, invoked, ended: Instant::now(), messages: messages.clone(), more };
        self.history.reads.push(read);
        Some(messages)
    }

    /// Logs in, looks where it is logged in, and logs out.
    fn come_and_go(&mut self) {
        let service = self.session.service;
        let user = json!({"username": self.session.username, "password": PASSWORD});
        if let Some(login) = self.exchange_for(200, &service.call("login").json(user)) {
            let token = login.body["token"].as_str().unwrap();
            self.exchange_for(200, &service.call("get_sessions").token(token));
            let logout = service.call("logout").token(token).json(json!({"username": self.session.username}));
            // Where the reply to it was lost, the session has ended when it is made again.
            self.exchange(&logout, &[200, 401]);
        }
    }

    /// Creates a user who blocks it, changes the password and leaves. What was acknowledged holds.
    fn meet_a_guest(&mut self) {
        let (service, me) = (self.session.service, self.session.username.clone());
        let name = format!("guest{}-{}", self.number, self.history.exchanges.len());
        let user = json!({"username": name, "password": PASSWORD});
        if self.exchange_for(201, &service.call("create_user").json(user.clone())).is_none() {
            return;
        }
        let Some(login) = self.exchange_for(200, &service.call("login").json(user)) else { return };
        let token = login.body["token"].as_str().unwrap();
        let call = |operation| service.call(operation).token(token);

        let block = call("set_block").json(json!({"username": name, "peer": me, "blocked": true}));
        if self.exchange_for(200, &block).is_some() {
            let unheard = self.session.message(&name, "Are you there?");
            self.exchange_for(403, &unheard);
        }
        let new = "battery staple correct";
        let change = json!({"username": name, "password": PASSWORD, "new_password": new});
        if self.exchange_for(200, &call("change_password").json(change)).is_none() {
            return;
        }
        // Where the reply to it was lost, the user is gone when it is made again.
        let delete = call("delete_user").json(json!({"username": name, "password": new}));
        if self.exchange(&delete, &[200, 401]).is_some() {
            self.exchange_for(401, &call("get_sessions"));
            let farewell = self.session.message(&name, "Farewell.");
            self.exchange_for(404, &farewell);
        }
    }

    /// The answer of this status; none where the service was not there.
    fn exchange_for(&mut self, status: u16, call: &Call<'_>) -> Option<Answer> {
        self.exchange(call, &[status])
    }

    fn exchange(&mut self, call: &Call<'_>, statuses: &[u16]) -> Option<Answer> {
        let _open = self.shared.gate.read().unwrap();
        let invoked = Instant::now();
        let answer = call.clone().attempt();
        let status = answer.as_ref().ok().map(|answer| answer.status);
        self.history.exchanges.push(Exchange { client: self.number, invoked, ended: Instant::now(), status });
        match answer {
            Ok(answer) if statuses.contains(&answer.status) => Some(answer),
            Ok(answer) => {
                answer.assert_unavailable();
                None
            }
            Err(error) => {
                assert!(error.contains("Internal Server Error"), "{error}");
                None
            }
        }
    }

    /// A text that nobody else sends.
    fn text(&mut self) -> String {
        let letters = if self.random.u8(..20) == 0 { 1_000 } else { 10 };
        let rest: String =
            (0..self.random.usize(..letters)).map(|_| *self.random.choice(&LETTERS).unwrap()).collect();
        format!("{}-{} {rest}", self.session.username, self.history.sends.len())
    }
}
