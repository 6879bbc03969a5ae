//! The service as a client sees it: API Gateway in front of the functions.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{LazyLock, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use local::{Client, Function, Gateway, Settings, Template, WebSocket, WebSocketSettings};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Database, binary, contract};

/// The routes.
pub static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| Template::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"))));

/// The gateway of one test and its functions, whose processes are started when they are needed.
pub struct Service {
    pub database: Database,
    database_url: String,
    connections_url: Option<String>,
    environments: usize,
    gateway: OnceLock<Running>,
    /// Connections that are open, each from its source.
    clients: Mutex<Vec<(IpAddr, Client)>>,
    request_ids: Mutex<Vec<String>>,
}

impl Service {
    /// A service on a fresh database.
    pub fn start() -> Self {
        Self::on(Database::fresh())
    }

    /// A service on `database`.
    pub fn on(database: Database) -> Self {
        let database_url = database.functions_url.clone();
        Self {
            database,
            database_url,
            connections_url: None,
            environments: 1,
            gateway: OnceLock::new(),
            clients: Mutex::default(),
            request_ids: Mutex::default(),
        }
    }

    /// With up to so many processes of each function, which work at the same time.
    pub fn environments(self, environments: usize) -> Self {
        Self { environments, ..self }
    }

    /// With functions that reach the database through `url`.
    pub fn through(self, url: impl Into<String>) -> Self {
        Self { database_url: url.into(), ..self }
    }

    /// With functions that push to `url`.
    pub fn pushing_to(self, url: impl Into<String>) -> Self {
        Self { connections_url: Some(url.into()), ..self }
    }

    /// The gateway, which is started when it is first needed.
    pub fn gateway(&self) -> &Gateway {
        let running = self.gateway.get_or_init(|| {
            let mut variables = vec![("DATABASE_URL", self.database_url.as_str())];
            variables.extend(self.connections_url.as_deref().map(|url| ("CONNECTIONS_URL", url)));
            let settings = Settings {
                template: TEMPLATE.clone(),
                binaries: binary("migrate").parent().unwrap().into(),
                environments: self.environments,
                variables: &variables,
                log: None,
                web_socket: WebSocketSettings::new(TcpListener::bind("127.0.0.1:0").unwrap()),
            };
            Running(Gateway::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings))
        });
        &running.0
    }

    /// The function of an operation.
    pub fn function(&self, name: &str) -> &Function {
        self.gateway().function(name).unwrap_or_else(|| panic!("the template has no route to {name}"))
    }

    /// A connection from one of this machine's addresses: one that is open and free, or a new one.
    pub fn client(&self, source: IpAddr) -> Client {
        let mut clients = self.clients.lock().unwrap();
        let free = clients.iter().position(|(from, _)| *from == source);
        let client = free.map(|position| clients.swap_remove(position).1);
        drop(clients);
        client.unwrap_or_else(|| Client::connect(self.gateway().address(), source).unwrap())
    }

    /// Hands `event` to a function, past the gateway; the function may not live to answer it.
    pub fn invoke(&self, operation: &'static str, event: &Value) -> Result<Answer, String> {
        let response = self.function(operation).invoke(event.to_string(), PATIENCE)?;
        let answer = Answer::of_function(&serde_json::from_str(&response.body).unwrap());
        let request_id = event["requestContext"]["requestId"].as_str();
        self.request_ids.lock().unwrap().extend(request_id.map(Into::into));
        answer.check(operation, event);
        Ok(answer)
    }

    /// API Gateway's ids of the requests so far, as the clients were told.
    pub fn request_ids(&self) -> Vec<String> {
        self.request_ids.lock().unwrap().clone()
    }

    /// What all functions have written.
    pub fn logs(&self) -> String {
        self.gateway().functions().map(Function::log).collect()
    }

    /// Opens a WebSocket with these headers; or returns the status with which it was refused.
    pub fn connect(&self, headers: &[(&str, &str)]) -> Result<WebSocket, u16> {
        let (server, source) = (self.gateway().web_socket_address(), Ipv4Addr::LOCALHOST.into());
        WebSocket::connect(server, source, "/", headers).map_err(|answer| answer.status)
    }

    /// A request of an operation.
    pub fn call(&self, operation: &'static str) -> Call<'_> {
        let route = TEMPLATE.route(operation).unwrap_or_else(|| panic!("no route to {operation}"));
        let (method, path) = route.split_once(' ').unwrap();
        let (query, headers, body, source) = (String::new(), Vec::new(), None, SOURCE.into());
        Call { service: self, operation, method, path, query, headers, body, source }
    }

    /// Creates a user with a password of its own and logs in.
    pub fn session(&self, username: &str) -> Session<'_> {
        self.call("create_user").json(json!({"username": username, "password": PASSWORD})).expect(201);
        self.log_in(username)
    }

    /// Logs in once more.
    pub fn log_in(&self, username: &str) -> Session<'_> {
        let answer = self.call("login").json(json!({"username": username, "password": PASSWORD})).expect(200);
        let token = answer.body["token"].as_str().unwrap().to_owned();
        Session { service: self, username: username.into(), token }
    }
}

