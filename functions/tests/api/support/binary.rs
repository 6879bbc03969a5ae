//! The binaries under test.

/// The path of a binary of this crate.
pub fn binary(name: &str) -> &'static str {
    match name {
        "create_user" => env!("CARGO_BIN_EXE_create_user"),
        "login" => env!("CARGO_BIN_EXE_login"),
        "logout" => env!("CARGO_BIN_EXE_logout"),
        "get_users" => env!("CARGO_BIN_EXE_get_users"),
        "send_message" => env!("CARGO_BIN_EXE_send_message"),
        "get_messages" => env!("CARGO_BIN_EXE_get_messages"),
        "migrate" => env!("CARGO_BIN_EXE_migrate"),
        _ => panic!("no binary {name}"),
    }
}
