//! Promise 10: push is a hint that can be checked. Whatever becomes of pushes and connections, no client is wrong for
//! longer than until it next asks for changes, and no request fails for it.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::support::follower::stored;
use crate::support::inbox::truth;
use crate::support::server::send_signal;
use crate::support::{Fate, Follower, Mode, Proxy, PushProxy, Service, at_once, wait_until};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const SENDERS: usize = 8;
const MESSAGES: usize = 40;

/// Any fate, half of the time a good one.
fn any() -> Fate {
    match fastrand::u8(..20) {
        0 | 1 => Fate::Lost,
        2 | 3 => Fate::Twice,
        4 | 5 => Fate::Late(Duration::from_millis(fastrand::u64(..200))),
        6 => Fate::Refused(410),
        7 => Fate::Refused(429),
        8 => Fate::Refused(500),
        9 => Fate::Unanswered,
        _ => Fate::Arrives,
    }
}

#[test]
fn clients_end_with_the_stored_history_whatever_becomes_of_pushes_and_connections() {
    let proxy = PushProxy::start(any);
    let service = Service::start().environments(16).pushing_to(&proxy.url);
    proxy.lead_to(service.gateway().web_socket_address());
    let sessions = USERS.map(|name| service.session(name));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (sessions, service, done) = (&sessions, &service, &done);
        // Two devices each.
        let followers: Vec<_> = (0..2 * USERS.len())
            .map(|n| {
                scope.spawn(move || {
                    let mut random = Rng::with_seed(n as u64);
                    let mut follower = Follower::new(sessions[n / 2].clone());
                    while !done.load(Ordering::SeqCst) {
                        match random.u8(..20) {
                            0 => follower.reconnect(),
                            1 => follower.catch_up(),
                            _ if follower.listen(Duration::from_millis(50)) => {}
                            _ => follower.reconnect(),
                        }
                    }
                    follower.catch_up();
                    follower
                })
            })
            .collect();
        at_once(SENDERS, |n| {
            let mut random = Rng::with_seed(100 + n as u64);
            for number in 0..MESSAGES {
                let (sender, peer) = (random.choice(sessions).unwrap(), random.choice(USERS).unwrap());
                let id =
                    sender.message(peer, &format!("{n}-{number}")).expect(201).body["id"].as_i64().unwrap();
                if random.bool() {
                    sender.mark(peer, random.i64(1..=id)).expect(200);
                }
                if random.u8(..10) == 0 {
                    // Old enough to be forgotten when a push finds them gone.
                    service.database.execute("UPDATE connections SET created = created - INTERVAL 1 MINUTE");
                }
            }
        });
        done.store(true, Ordering::SeqCst);
        let mut pushed = 0;
        for (n, follower) in followers.into_iter().enumerate() {
            let (user, follower) = (USERS[n / 2], follower.join().unwrap());
            assert_eq!(follower.messages, stored(&service.database, user), "{user}");
            assert_eq!(follower.state, truth(&service.database, user), "{user}");
            pushed += follower.pushed;
        }
        println!("{} pushes, {pushed} messages learned by push", proxy.pushes());
        assert!(pushed > 0);
    });
}

#[test]
fn a_hundred_reconnects_miss_nothing() {
    const RECONNECTS: usize = 100;
    let service = Service::start().environments(4);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut follower = Follower::new(bob);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::SeqCst) {
                sent += 1;
                alice.message("bob", &sent.to_string()).expect(201);
            }
            sent
        });
        for _ in 0..RECONNECTS {
            follower.reconnect();
            follower.listen(Duration::from_millis(5));
        }
        done.store(true, Ordering::SeqCst);
        sender.join().unwrap()
    });
    // No more questions: what came after the last reconnect is pushed.
    let end = Instant::now() + Duration::from_secs(10);
    while follower.messages["alice"].len() < sent && Instant::now() < end {
        follower.listen(Duration::from_millis(100));
    }
    assert_eq!(follower.messages, stored(&service.database, "bob"));
    println!("{sent} messages during {RECONNECTS} reconnects, {} learned by push", follower.pushed);
}

#[test]
fn a_message_that_is_committed_after_its_receiver_has_connected_is_pushed() {
    let service = Service::start().environments(2);
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    alice.message("bob", "1").expect(201);
    bob.changes("");
    let database = &service.database;
    thread::scope(|scope| {
        // The send has stored its message and waits for the lock: all that it looks up before the commit is old.
        let lock = database.lock("SELECT 1 FROM memberships WHERE username = 'alice' FOR UPDATE");
        let sender = scope.spawn(|| alice.message("bob", "2").expect(201));
        wait_until("the send waits", || database.lock_waits() > 0);
        let mut follower = Follower::new(bob.clone());
        assert_eq!(follower.messages["alice"].len(), 1);
        drop(lock);
        sender.join().unwrap();
        follower.listen(Duration::from_secs(10));
        assert_eq!((follower.messages["alice"].len(), follower.pushed), (2, 1));
    });
}

