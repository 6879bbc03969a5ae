//! The local API Gateway and Lambda answer as those of AWS do. The function behind them is `function`, a script.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use local::{Answer, Client, Gateway, Settings, Template, WebSocketSettings};
use serde_json::{Value, json};

/// With a second's time for each invocation.
const TEMPLATE: &str = "
Globals: {Function: {Timeout: 1}}
Parameters: {Origin: {Default: https://chat.example}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: [!Ref Origin, https://other.example]
        AllowMethods: [GET, POST]
        AllowHeaders: [Authorization, Content-Type]
        ExposeHeaders: [Retry-After]
        MaxAge: 600
  Echo:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: function}}
    Properties:
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: /echo}}
        Post: {Type: HttpApi, Properties: {Method: POST, Path: /echo}}
        File: {Type: HttpApi, Properties: {Method: GET, Path: '/echo/{file}'}}
        Own: {Type: HttpApi, Properties: {Method: GET, Path: /echo/own}}
        Two: {Type: HttpApi, Properties: {Method: GET, Path: '/{first}/of/{second}'}}
";

static READ: LazyLock<Template> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, TEMPLATE).unwrap();
    Template::read(file.path())
});

fn start(environments: usize) -> Gateway {
    let settings = Settings {
        template: READ.clone(),
        binaries: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"),
        environments,
        variables: &[],
        log: None,
        web_socket: WebSocketSettings::new(TcpListener::bind("127.0.0.1:0").unwrap()),
    };
    Gateway::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings)
}

fn client(gateway: &Gateway) -> Client {
    Client::connect(gateway.address(), Ipv4Addr::LOCALHOST.into()).unwrap()
}

/// Sends a request whose head is `head`, without the length of `body`, and returns the answer.
fn send(client: &mut Client, head: &str, body: &[u8]) -> Answer {
    let head = format!("{head}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send(&[head.as_bytes(), body].concat()).unwrap();
    client.receive(head.starts_with("HEAD")).unwrap()
}

fn post(gateway: &Gateway, body: &str) -> Answer {
    send(&mut client(gateway), "POST /echo HTTP/1.1", body.as_bytes())
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn an_event_is_what_api_gateway_sends() {
    let gateway = start(1);
    let mut client = Client::connect(gateway.address(), Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
    let head = "POST /echo?b=2&a=1&a=%C3%A9+%20&%FF&c HTTP/1.1\r\nX-Twice: one\r\nx-twice: two\r\nCookie: a=1; b=2\r\n\
                Cookie: c=3\r\nUser-Agent: test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Name: J\u{fc}rg";
    let answer = send(&mut client, head, "Gr\u{fc}\u{df}e".as_bytes());
    assert_eq!(answer.status, 200);
    let mut event = body(&answer);

    let context = &mut event["requestContext"];
    let id = context["requestId"].take();
    assert_eq!(id.as_str(), answer.headers.get("apigw-requestid").map(String::as_str));
    let time = context["time"].take();
    let time = time.as_str().unwrap();
    assert!(time.len() == 26 && time.ends_with(" +0000") && time.chars().nth(2) == Some('/'), "{time}");
    assert!(context["timeEpoch"].take().as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        event,
        json!({
            "version": "2.0",
            "routeKey": "POST /echo",
            "rawPath": "/echo",
            "rawQueryString": "b=2&a=1&a=%C3%A9+%20&%FF&c",
            "cookies": ["a=1", "b=2", "c=3"],
            "headers": {
                "content-length": "7",
                "host": "localhost",
                "user-agent": "test",
                "x-forwarded-for": "192.0.2.1,127.0.0.2",
                "x-forwarded-proto": "http",
                "x-name": "J\u{fc}rg",
                "x-twice": "one,two",
            },
            "queryStringParameters": {"a": "1,\u{e9}  ", "b": "2", "c": "", "\u{fffd}": ""},
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "localhost",
                "domainName": "localhost",
                "domainPrefix": "localhost",
                "http": {
                    "method": "POST",
                    "path": "/echo",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.2",
                    "userAgent": "test",
                },
                "requestId": null,
                "routeKey": "POST /echo",
                "stage": "$default",
                "time": null,
                "timeEpoch": null,
            },
            "body": "Gr\u{fc}\u{df}e",
            "isBase64Encoded": false,
        })
    );

    let event = body(&send(&mut client, "GET /echo HTTP/1.1", b""));
    for member in ["cookies", "queryStringParameters", "body"] {
        assert!(event.get(member).is_none(), "{member} is left out if there is none");
    }
}

#[test]
fn a_body_that_is_not_utf8_goes_in_base64() {
    let gateway = start(1);
    for (sent, encoded) in [(&b"Gr\xfc\xdfe"[..], "R3L832U="), (b"\x1f\x8b\x08\x00", "H4sIAA==")] {
        let event = body(&send(&mut client(&gateway), "POST /echo HTTP/1.1", sent));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(encoded), &json!(true)));
    }
}