/// A gateway that shows what the functions have logged of trouble, if the test fails.
struct Running(Gateway);

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            let logs: String = self.0.functions().map(Function::log).collect();
            logs.lines().filter(|line| line.contains("ERROR")).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// The password of every user whom [`Service::session`] creates.
pub const PASSWORD: &str = "correct horse battery";

/// A user who is logged in.
#[derive(Clone)]
pub struct Session<'a> {
    pub service: &'a Service,
    pub username: String,
    pub token: String,
}

impl<'a> Session<'a> {
    /// A request of an operation, in this session.
    pub fn call(&self, operation: &'static str) -> Call<'a> {
        self.service.call(operation).token(&self.token)
    }

    /// An open WebSocket.
    pub fn connect(&self) -> WebSocket {
        let offer = format!("chat.v1, {}", self.token);
        let socket = self.service.connect(&[("Sec-WebSocket-Protocol", &offer)]);
        socket.unwrap_or_else(|status| panic!("{status}"))
    }

    /// A message of this user.
    pub fn message(&self, receiver: &str, message: &str) -> Call<'a> {
        let body = json!({"sender": self.username, "receiver": receiver, "message": message});
        self.call("send_message").json(body)
    }

    /// A page of the conversation with `other`; `more` are further fields.
    pub fn page(&self, other: &str, more: Value) -> Call<'a> {
        let mut body = json!({"sender": self.username, "receiver": other});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("get_messages").json(body)
    }

    /// A page of the inbox, as `query` asks for it.
    pub fn inbox(&self, query: &str) -> Value {
        self.call("get_conversations").query(query).expect(200).body
    }

    /// What has changed, as `query` asks for it.
    pub fn changes(&self, query: &str) -> Value {
        self.call("get_changes").query(query).expect(200).body
    }

    /// A read marker of the conversation with `other`.
    pub fn mark(&self, other: &str, id: i64) -> Call<'a> {
        let body = json!({"sender": other, "receiver": self.username, "id": id});
        self.call("mark_read").json(body)
    }

    /// The ids of a page of the conversation with `other`, and its `more`.
    pub fn ids(&self, other: &str, more: Value) -> (Vec<i64>, bool) {
        let page = self.page(other, more).expect(200).body;
        let ids = page["messages"].as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap());
        (ids.collect(), page["more"].as_bool().unwrap())
    }
}

/// Longer than any answer may take, so that a test fails with a message rather than hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The address of clients that do not say where they are.
pub const SOURCE: &str = "127.0.0.1";

/// A request that is being put together.
#[derive(Clone)]
pub struct Call<'a> {
    service: &'a Service,
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    source: String,
}

impl Call<'_> {
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// A further header, or one more value of it.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_lowercase(), value.to_owned()));
        self
    }

    pub fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// The body, with its content type.
    pub fn json(self, body: Value) -> Self {
        self.header("Content-Type", "application/json").raw(body.to_string())
    }

    /// The body alone.
    pub fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The address of the client.
    pub fn from(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// Sends the request; fails unless it is answered with `status`.
    pub fn expect(self, status: u16) -> Answer {
        self.send().expect(status)
    }

    /// Sends the request.
    pub fn send(self) -> Answer {
        let function = self.service.function(self.operation);
        self.clone().attempt().unwrap_or_else(|error| {
            panic!("{}: the invocation failed: {error}; {}", self.operation, function.log())
        })
    }

    /// Sends the request to a function that may not live to answer it: over HTTP, unless HTTP can't carry it.
    pub fn attempt(self) -> Result<Answer, String> {
        match self.http() {
            Some((source, request)) => self.exchange(source, &request),
            None => self.service.invoke(self.operation, &self.event()),
        }
    }

    /// Where the request comes from and what it is in HTTP, if it can be sent from this machine and HTTP can carry it.
    fn http(&self) -> Option<(IpAddr, Vec<u8>)> {
        let source: IpAddr = self.source.parse().ok().filter(IpAddr::is_loopback)?;
        let is_query = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>".contains(&byte);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_header = |(name, value): &(String, String)| {
            !name.is_empty()
                && name.bytes().all(is_name)
                && !value.bytes().any(|byte| byte.is_ascii_control())
                && value.trim() == value
        };
        if !self.query.bytes().all(is_query) || !self.headers.iter().all(is_header) {
            return None;
        }
        let mark = if self.query.is_empty() { "" } else { "?" };
        let body = self.body.as_deref().unwrap_or_default();
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{} {}{mark}{} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n",
            self.method,
            self.path,
            self.query,
            headers.concat(),
            body.len(),
        );
        Some((source, [request.as_bytes(), body].concat()))
    }

    fn exchange(&self, source: IpAddr, request: &[u8]) -> Result<Answer, String> {
        let mut client = self.service.client(source);
        client.send(request).unwrap();
        let answer = client.receive(false).unwrap();
        self.service.clients.lock().unwrap().push((source, client));

        let mut answer = Answer::of_gateway(answer);
        let request_id = answer.headers.remove("apigw-requestid").expect("API Gateway tells its id");
        if let Some(message) = answer.body.get("message").filter(|_| answer.status >= 500) {
            return Err(format!("{} {message}", answer.status));
        }
        let mut event = self.event();
        event["requestContext"]["requestId"] = request_id.as_str().into();
        self.service.request_ids.lock().unwrap().push(request_id);
        answer.check(self.operation, &event);
        Ok(answer)
    }

    /// The event as API Gateway makes it, payload format 2.0: names of headers in lower case, repeated ones
    /// joined by commas, a body that is no text in base64.
    pub fn event(&self) -> Value {
        let mut headers = serde_json::Map::new();
        for (name, value) in &self.headers {
            let joined = match headers.get(name) {
                Some(first) => format!("{},{value}", first.as_str().unwrap()),
                None => value.clone(),
            };
            headers.insert(name.clone(), joined.into());
        }
        headers.insert("host".into(), "abcdefghij.execute-api.eu-central-1.amazonaws.com".into());
        let mut event = json!({
            "version": "2.0",
            "routeKey": format!("{} {}", self.method, self.path),
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abcdefghij",
                "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
                "domainPrefix": "abcdefghij",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": self.source,
                    "userAgent": "curl/8.5.0",
                },
                "requestId": REQUEST_ID,
                "routeKey": format!("{} {}", self.method, self.path),
                "stage": "$default",
                "time": "23/Nov/2026:10:00:00 +0000",
                "timeEpoch": 1_795_428_000_000_i64,
            },
            "isBase64Encoded": false,
        });
        if let Some(body) = &self.body {
            if let Ok(text) = str::from_utf8(body) {
                event["body"] = text.into();
            } else {
                event["body"] = BASE64_STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
        event
    }
}

