//! The real binaries, driven as Lambda drives them, against a real database.

mod support;

mod create_user;
mod get_messages;
mod get_users;
mod login;
mod logout;
mod send_message;
