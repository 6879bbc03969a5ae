//! What holds for the WebSocket API and the `@connections` API. The function behind `$connect` is `function`, a script.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use local::{Answer, Client, Gateway, Settings, Template, WebSocket, WebSocketSettings};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const TEMPLATE: &str = "
Globals: {Function: {Timeout: 2}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
  WebSocketApi:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      Routes:
        $connect: {FunctionArn: !GetAtt Connect.Arn}
        $default: {IntegrationType: MOCK}
  Connect:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: function}}
";

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// In which nothing is to happen.
const MOMENT: Duration = Duration::from_millis(100);

/// A gateway, and who may push through it.
struct Service {
    gateway: Gateway,
    variables: HashMap<String, String>,
}

/// What is wrong with a signature.
#[derive(Default)]
struct Signing<'a> {
    secret: Option<&'a str>,
    token: Option<&'a str>,
    region: Option<&'a str>,
    service: Option<&'a str>,
    /// Another body than that which is sent.
    body: Option<&'a str>,
    /// Seconds from now.
    ago: u64,
}

impl Service {
    fn start(idle: Duration, age: Duration, template: &str, variables: &[(&str, &str)]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, template).unwrap();
        let settings = Settings {
            template: Template::read(file.path()),
            binaries: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"),
            environments: 2,
            variables,
            log: None,
            web_socket: WebSocketSettings { listener: TcpListener::bind("127.0.0.1:0").unwrap(), idle, age },
        };
        let gateway = Gateway::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings);
        let variables = gateway.function("Connect").map_or_else(HashMap::new, |function| {
            let response = function.invoke(r#"{"body": "variables"}"#, PATIENCE).unwrap();
            let response: Value = serde_json::from_str(&response.body).unwrap();
            serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
        });
        Self { gateway, variables }
    }

    fn new() -> Self {
        Self::start(PATIENCE * 6, PATIENCE * 6, TEMPLATE, &[])
    }

    /// A connection whose first request tells the function to do something.
    fn connect(&self, told: &str, headers: &[(&str, &str)]) -> Result<WebSocket, Answer> {
        let told = utf8_percent_encode(told, NON_ALPHANUMERIC);
        let source = Ipv4Addr::new(127, 0, 0, 2).into();
        WebSocket::connect(self.gateway.web_socket_address(), source, &format!("/?do={told}"), headers)
    }

    /// A connection with its id.
    fn connected(&self) -> (WebSocket, String) {
        let socket = self.connect("print", &[]).unwrap();
        (socket, self.last_id())
    }

    /// The `$connect` events that the function has printed.
    fn events(&self) -> Vec<Value> {
        let log = self.gateway.function("Connect").unwrap().log();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn last_id(&self) -> String {
        self.events().last().unwrap()["requestContext"]["connectionId"].as_str().unwrap().into()
    }

    /// A signed request about a connection.
    fn signed(&self, method: &str, id: &str, body: &[u8], signing: &Signing<'_>) -> Answer {
        let variable = |name: &str| self.variables[name].as_str();
        let path = format!("/@connections/{}", id.replace('=', "%3D"));
        let url = format!("{}{path}", variable("CONNECTIONS_URL"));
        let secret = signing.secret.unwrap_or_else(|| variable("AWS_SECRET_ACCESS_KEY"));
        let token = signing.token.unwrap_or_else(|| variable("AWS_SESSION_TOKEN")).to_owned();
        let identity =
            Credentials::new(variable("AWS_ACCESS_KEY_ID"), secret, Some(token), None, "test").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(signing.region.unwrap_or_else(|| variable("AWS_REGION")))
            .name(signing.service.unwrap_or("execute-api"))
            .time(SystemTime::now() - Duration::from_secs(signing.ago))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let signed_body = SignableBody::Bytes(signing.body.map_or(body, str::as_bytes));
        let request = SignableRequest::new(method, url, [].into_iter(), signed_body).unwrap();
        let (instructions, _) = sign(request, &parameters.into()).unwrap().into_parts();
        let headers = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers = headers.collect::<Vec<_>>().concat();
        self.request(method, &path, &headers, body)
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let address = self.gateway.web_socket_address();
        let mut client = Client::connect(address, Ipv4Addr::LOCALHOST.into()).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        client.send(&[head.as_bytes(), body].concat()).unwrap();
        client.receive(false).unwrap()
    }

    fn push(&self, id: &str, text: &str) -> u16 {
        self.signed("POST", id, text.as_bytes(), &Signing::default()).status
    }
}

fn message(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["message"].as_str().unwrap().into()
}

