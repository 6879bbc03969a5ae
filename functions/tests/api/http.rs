//! Requests over HTTP that no client of ours would send: each is served or refused, by API Gateway or by a function.

use std::net::Ipv4Addr;

use local::Client;
use serde_json::json;

use crate::support::Service;

#[test]
fn odd_requests_get_what_the_contract_or_api_gateway_says_and_never_a_5xx() {
    let service = Service::start();
    let alice = service.session("alice");
    let token = format!("Authorization: Bearer {}\r\n", alice.token);
    let json = "Content-Type: application/json\r\n";
    let body = json!({"sender": "alice", "receiver": "alice", "message": "Grüße"}).to_string().into_bytes();
    let latin_1 = b"{\"sender\": \"alice\", \"receiver\": \"alice\", \"message\": \"Gr\xfc\xdfe\"}".to_vec();
    let mut client = Client::connect(service.gateway().address(), Ipv4Addr::LOCALHOST.into()).unwrap();
    for (request, headers, body, status) in [
        ("POST /messages", format!("{token}{json}"), body.clone(), 201),
        ("POST /messages", format!("{token}{json}"), latin_1, 400),
        (
            "POST /messages",
            format!("{token}{json}Content-Encoding: gzip\r\n"),
            b"\x1f\x8b\x08\x00".to_vec(),
            415,
        ),
        ("POST /messages", format!("{token}{json}"), b"\x1f\x8b\x08\x00".to_vec(), 400),
        ("POST /messages", format!("{token}{json}"), vec![b' '; 10 * 1024 * 1024], 413),
        ("POST /messages", format!("{token}{json}"), vec![b' '; 10 * 1024 * 1024 + 1], 413),
        ("POST /messages", format!("{token}{json}"), vec![b' '; 200_000], 413),
        ("POST /messages", format!("{token}{json}{json}"), body.clone(), 415),
        ("POST /messages", format!("{token}{token}{json}"), body.clone(), 401),
        ("POST /messages", format!("{token}{json}Idempotency-Key: \u{fc}\r\n"), body.clone(), 400),
        ("POST /messages", format!("{token}{json}Idempotency-Key: \r\n"), body.clone(), 400),
        ("POST /messages?a=b", format!("{token}{json}"), body.clone(), 400),
        ("POST /messages/", format!("{token}{json}"), body.clone(), 404),
        ("POST //messages", format!("{token}{json}"), body.clone(), 404),
        ("PUT /messages", format!("{token}{json}"), body.clone(), 404),
        ("OPTIONS /messages", "Origin: https://chat.example\r\n".into(), Vec::new(), 204),
        ("HEAD /users", token.clone(), Vec::new(), 404),
        ("GET /users", token.clone(), b"a body".to_vec(), 200),
        ("GET /users", format!("{token}Cookie: a=b; c\r\nX-Odd: \u{7f}\u{e9}\r\n"), Vec::new(), 400),
        ("GET /users", format!("{token}Cookie: a=b; c\r\nX-Odd: \u{e9}\r\n"), Vec::new(), 200),
        ("GET /users?after=%", token.clone(), Vec::new(), 400),
        ("GET /users?after=%ff", token.clone(), Vec::new(), 400),
        ("GET /users?after=a b", token.clone(), Vec::new(), 400),
        ("GET /users?limit=1&limit=1", token.clone(), Vec::new(), 400),
        ("GET /", token.clone(), Vec::new(), 200),
        ("GET /?utm_source=a&&%", String::new(), b"a body".to_vec(), 200),
        ("POST /", String::new(), Vec::new(), 404),
        ("GET /users", format!("{token}X-Long: {}\r\n", "x".repeat(20_000)), Vec::new(), 431),
        ("GET /users", token.clone(), Vec::new(), 200),
    ] {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(&[head.as_bytes(), &body].concat()).unwrap();
        let answer = client.receive(request.starts_with("HEAD")).unwrap();
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{request} {headers:.200}: {text}");
        // What is no HTTP has cost the connection.
        if answer.headers.get("connection").is_some_and(|connection| connection == "close") {
            client = Client::connect(service.gateway().address(), Ipv4Addr::LOCALHOST.into()).unwrap();
        }
    }
}