#[test]
fn what_has_no_route_is_not_found() {
    let gateway = start(1);
    let mut client = client(&gateway);
    for request in [
        "GET /",
        "GET /echo/",
        "GET /ECHO",
        "GET /echo%2f",
        "GET //echo",
        "PUT /echo",
        "DELETE /echo",
        "TRACE /echo",
        "BREW /echo",
        "HEAD /echo",
    ] {
        let answer = send(&mut client, &format!("{request} HTTP/1.1"), b"");
        assert_eq!(answer.status, 404, "{request}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(answer.headers.contains_key("apigw-requestid"));
        if !request.starts_with("HEAD") {
            assert_eq!(body(&answer), json!({"message": "Not Found"}), "{request}");
        }
    }
}

#[test]
fn a_segment_of_the_path_can_be_a_parameter_and_exact_routes_come_first() {
    let gateway = start(1);
    let mut client = client(&gateway);
    for (path, route, parameters) in [
        ("/echo/a.js", "GET /echo/{file}", json!({"file": "a.js"})),
        ("/echo/a.js?b=c", "GET /echo/{file}", json!({"file": "a.js"})),
        ("/echo/%C3%A9%20+%2f", "GET /echo/{file}", json!({"file": "\u{e9} +/"})),
        ("/echo/%FF%00", "GET /echo/{file}", json!({"file": "\u{fffd}\0"})),
        ("/echo/%2e%2e", "GET /echo/{file}", json!({"file": ".."})),
        ("/echo/..", "GET /echo/{file}", json!({"file": ".."})),
        ("/echo/{file}", "GET /echo/{file}", json!({"file": "{file}"})),
        ("/echo/own", "GET /echo/own", Value::Null),
        ("/echo", "GET /echo", Value::Null),
        ("/1/of/2", "GET /{first}/of/{second}", json!({"first": "1", "second": "2"})),
    ] {
        let answer = send(&mut client, &format!("GET {path} HTTP/1.1"), b"");
        assert_eq!(answer.status, 200, "{path}");
        let event = body(&answer);
        assert_eq!((&event["routeKey"], &event["pathParameters"]), (&json!(route), &parameters), "{path}");
        assert_eq!(event["requestContext"]["routeKey"], route, "{path}");
        assert_eq!(event["rawPath"], path.split('?').next().unwrap());
    }
    for request in ["GET /echo/", "GET /echo/a/b", "GET /echo//", "POST /echo/a.js", "GET //of/2"] {
        let answer = send(&mut client, &format!("{request} HTTP/1.1"), b"");
        assert_eq!((answer.status, body(&answer)), (404, json!({"message": "Not Found"})), "{request}");
    }
}

#[test]
fn what_is_not_http_is_refused_and_the_others_are_served() {
    let gateway = start(1);
    for request in [
        "GET /echo?a=< HTTP/1.1",
        "GET /echo?a= b HTTP/1.1",
        "GET /echo HTTP/1.1\r\nNo colon",
        "GET /echo HTTP/1.1\r\nX-Bell: \u{7}",
        "GET /echo HTTP/1.1\r\n: no name",
        "GET /echo HTTP/9",
        "\u{16}\u{3}\u{1}",
    ] {
        let status = send(&mut client(&gateway), request, b"").status;
        assert!((200..500).contains(&status), "{request}: {status}");
    }
    let many = (0..200).map(|n| format!("\r\nx-{n}: y")).collect::<Vec<_>>().concat();
    assert_eq!(send(&mut client(&gateway), &format!("GET /echo HTTP/1.1{many}"), b"").status, 431);
    assert_eq!(post(&gateway, "").status, 200);
}

#[test]
fn limits_are_those_of_api_gateway_and_lambda() {
    let gateway = start(1);
    let mut client = client(&gateway);
    let too_large = json!({"message": "Request Entity Too Large"});
    // Beyond API Gateway's limit, and beyond Lambda's for the event that the body is part of.
    for length in [10 * 1024 * 1024 + 1, 6 * 1024 * 1024] {
        let answer = send(&mut client, "POST /echo HTTP/1.1", &vec![b'x'; length]);
        assert_eq!((answer.status, body(&answer)), (413, too_large.clone()));
    }
    assert_eq!(send(&mut client, "POST /echo HTTP/1.1", &vec![b'x'; 1024 * 1024]).status, 200);

    let with_header = |length| format!("GET /echo HTTP/1.1\r\nX-Long: {}", "x".repeat(length));
    assert_eq!(send(&mut client, &with_header(10_000), b"").status, 200);
    assert_eq!(send(&mut client, &with_header(10_240), b"").status, 431);

    assert_eq!(post(&gateway, "fill 5000000").body.len(), 5_000_000);
    assert_eq!(post(&gateway, "fill 7000000").status, 500);
}

#[test]
fn cors_is_that_of_the_template() {
    let gateway = start(1);
    let mut client = client(&gateway);
    let cors = |answer: &Answer| {
        let mut names: Vec<_> =
            answer.headers.keys().filter(|name| name.starts_with("access-control")).cloned().collect();
        names.sort();
        names.into_iter().map(|name| (name.clone(), answer.headers[&name].clone())).collect::<Vec<_>>()
    };
    let headers = |list: &[(&str, &str)]| {
        list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>()
    };
    let preflight = "\r\nAccess-Control-Request-Method: POST";
    for path in ["/echo", "/anything"] {
        for origin in ["https://chat.example", "https://other.example"] {
            let answer =
                send(&mut client, &format!("OPTIONS {path} HTTP/1.1\r\nOrigin: {origin}{preflight}"), b"");
            assert_eq!((answer.status, answer.body.len()), (204, 0));
            let expected = [
                ("access-control-allow-headers", "authorization,content-type"),
                ("access-control-allow-methods", "GET,POST"),
                ("access-control-allow-origin", origin),
                ("access-control-max-age", "600"),
            ];
            assert_eq!(cors(&answer), headers(&expected));
        }
    }
    for origin in
        ["", "\r\nOrigin: https://evil.example", "\r\nOrigin: null", "\r\nOrigin: https://CHAT.example"]
    {
        let answer = send(&mut client, &format!("OPTIONS /echo HTTP/1.1{origin}{preflight}"), b"");
        assert_eq!((answer.status, cors(&answer)), (204, Vec::new()), "{origin}");
        let answer = send(&mut client, &format!("GET /echo HTTP/1.1{origin}"), b"");
        assert_eq!((answer.status, cors(&answer)), (200, Vec::new()), "{origin}");
    }
    let own = json!({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}});
    let answer = send(
        &mut client,
        "POST /echo HTTP/1.1\r\nOrigin: https://chat.example",
        format!("respond {own}").as_bytes(),
    );
    let expected = [
        ("access-control-allow-origin", "https://chat.example"),
        ("access-control-expose-headers", "retry-after"),
    ];
    assert_eq!(cors(&answer), headers(&expected), "the function's own headers are replaced");
}