#[test]
fn a_connect_event_is_what_api_gateway_sends() {
    let service = Service::new();
    let headers = [
        ("sec-websocket-protocol", "chat.v1, token"),
        ("User-Agent", "test"),
        ("x-twice", "one"),
        ("x-twice", "two"),
    ];
    let told = r#"respond {"statusCode": 401}"#;
    service.connect(told, &headers).map(drop).unwrap_err();
    let socket = service.connect("print", &headers[1..]).unwrap();
    assert_eq!(socket.protocol(), None);

    let mut event = service.events().remove(0);
    let mut taken = |pointer: &str| event.pointer_mut(pointer).unwrap().take();
    let [key, key_in_list] =
        ["/headers/Sec-WebSocket-Key", "/multiValueHeaders/Sec-WebSocket-Key/0"].map(&mut taken);
    assert_eq!(key, key_in_list);
    let id = taken("/requestContext/connectionId");
    assert!(id.as_str().is_some_and(|id| id.len() == 16 && id.ends_with('=')), "{id}");
    let request_id = taken("/requestContext/requestId");
    assert_eq!(taken("/requestContext/extendedRequestId"), request_id);
    assert!(taken("/requestContext/requestTime").as_str().unwrap().ends_with(" +0000"));
    for time in ["connectedAt", "requestTimeEpoch"] {
        assert!(taken(&format!("/requestContext/{time}")).as_u64().unwrap() > 1_700_000_000_000);
    }
    let host = service.gateway.web_socket_address().to_string();
    assert_eq!(
        event,
        json!({
            "headers": {
                "Host": host,
                "Sec-WebSocket-Key": null,
                "Sec-WebSocket-Version": "13",
                "User-Agent": "test",
                "X-Forwarded-For": "127.0.0.2",
                "X-Forwarded-Proto": "http",
                "X-Twice": "two",
            },
            "multiValueHeaders": {
                "Host": [host],
                "Sec-WebSocket-Key": [null],
                "Sec-WebSocket-Version": ["13"],
                "User-Agent": ["test"],
                "X-Forwarded-For": ["127.0.0.2"],
                "X-Forwarded-Proto": ["http"],
                "X-Twice": ["one", "two"],
            },
            "queryStringParameters": {"do": "print"},
            "multiValueQueryStringParameters": {"do": ["print"]},
            "requestContext": {
                "routeKey": "$connect",
                "eventType": "CONNECT",
                "extendedRequestId": null,
                "requestTime": null,
                "messageDirection": "IN",
                "stage": "$default",
                "connectedAt": null,
                "requestTimeEpoch": null,
                "identity": {"sourceIp": "127.0.0.2", "userAgent": "test"},
                "requestId": null,
                "domainName": "localhost",
                "connectionId": null,
                "apiId": "localhost",
            },
            "isBase64Encoded": false,
        })
    );
}

