//! `GET /` and `GET /web/{file}`

use std::collections::HashSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use local::{Client, Function};
use serde_json::{Value, json};

use crate::support::{Answer, Service, binary, memory};

/// A database that nobody has.
const NOWHERE: &str = "mysql://nobody:nothing@127.0.0.1:1/chat";

fn get(service: &Service, path: &str, headers: &str) -> local::Answer {
    let mut client = Client::connect(service.gateway().address(), Ipv4Addr::LOCALHOST.into()).unwrap();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes()).unwrap();
    client.receive(false).unwrap()
}

/// Fails unless a file is unknown, and the client is told so.
fn assert_unknown(answer: local::Answer, path: &str) {
    let answer = Answer::of_gateway(answer);
    assert_eq!(
        (answer.status, answer.code(), answer.fields()),
        (404, "UNKNOWN_FILE", vec!["file"]),
        "{path}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    answer.check_problem(&json!({}));
}

/// Hands the text of an event to the function; returns its response.
fn respond(function: &Function, event: &str) -> Value {
    let response = function.invoke(event, Duration::from_secs(10)).unwrap();
    serde_json::from_str(&response.body).unwrap()
}

#[test]
fn every_file_of_its_directory_is_served_as_it_is_with_its_type_and_a_tag() {
    let service = Service::start();
    let mut tags = HashSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("web")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut content = fs::read_to_string(&path).unwrap();
        let route = if name == "index.html" { "/".into() } else { format!("/web/{name}") };
        if name == "index.html" {
            let url = format!("ws://{}", service.gateway().web_socket_address());
            assert_eq!(content.matches("{{WEB_SOCKET_URL}}").count(), 1);
            content = content.replace("{{WEB_SOCKET_URL}}", &url);
        }
        let content_type = match path.extension().unwrap().to_str().unwrap() {
            "css" => "text/css; charset=utf-8",
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "yaml" => "application/yaml",
            _ => panic!("{name} has no type"),
        };
        for route in [route.clone(), format!("{route}?utm_source=a&b")] {
            let answer = get(&service, &route, "");
            assert_eq!(answer.status, 200, "{route}: `files!` in functions/src/bin/web.rs has to name it");
            assert!(answer.body == content.as_bytes(), "{route}");
            for (header, value) in [
                ("content-type", content_type),
                ("cache-control", "no-cache"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(answer.headers[header], value, "{header} of {route}");
            }
            let tag = &answer.headers["etag"];
            assert!(tag.len() == 45 && tag.starts_with('"') && tag.ends_with('"'), "{tag} is a strong one");
            tags.insert(tag.clone());
            assert_eq!(answer.headers.contains_key("content-security-policy"), name == "index.html");
        }
        assert_eq!(get(&service, &route, &format!("If-None-Match: {}\r\n", tags.len())).status, 200);
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("web")).unwrap().count();
    assert_eq!(tags.len(), files, "each has its own tag, always the same");
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let service = Service::start();
    for path in ["/", "/web/openapi.yaml"] {
        let fresh = get(&service, path, "");
        let tag = &fresh.headers["etag"];
        for header in [
            format!("If-None-Match: {tag}\r\n"),
            format!("if-none-match: W/{tag}\r\n"),
            format!("If-None-Match: \"other\", {tag}\r\n"),
            format!("If-None-Match: \"a,b\",,W/\"c\" ,W/{tag}, \"d\"\r\n"),
            format!("If-None-Match: \"one\"\r\nIf-None-Match: {tag}\r\n"),
            "If-None-Match: *\r\n".into(),
        ] {
            let answer = get(&service, path, &header);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{header}");
            for name in fresh
                .headers
                .keys()
                .filter(|name| !["content-length", "date", "apigw-requestid"].contains(&name.as_str()))
            {
                assert_eq!(answer.headers.get(name), fresh.headers.get(name), "{name} after {header}");
            }
        }
        for header in [
            "If-None-Match: \r\n".into(),
            "If-None-Match: \"other\"\r\n".into(),
            "If-None-Match: \"a,*,b\"\r\n".into(),
            "If-None-Match: \u{e9}\r\n".into(),
            format!("If-None-Match: {}\r\n", tag.trim_matches('"')),
            format!("If-None-Match: w/{tag}\r\n"),
            format!("If-None-Match: W/W/{tag}\r\n"),
            format!("If-None-Match: {}\r\n", tag.to_uppercase()),
            format!("If-Match: {tag}\r\n"),
        ] {
            let answer = get(&service, path, &header);
            assert_eq!((answer.status, answer.body.len()), (200, fresh.body.len()), "{header}");
        }
    }
}

#[test]
fn an_unknown_file_is_not_found() {
    let service = Service::start();
    for name in [
        "nothing.js",
        "OPENAPI.YAML",
        "openapi.yaml%00",
        "openapi.yaml%20",
        "openapi.yaml/",
        "index.html",
        ".",
        "..",
        "%2e%2e",
        "..%2fopenapi.yaml",
        "..%2f..%2fCargo.toml",
        "%5c",
        "%00",
        "%ff%fe",
        "%",
        "%zz",
        "{file}",
        "*",
        &"x".repeat(5_000),
    ] {
        let path = format!("/web/{name}");
        let answer = get(&service, &path, "If-None-Match: *\r\n");
        // API Gateway itself answers what is more than a segment.
        if name.ends_with('/') { assert_eq!(answer.status, 404) } else { assert_unknown(answer, &path) }
    }
    assert_eq!(get(&service, "/web/", "").status, 404);
    assert_eq!(get(&service, "/web", "").status, 404);
    assert_eq!(get(&service, "/web/%6fpenapi.yaml", "").status, 200, "another spelling of the name");
}

#[test]
fn the_page_is_there_while_the_database_is_not() {
    let service = Service::start().through(NOWHERE);
    for path in ["/", "/web/openapi.yaml"] {
        assert_eq!(get(&service, path, "").status, 200);
    }
    let log = service.function("web").log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in lines {
        assert_eq!((&line["message"], &line["status"]), (&json!("web OK"), &json!(200)), "{log}");
    }
}

#[test]
fn the_page_may_run_its_own_scripts_and_connect_to_its_web_socket_and_nothing_else() {
    // As on AWS: there is no other setting.
    let url = "wss://abcdefghij.execute-api.eu-central-1.amazonaws.com/default";
    let function = Function::start(binary("web"), 1, &[("WEB_SOCKET_URL", url)]);
    let response = respond(&function, include_str!("../../../events/web.json"));
    assert_eq!(response["statusCode"], 200, "{response}");
    assert!(response["body"].as_str().unwrap().contains(&format!("content=\"{url}\"")), "{response}");
    let header = |name: &str| response["headers"][name].as_str().unwrap_or_default();
    assert_eq!(
        header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self' wss://abcdefghij.execute-api.eu-central-1.amazonaws.com; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");

    let service = Service::start();
    let policy = &get(&service, "/", "").headers["content-security-policy"];
    let origin = format!("connect-src 'self' ws://{};", service.gateway().web_socket_address());
    assert!(policy.contains(&origin), "{policy}");
}

#[test]
fn without_the_url_of_a_web_socket_the_function_can_not_start_and_says_why() {
    for (url, why) in [
        (None, "is not set"),
        (Some(""), "is no URL"),
        (Some("abcdefghij.example/default"), "is no URL"),
        (Some("https://abcdefghij.example/default"), "is no URL"),
        (Some("wss://"), "is no URL"),
        (Some("wss:///default"), "is no URL"),
        (Some("wss://a b"), "is no URL"),
        (Some("wss://a;script-src"), "is no URL"),
        (Some("wss://a/\"><script>"), "is no URL"),
        (Some("wss://a/\n"), "is no URL"),
    ] {
        let variables = url.map(|url| ("WEB_SOCKET_URL", url));
        let output = Command::new(binary("web")).env_clear().envs(variables).output().unwrap();
        assert!(!output.status.success(), "{url:?}");
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(line["error"].as_str().unwrap().starts_with(&format!("WEB_SOCKET_URL {why}")), "{line}");
    }
}

#[test]
fn odd_events_are_answered_with_the_page_or_a_4xx() {
    let service = Service::start();
    let file = json!({
        "routeKey": "GET /web/{file}",
        "rawPath": "/web/openapi.yaml",
        "headers": {},
        "pathParameters": {"file": "openapi.yaml"},
        "requestContext": {"requestId": "1"},
    });
    for (member, value, status) in [
        ("pathParameters", json!({"file": "openapi.yaml"}), 200),
        ("pathParameters", json!({"file": "openapi.yaml", "other": null, "": ""}), 200),
        ("pathParameters", json!({"file": ""}), 404),
        ("pathParameters", json!({"file": "\0"}), 404),
        ("pathParameters", json!({"file": "SURROGATE"}), 404),
        ("pathParameters", json!({"SURROGATE": "SURROGATE"}), 200),
        ("pathParameters", json!({"file": null}), 200),
        ("pathParameters", json!({}), 200),
        ("pathParameters", json!(null), 200),
        ("pathParameters", json!({"file": 1}), 400),
        ("pathParameters", json!(["openapi.yaml"]), 400),
        ("headers", json!(null), 200),
        ("headers", json!({"if-none-match": null}), 200),
        ("headers", json!({"if-none-match": "SURROGATE"}), 200),
        ("headers", json!({"if-none-match": "*\0"}), 200),
        ("headers", json!({"if-none-match": "*"}), 304),
        ("rawQueryString", json!("<SURROGATE>"), 200),
        ("requestContext", json!(null), 200),
        ("body", json!("{"), 200),
    ] {
        let mut event = file.clone();
        event[member] = value.clone();
        let text = event.to_string().replace("SURROGATE", r"\ud800");
        let response = respond(service.function("web"), &text);
        assert_eq!(response["statusCode"], status, "{member}: {value}");
    }
    for event in ["null", "7", "[]"] {
        assert_eq!(respond(service.function("web"), event)["statusCode"], 400, "{event}");
    }
    let page = respond(service.function("web"), "{}");
    assert_eq!(
        page["headers"]["content-type"], "text/html; charset=utf-8",
        "a path without a file is the page's"
    );
}

#[test]
fn an_environment_runs_for_ever() {
    let service = Service::start();
    memory::drive(&service, "web", |n| {
        let (path, headers) =
            [("/", ""), ("/web/openapi.yaml", ""), ("/", "If-None-Match: *\r\n"), ("/web/nothing", "")]
                [n % 4];
        get(&service, path, headers).status
    });
}