#[test]
fn a_response_becomes_an_answer() {
    let gateway = start(1);
    let respond = |response: Value| post(&gateway, &format!("respond {response}"));

    let answer = respond(json!({
        "statusCode": 201,
        "headers": {"Content-Type": "text/html", "X-Own": "1"},
        "cookies": ["a=1"],
        "body": "SGk=",
        "isBase64Encoded": true,
    }));
    assert_eq!((answer.status, answer.body.as_slice()), (201, &b"Hi"[..]));
    for (name, value) in [("content-type", "text/html"), ("x-own", "1"), ("set-cookie", "a=1")] {
        assert_eq!(answer.headers[name], value);
    }
    let answer = respond(json!({"statusCode": 204}));
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let answer = respond(json!({"greeting": "Hi"}));
    assert_eq!((answer.status, body(&answer)), (200, json!({"greeting": "Hi"})));
    assert_eq!(answer.headers["content-type"], "application/json");

    for malformed in [
        json!({"statusCode": "many"}),
        json!({"statusCode": 9}),
        json!({"statusCode": 200, "headers": {"a b": "c"}}),
        json!({"statusCode": 200, "body": "=", "isBase64Encoded": true}),
    ] {
        let answer = respond(malformed);
        assert_eq!((answer.status, body(&answer)), (500, json!({"message": "Internal Server Error"})));
    }
}