#[test]
fn the_function_decides_who_connects_and_with_which_protocol() {
    let service = Service::new();
    let protocols = [("Sec-WebSocket-Protocol", "chat.v1, token")];
    let accepted = r#"respond {"statusCode": 200, "headers": {"sec-websocket-protocol": "chat.v1"}}"#;
    let socket = service.connect(accepted, &protocols).unwrap();
    assert_eq!(socket.protocol(), Some("chat.v1"));

    for status in [401, 403, 503] {
        let told = format!(r#"respond {{"statusCode": {status}, "body": "no"}}"#);
        let answer = service.connect(&told, &protocols).map(drop).unwrap_err();
        assert_eq!((answer.status, answer.body.len()), (status, 0));
    }
    for told in ["fail", "end", r#"respond {"statusCode": "many"}"#, "sleep 5"] {
        let answer = service.connect(told, &protocols).map(drop).unwrap_err();
        assert_eq!((answer.status, message(&answer).as_str()), (502, "Internal server error"), "{told}");
    }
}

#[test]
fn what_is_no_websocket_request_or_has_no_route_is_forbidden() {
    let service = Service::new();
    for (method, path) in [("GET", "/"), ("POST", "/"), ("GET", "/other"), ("GET", "/@connections")] {
        let answer = service.request(method, path, "", b"");
        assert_eq!((answer.status, message(&answer).as_str()), (403, "Forbidden"), "{method} {path}");
    }
    let address = service.gateway.web_socket_address();
    let answer = WebSocket::connect(address, Ipv4Addr::LOCALHOST.into(), "/other", &[]).map(drop);
    assert_eq!(answer.unwrap_err().status, 403);

    let without = TEMPLATE.replace("AWS::Serverless::WebSocketApi", "Other");
    let service = Service::start(PATIENCE, PATIENCE, &without, &[]);
    assert!(service.gateway.function("Connect").is_none());
    assert_eq!(service.connect("", &[]).map(drop).unwrap_err().status, 403);
}

#[test]
fn pushes_arrive_as_sent_and_in_order_on_their_connection_alone() {
    let service = Service::new();
    let (mut first, first_id) = service.connected();
    let (mut second, second_id) = service.connected();
    assert_ne!(first_id, second_id);
    let texts: Vec<_> =
        (0..50).map(|n| format!("{n} \u{1f392} \u{202e}\0\r\n {}", "x".repeat(n * n))).collect();
    for text in &texts {
        assert_eq!(service.push(&first_id, text), 200);
    }
    let largest = "x".repeat(128 * 1024);
    assert_eq!(service.push(&first_id, &largest), 200);
    for text in texts.iter().chain([&largest]) {
        assert_eq!(first.receive(PATIENCE).as_ref(), Some(text));
    }
    assert_eq!(second.receive(MOMENT), None);
    assert_eq!(second.closed(MOMENT), None, "it is open");
}

#[test]
fn a_connection_is_gone_before_the_client_knows_of_it_and_after_its_end() {
    let service = Service::new();
    let mut socket = thread::scope(|scope| {
        let connecting = scope.spawn(|| service.connect("print 0.5", &[]).unwrap());
        while service.events().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(service.push(&service.last_id(), "early"), 410);
        connecting.join().unwrap()
    });
    let id = service.last_id();
    assert_eq!(service.push(&id, "in time"), 200);
    assert_eq!(socket.receive(PATIENCE).as_deref(), Some("in time"));

    socket.close();
    assert_eq!(socket.closed(PATIENCE), Some(1000));
    let (dropped, dropped_id) = service.connected();
    drop(dropped);
    let deadline = Instant::now() + PATIENCE;
    for id in [&id, &dropped_id] {
        while service.push(id, "late") == 200 {
            assert!(Instant::now() < deadline, "the gateway learns of the end");
        }
    }
    for id in [&id, &dropped_id, "L0SM9cOFvHcCIhw="] {
        for method in ["POST", "GET", "DELETE"] {
            let answer = service.signed(method, id, b"", &Signing::default());
            assert_eq!((answer.status, answer.headers["x-amzn-errortype"].as_str()), (410, "GoneException"));
        }
    }
    for id in ["", "a", "L0SM9cOFvHcCIhw", "L0SM9cOFvHcCIhwL0SM9cOF"] {
        assert_eq!(service.push(id, "text"), 400, "{id}");
    }
}

#[test]
fn a_connection_can_be_asked_about_and_closed() {
    let service = Service::new();
    let (mut socket, id) = service.connected();
    let status = || {
        let answer = service.signed("GET", &id, b"", &Signing::default());
        assert_eq!(answer.status, 200);
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let first = status();
    assert_eq!(first["identity"], json!({"sourceIp": "127.0.0.2"}));
    assert_eq!(first["connectedAt"], first["lastActiveAt"]);
    assert!(socket.ping(PATIENCE));
    socket.send("ping");
    assert_eq!(socket.receive(MOMENT), None, "clients get no answer");
    let later = status();
    assert_eq!(later["connectedAt"], first["connectedAt"]);
    assert!(later["lastActiveAt"].as_str() > first["lastActiveAt"].as_str(), "{later}");

    assert_eq!(service.push(&id, "last"), 200);
    assert_eq!(service.signed("DELETE", &id, b"", &Signing::default()).status, 204);
    assert_eq!(service.push(&id, "more"), 410);
    assert_eq!(socket.receive(PATIENCE).as_deref(), Some("last"));
    assert_eq!(socket.closed(PATIENCE), Some(1000));
}

#[test]
fn a_function_can_push_with_what_is_in_its_environment() {
    let service = Service::new();
    let (mut socket, id) = service.connected();
    let function = service.gateway.function("Connect").unwrap();
    let event = json!({"body": format!("push {id} Gr\u{fc}\u{df}e, Bob")});
    let response = function.invoke(event.to_string(), PATIENCE).unwrap();
    assert_eq!(response.body, r#"{"statusCode": 200}"#);
    assert_eq!(socket.receive(PATIENCE).as_deref(), Some("Gr\u{fc}\u{df}e, Bob"));
}

#[test]
fn only_the_functions_may_push() {
    let service = Service::new();
    let (mut socket, id) = service.connected();
    let wrong = [
        Signing { secret: Some("secret"), ..Signing::default() },
        Signing { token: Some("token"), ..Signing::default() },
        Signing { region: Some("eu-central-1"), ..Signing::default() },
        Signing { service: Some("rds"), ..Signing::default() },
        Signing { body: Some("other"), ..Signing::default() },
        Signing { ago: 301, ..Signing::default() },
    ];
    for signing in &wrong {
        let answer = service.signed("POST", &id, b"text", signing);
        assert_eq!(answer.status, 403);
        assert!(message(&answer).to_lowercase().contains("signature"), "{answer:?}");
    }
    for authorization in ["", "Authorization: AWS4-HMAC-SHA256\r\nX-Amz-Date: 20261123T000000Z\r\n"] {
        let answer = service.request("POST", &format!("/@connections/{id}"), authorization, b"text");
        assert_eq!(answer.status, 403);
        assert!(!message(&answer).is_empty());
    }
    assert_eq!(socket.receive(MOMENT), None);
    let recent = Signing { ago: 280, ..Signing::default() };
    assert_eq!(service.signed("POST", &id, b"text", &recent).status, 200);
    assert_eq!(socket.receive(PATIENCE).as_deref(), Some("text"));
}

#[test]
fn what_is_too_large_is_refused() {
    let service = Service::new();
    let (mut socket, id) = service.connected();
    let answer = service.signed("POST", &id, &vec![b'x'; 128 * 1024 + 1], &Signing::default());
    assert_eq!(
        (answer.status, answer.headers["x-amzn-errortype"].as_str()),
        (413, "PayloadTooLargeException")
    );

    let frame = &*"x".repeat(32 * 1024);
    socket.send(frame);
    socket.send_frames(&[frame; 4]);
    assert!(socket.ping(PATIENCE), "it is open");
    socket.send(&format!("{frame}x"));
    assert_eq!(socket.closed(PATIENCE), Some(1009));
    assert_eq!(service.push(&id, "text"), 410);

    let (mut socket, _) = service.connected();
    socket.send_frames(&[frame, frame, frame, frame, "x"]);
    assert_eq!(socket.closed(PATIENCE), Some(1009));

    let (mut socket, _) = service.connected();
    socket.send(&frame.repeat(100));
    assert_eq!(socket.closed(PATIENCE), Some(1009), "also if most of it is left unread");
}

#[test]
fn connections_end_when_they_are_idle_or_old() {
    let idle = Duration::from_millis(600);
    let service = Service::start(idle, PATIENCE * 6, TEMPLATE, &[]);
    let (mut socket, id) = service.connected();
    let started = Instant::now();
    while started.elapsed() < idle * 2 {
        thread::sleep(idle / 6);
        assert_eq!(service.push(&id, "text"), 200, "what is in use stays open");
    }
    let last = Instant::now();
    assert_eq!(socket.closed(PATIENCE), Some(1001));
    assert!(last.elapsed() > idle / 2, "{:?}", last.elapsed());
    assert_eq!(service.push(&id, "text"), 410);

    let age = Duration::from_millis(600);
    let service = Service::start(PATIENCE * 6, age, TEMPLATE, &[]);
    let started = Instant::now();
    let (mut socket, _) = service.connected();
    while socket.closed(age / 10).is_none() {
        socket.send("ping");
        assert!(started.elapsed() < PATIENCE, "use does not make it younger");
    }
    assert_eq!(socket.closed(PATIENCE), Some(1001));
    assert!(started.elapsed() >= age);
}

#[test]
fn a_client_that_does_not_read_is_disconnected_and_the_others_are_served() {
    let service = Service::new();
    let (mut silent, silent_id) = service.connected();
    let (mut other, other_id) = service.connected();
    let text = "x".repeat(128 * 1024);
    // More than the buffers of the network and the gateway hold.
    let taken = (0..1000).take_while(|_| service.push(&silent_id, &text) == 200).count();
    assert!((128..1000).contains(&taken), "{taken}");
    assert_eq!(service.push(&silent_id, "text"), 410);
    assert_eq!(service.push(&other_id, "text"), 200);
    assert_eq!(other.receive(PATIENCE).as_deref(), Some("text"));
    assert_eq!(silent.closed(PATIENCE), Some(1006));
}

#[test]
fn a_setting_takes_the_place_of_the_gateways_own() {
    let own = Service::new().variables;
    let url = own["CONNECTIONS_URL"].strip_prefix("http://127.0.0.1:").unwrap();
    assert!(url.parse::<u16>().is_ok(), "{url}");
    assert_eq!(own["WEB_SOCKET_URL"], format!("ws://127.0.0.1:{url}"), "where clients connect");
    let variables = [("CONNECTIONS_URL", "http://proxy"), ("OTHER", "1")];
    let service = Service::start(PATIENCE, PATIENCE, TEMPLATE, &variables);
    assert_eq!(
        (service.variables["CONNECTIONS_URL"].as_str(), &*service.variables["OTHER"]),
        ("http://proxy", "1")
    );
    assert_ne!(service.variables["AWS_SECRET_ACCESS_KEY"], own["AWS_SECRET_ACCESS_KEY"]);
}
