//! The real binaries, driven as Lambda drives them, against a real database.

#![expect(clippy::needless_pass_by_value, reason = "`json!` makes a value that nobody needs afterwards")]

mod support;

use std::env;
use std::process::Command;

use support::contract::OPERATIONS;

mod change_password;
mod connect;
mod connection;
mod create_user;
mod custom_resource;
mod deadlocks;
mod delete_user;
mod end_session;
mod events;
mod faults;
mod generated;
mod get_changes;
mod get_conversations;
mod get_messages;
mod get_sessions;
mod get_users;
mod http;
mod login;
mod logout;
mod logs;
mod mark_read;
mod migrate;
mod privileges;
mod push;
mod push_faults;
mod races;
mod round_trips;
mod sabotage;
mod send_message;
mod set_block;
mod soak;
mod sync;
mod tls;
mod web;

/// A module of tests for each operation, which has at least what all have.
#[test]
fn each_operation_has_its_module_with_the_tests_that_all_have() {
    let list = Command::new(env::current_exe().unwrap()).arg("--list").output().unwrap();
    let tests = String::from_utf8(list.stdout).unwrap();
    for operation in OPERATIONS.iter() {
        for test in [
            "an_answer_that_makes_no_sense_is_never_a_success",
            "an_environment_runs_for_ever",
            if operation.body.is_some() { "bad_input_is_refused" } else { "bad_parameters_are_refused" },
        ] {
            let test = format!("{}::{test}: test", operation.name);
            assert!(tests.lines().any(|line| line == test), "there is no {test}");
        }
    }
}