#[test]
fn environments_work_at_the_same_time_up_to_their_number() {
    let gateway = start(4);
    gateway.function("function").unwrap().warm();
    let time = |requests| {
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..requests {
                scope.spawn(|| assert_eq!(post(&gateway, "sleep 0.3").status, 200));
            }
        });
        started.elapsed()
    };
    let four = time(4);
    assert!((Duration::from_millis(300)..Duration::from_millis(600)).contains(&four), "{four:?}");
    let five = time(5);
    assert!(five >= Duration::from_millis(600), "the fifth waits: {five:?}");
    assert_eq!(gateway.function("function").unwrap().processes().len(), 4);
}

#[test]
fn an_environment_that_ends_or_takes_too_long_is_replaced() {
    let gateway = start(1);
    let function = gateway.function("Echo").expect("a function has its logical id for a name too");
    let mut processes = HashSet::new();
    for body_of_request in ["end", "sleep 5", "fail"] {
        assert_eq!(post(&gateway, "").status, 200);
        processes.extend(function.processes());
        let answer = post(&gateway, body_of_request);
        assert_eq!((answer.status, body(&answer)), (500, json!({"message": "Internal Server Error"})));
    }
    assert_eq!(post(&gateway, "").status, 200);
    processes.extend(function.processes());
    assert_eq!(processes.len(), 3, "one that reports an error lives on");
}

#[test]
fn a_function_that_can_not_start_is_an_error_and_not_tried_for_ever() {
    let missing = local::Function::new("/nowhere", 1, &[], tempfile::tempfile().unwrap());
    let error = missing.invoke("{}", Duration::from_secs(5)).unwrap_err();
    assert!(error.contains("Runtime.InvalidEntrypoint"), "{error}");
    let ends_at_once = local::Function::new("/bin/false", 1, &[], tempfile::tempfile().unwrap());
    let error = ends_at_once.invoke("{}", Duration::from_secs(5)).unwrap_err();
    assert!(error.contains("Runtime.ExitError"), "{error}");
}

#[test]
fn functions_can_be_invoked_as_on_lambda() {
    let gateway = start(1);
    let mut client = client(&gateway);
    let mut invoke = |name: &str, event: &str| {
        send(
            &mut client,
            &format!("POST /2015-03-31/functions/{name}/invocations HTTP/1.1"),
            event.as_bytes(),
        )
    };
    let answer = invoke("function", r#"{"a": 1}"#);
    assert_eq!((answer.status, body(&answer)["body"].as_str()), (200, Some(r#"{"a": 1}"#)));
    assert!(!answer.headers.contains_key("x-amz-function-error"));
    assert_eq!(answer.headers["x-amz-executed-version"], "$LATEST");

    for (event, error) in [(r#"{"body": "end"}"#, "Runtime.ExitError"), (r#"{"body": "fail"}"#, "Failure")] {
        let answer = invoke("Echo", event);
        assert_eq!((answer.status, body(&answer)["errorType"].as_str()), (200, Some(error)));
        assert_eq!(answer.headers["x-amz-function-error"], "Unhandled");
    }
    for (name, event, status, kind) in [
        ("nobody", "{}", 404, "ResourceNotFoundException"),
        ("function", "{", 400, "InvalidRequestContentException"),
    ] {
        let answer = invoke(name, event);
        assert_eq!((answer.status, answer.headers["x-amzn-errortype"].as_str()), (status, kind));
    }
    let answer = invoke("function", &format!("\"{}\"", "x".repeat(6 * 1024 * 1024)));
    assert_eq!(
        (answer.status, answer.headers["x-amzn-errortype"].as_str()),
        (413, "RequestTooLargeException")
    );
}
