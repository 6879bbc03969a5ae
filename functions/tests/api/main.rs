//! The real binaries, driven as Lambda drives them, against a real database.

#![expect(clippy::needless_pass_by_value, reason = "`json!` makes a value that nobody needs afterwards")]

mod support;

mod connection;
mod create_user;
mod custom_resource;
mod deadlocks;
mod events;
mod faults;
mod generated;
mod get_messages;
mod get_users;
mod login;
mod logout;
mod logs;
mod memory;
mod migrate;
mod privileges;
mod races;
mod round_trips;
mod sabotage;
mod send_message;
mod soak;
mod tls;