#[test]
fn each_event_is_a_state_that_was() {
    const WRITERS: usize = 14;
    let service = Service::start().environments(WRITERS);
    let sessions = [service.session("alice"), service.session("bob")];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let followers = sessions.each_ref().map(|session| {
            let mut follower = Follower::new(session.clone());
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    // It checks what it learns.
                    follower.listen(Duration::from_millis(50));
                }
                follower
            })
        });
        at_once(WRITERS, |n| {
            let (user, peer) = (&sessions[n % 2], &sessions[1 - n % 2].username);
            let mut newest = 1;
            for number in 0..MESSAGES {
                if number % 3 == 2 {
                    user.mark(peer, newest).expect(200);
                } else {
                    newest = user.message(peer, "Hi!").expect(201).body["id"].as_i64().unwrap();
                }
            }
        });
        done.store(true, Ordering::SeqCst);
        for follower in followers {
            assert!(follower.join().unwrap().pushed > 0);
        }
    });
}

#[test]
fn no_trouble_with_push_fails_a_send_or_holds_it_up_for_long() {
    /// Half a second for push, and what a send takes on a busy machine.
    const AT_MOST: Duration = Duration::from_millis(1_100);
    for fate in [Fate::Refused(410), Fate::Refused(429), Fate::Refused(500), Fate::Lost, Fate::Unanswered] {
        let proxy = PushProxy::start(move || fate);
        let service = Service::start().pushing_to(&proxy.url);
        proxy.lead_to(service.gateway().web_socket_address());
        let (alice, bob) = (service.session("alice"), service.session("bob"));
        let _sockets = [bob.connect(), bob.connect(), bob.connect()];
        alice.message("alice", "the environment has started").expect(201);
        let pushes = proxy.pushes();
        for id in 1..=3 {
            let started = Instant::now();
            assert_eq!(alice.message("bob", "Hi!").expect(201).body["id"], id);
            bob.mark("alice", id).expect(200);
            assert!(started.elapsed() < 2 * AT_MOST, "{fate:?}: {:?}", started.elapsed());
        }
        assert!(proxy.pushes() > pushes, "nothing was pushed");
    }
}

#[test]
fn a_function_frozen_while_api_gateway_hangs_up_pushes_all_the_same() {
    let pushes = PushProxy::start(|| Fate::Arrives);
    let url = pushes.url.replace("http:", "mysql:");
    let proxy = Proxy::start(&url);
    let service = Service::start().pushing_to(proxy.url(&url).replace("mysql:", "http:"));
    pushes.lead_to(service.gateway().web_socket_address());
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut socket = bob.connect();
    for round in 0..10 {
        alice.message("bob", &format!("{round}")).expect(201);
        assert!(socket.receive(Duration::from_secs(10)).is_some());
        let process = service.function("send_message").processes()[0];
        send_signal("STOP", process);
        proxy.set(Mode::Refuse);
        proxy.set(Mode::Forward);
        thread::scope(|scope| {
            let sender = scope.spawn(|| alice.message("bob", "after a pause").expect(201));
            send_signal("CONT", process);
            sender.join().unwrap();
        });
        assert!(socket.receive(Duration::from_secs(10)).is_some(), "round {round}");
    }
}

#[test]
fn a_push_whose_connection_breaks_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start().pushing_to(format!("http://{}", listener.local_addr().unwrap()));
    let target = service.gateway().web_socket_address();
    thread::spawn(move || {
        // The first connection is reset, with the request half read.
        let (mut first, _) = listener.accept().unwrap();
        first.read_exact(&mut [0]).unwrap();
        drop(first);
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut from, &mut to));
        io::copy(&mut server, &mut client).ok();
    });
    let (alice, bob) = (service.session("alice"), service.session("bob"));
    let mut socket = bob.connect();
    alice.message("bob", "Hi!").expect(201);
    assert!(socket.receive(Duration::from_secs(10)).is_some());
}

#[test]
fn nothing_to_push_to_is_an_error_in_the_log_and_nowhere_else() {
    for url in ["http://127.0.0.1:1", "not a URL"] {
        let service = Service::start().pushing_to(url);
        let (alice, bob) = (service.session("alice"), service.session("bob"));
        let _socket = bob.connect();
        alice.message("bob", "Hi!").expect(201);
        assert!(service.logs().contains("API Gateway can't be reached"), "{url}: {}", service.logs());
    }
}