/// API Gateway's id of every request that goes past it; its ids hold such characters.
const REQUEST_ID: &str = "JKJaXmPLvHcESHA=";

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Answer {
    /// Reads a function's response.
    fn of_function(response: &Value) -> Self {
        let headers: HashMap<_, _> = response["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_ne!(response["isBase64Encoded"], true);
        let body = response["body"].as_str().unwrap();
        let status = u16::try_from(response["statusCode"].as_i64().unwrap()).unwrap();
        Self { status, headers, body: serde_json::from_str(body).unwrap() }
    }

    /// Reads an answer, without the headers that are HTTP's own.
    pub fn of_gateway(answer: local::Answer) -> Self {
        let local::Answer { status, mut headers, body } = answer;
        headers.retain(|name, _| !["content-length", "date"].contains(&name.as_str()));
        Self { status, headers, body: serde_json::from_slice(&body).unwrap() }
    }

    /// Checks what holds for every answer to `event`.
    fn check(&self, operation: &str, event: &Value) {
        assert_eq!(self.header("cache-control"), Some("no-store"));
        if self.status < 400 {
            assert_eq!(self.header("content-type"), Some("application/json"));
        } else {
            self.check_problem(event);
        }
        contract::check(operation, event, self);
    }

    /// Checks what holds for every refusal of `event`.
    pub fn check_problem(&self, event: &Value) {
        let body = &self.body;
        let request_id = event["requestContext"]["requestId"].as_str();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["status"], self.status);
        let instance = body["instance"].as_str().and_then(|urn| urn.strip_prefix("urn:request:")).unwrap();
        assert!(
            instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)),
            "{body}"
        );
        let named = percent_decode_str(instance).decode_utf8().unwrap();
        // The id of an event that makes no sense is not found.
        let is_unreadable = body["detail"] == "The request can't be read.";
        assert!(is_unreadable || request_id.is_none_or(|id| id == named), "{body}");
        for member in ["title", "code", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {body}");
        }
        let mut headers = event["headers"].as_object().into_iter().flatten();
        let header = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let token_was_sent = header.and_then(|(_, value)| value.as_str()).is_some_and(|value| {
            let (scheme, token) = value.split_once(' ').unwrap_or_default();
            scheme.eq_ignore_ascii_case("bearer") && !token.trim_start_matches(' ').is_empty()
        });
        let challenge = match (self.status, self.code()) {
            (401, "INVALID_TOKEN") if token_was_sent => Some(r#"Bearer error="invalid_token""#),
            (401, _) => Some("Bearer"),
            _ => None,
        };
        assert_eq!(self.header("www-authenticate"), challenge, "{body}");
        assert_eq!(self.header("retry-after").is_some(), matches!(self.status, 429 | 503), "{body}");
        if let Some(errors) = body.get("errors") {
            let told = |error: &Value| error["field"].is_string() && error["detail"].is_string();
            assert!(
                errors.as_array().is_some_and(|errors| !errors.is_empty() && errors.iter().all(told)),
                "{body}"
            );
        }
    }

    /// Fails unless the status is `status`.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Fails unless it says that the database is away, when to try again, and nothing else.
    pub fn assert_unavailable(&self) {
        assert_eq!((self.status, self.code()), (503, "UNAVAILABLE"), "{}", self.body);
        let seconds: u32 = self.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds));
        let text = format!("{} {}", self.body["title"], self.body["detail"]).to_lowercase();
        for secret in ["sql", "127.0.0.1", "connection", "chat_", "proxy"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The `code` of the problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The fields at fault.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}
