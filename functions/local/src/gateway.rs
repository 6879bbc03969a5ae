//! API Gateway: an HTTP API in front of the functions, and beside it the WebSocket API.
//!
//! It answers as API Gateway does, with two exceptions: it does not throttle, and a request line or a header that hyper
//! can't read is a 400 without a body.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderName,
    HeaderValue, ORIGIN,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::task::AbortHandle;

use crate::function::Function;
use crate::http::{self, Answer, empty, message};
use crate::signature::{REGION, credentials};
use crate::template::{Cors, FunctionTemplate, Template};
use crate::web_socket::{WebSocketApi, WebSocketSettings};
use crate::{event, invoke_api};

/// The largest body, in bytes (Amazon API Gateway Developer Guide, "Quotas for configuring and running an HTTP API").
const MAX_BODY: usize = 10 * 1024 * 1024;
/// The largest request line and headers together, in bytes (same page).
const MAX_HEAD: usize = 10_240;
/// The largest event of a synchronous invocation, in bytes (AWS Lambda Developer Guide, "Lambda quotas").
pub(crate) const MAX_EVENT: usize = 6 * 1024 * 1024;

/// API Gateway's id of a request, told to client and function.
const REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");

/// A running HTTP API and a running WebSocket API, with their functions. They end when it is dropped.
pub struct Gateway {
    api: Arc<Api>,
    address: SocketAddr,
    server: AbortHandle,
    web_socket_api: Arc<WebSocketApi>,
    web_socket_address: SocketAddr,
    web_socket_server: AbortHandle,
}

/// What a gateway serves.
pub struct Settings<'a> {
    /// The routes, CORS, and which functions there are.
    pub template: Template,
    /// The directory of the functions' binaries.
    pub binaries: PathBuf,
    /// How many environments each function may have.
    pub environments: usize,
    /// The functions' environment variables. They also have `WEB_SOCKET_URL`, where clients connect, and those with which
    /// they can push to connections: `CONNECTIONS_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN`; unless these are set here to something else.
    pub variables: &'a [(&'a str, &'a str)],
    /// What the functions write to, if not each to a file of its own, which [`Function::log`] tells.
    pub log: Option<File>,
    /// How the WebSocket API is served. It refuses every connection if the template has no such API.
    pub web_socket: WebSocketSettings,
}

pub(crate) struct Api {
    pub(crate) functions: Vec<(FunctionTemplate, Function)>,
    /// The number of the function, by method and path.
    routes: HashMap<String, usize>,
    /// The routes with parameters, as in `GET /web/{file}`, and the numbers of their functions.
    patterns: Vec<(String, usize)>,
    cors: Cors,
    pub(crate) timeout: Duration,
}

impl Gateway {
    /// Serves the HTTP API at `listener`.
    #[must_use]
    pub fn start(listener: TcpListener, settings: Settings<'_>) -> Self {
        let Settings { template, binaries, environments, variables, log, web_socket } = settings;
        let Template { functions, connect, cors, timeout } = template;
        let web_socket_address = web_socket.listener.local_addr().expect("its address");
        let web_socket_url = format!("ws://{web_socket_address}");
        let connections_url = format!("http://{web_socket_address}");
        let credentials = credentials();
        let own = [
            ("WEB_SOCKET_URL", web_socket_url.as_str()),
            ("CONNECTIONS_URL", connections_url.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
            ("AWS_SESSION_TOKEN", credentials.session_token().expect("a token")),
        ];
        // Of two with one name, the last is valid.
        let variables = [&own, variables].concat();
        let log = || match &log {
            Some(log) => log.try_clone(),
            None => tempfile::tempfile(),
        };
        let start = |template: FunctionTemplate| {
            let binary = binaries.join(&template.binary);
            (template, Function::new(binary, environments, &variables, log().expect("a log")))
        };
        let functions: Vec<_> = functions.into_iter().map(start).collect();
        let routes = functions.iter().enumerate();
        let routes = routes
            .flat_map(|(number, (template, _))| template.routes.iter().map(move |route| (route, number)));
        let routes = routes.map(|(route, number)| (route.clone(), number));
        let (patterns, exact): (Vec<_>, Vec<_>) = routes.partition(|(route, _)| route.contains('{'));
        let routes = exact.into_iter().collect();

        let address = listener.local_addr().expect("its address");
        let api = Arc::new(Api { functions, routes, patterns, cors, timeout });
        let server = http::serve(listener, {
            let api = Arc::clone(&api);
            move |client, request| Arc::clone(&api).serve(client, request)
        });
        let (idle, age) = (web_socket.idle, web_socket.age);
        let web_socket_api = Arc::new(WebSocketApi::new(Arc::clone(&api), connect, credentials, idle, age));
        let web_socket_server = http::serve(web_socket.listener, {
            let api = Arc::clone(&web_socket_api);
            move |client, request| Arc::clone(&api).serve(client, request)
        });
        Self {
            api,
            address,
            server: server.expect("a server"),
            web_socket_api,
            web_socket_address,
            web_socket_server: web_socket_server.expect("a server"),
        }
    }

    /// Where the HTTP API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the WebSocket API listens, for clients and for those who push to them.
    #[must_use]
    pub fn web_socket_address(&self) -> SocketAddr {
        self.web_socket_address
    }

    /// Its functions.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.api.functions.iter().map(|(_, function)| function)
    }

    /// The function of a binary, or of a logical id of the template.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.api.function(name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
        self.web_socket_server.abort();
        self.web_socket_api.close();
        self.functions().for_each(Function::close);
    }
}

impl Api {
    pub(crate) fn function(&self, name: &str) -> Option<&Function> {
        let is_it = |template: &FunctionTemplate| template.binary == name || template.id == name;
        self.functions.iter().find(|(template, _)| is_it(template)).map(|(_, function)| function)
    }

    async fn serve(self: Arc<Self>, client: SocketAddr, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        if let Some(name) = invoke_api::function_name(&parts) {
            return invoke_api::invoke(&self, name, body).await;
        }
        let id = event::new_id();
        let mut answer = self.answer(&parts, body, &id, client.ip()).await;
        answer.headers_mut().insert(REQUEST_ID, HeaderValue::try_from(id).expect("base64"));
        answer
    }

    async fn answer(&self, parts: &Parts, body: Incoming, id: &str, source: IpAddr) -> Answer {
        // Read in any case, so that the connection can be used again.
        let body = http::body(body, MAX_BODY).await;
        if head_size(parts) > MAX_HEAD {
            return message(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let request = format!("{} {}", parts.method, parts.uri.path());
        let Some((route, function, parameters)) = self.route(&request) else {
            let is_preflight = parts.method == Method::OPTIONS;
            return if is_preflight {
                self.cors.preflight(&parts.headers)
            } else {
                message(StatusCode::NOT_FOUND)
            };
        };
        let Ok(body) = body else { return message(StatusCode::PAYLOAD_TOO_LARGE) };
        let event = event::event(parts, &body, route, &parameters, id, source);
        if event.len() > MAX_EVENT {
            return message(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let outcome = self.functions[function].1.respond(event, self.timeout).await;
        let answer = outcome.ok().and_then(|response| event::answer(response.body));
        let Some(mut answer) = answer else { return message(StatusCode::INTERNAL_SERVER_ERROR) };
        self.cors.add(&parts.headers, answer.headers_mut());
        answer
    }

    /// The route of a request, the number of its function, and the values of the path's parameters. An exact route comes
    /// before one with parameters.
    fn route(&self, request: &str) -> Option<(&str, usize, Parameters)> {
        if let Some((route, function)) = self.routes.get_key_value(request) {
            return Some((route, *function, Parameters::new()));
        }
        let mut patterns = self.patterns.iter();
        patterns.find_map(|(route, function)| Some((route.as_str(), *function, parameters(route, request)?)))
    }
}

/// The values of a path's parameters, by name, percent-decoded.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The values in a request of the parameters of a route, such as `GET /web/{file}`. `None` if it is not its request. A
/// parameter is a whole segment of the path, and not empty.
fn parameters(route: &str, request: &str) -> Option<Parameters> {
    let (route, request): (Vec<_>, Vec<_>) = (route.split('/').collect(), request.split('/').collect());
    if route.len() != request.len() {
        return None;
    }
    let mut parameters = Parameters::new();
    for (part, value) in route.into_iter().zip(request) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !value.is_empty() => {
                let value = percent_decode_str(value).decode_utf8_lossy();
                parameters.insert(name.into(), value.into());
            }
            None if part == value => {}
            _ => return None,
        }
    }
    Some(parameters)
}

fn head_size(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    parts.method.as_str().len() + target + headers.sum::<usize>()
}

/// As the Amazon API Gateway Developer Guide has it in "Configure CORS for HTTP APIs".
impl Cors {
    /// The answer to an OPTIONS request, to whatever path. Without an origin or a method it has no CORS headers.
    fn preflight(&self, request: &HeaderMap) -> Answer {
        let mut answer = empty(StatusCode::NO_CONTENT);
        if let Some(origin) = self.origin(request)
            && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, value(&self.methods));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, value(&self.headers));
            headers.insert(ACCESS_CONTROL_MAX_AGE, value(&self.max_age));
        }
        answer
    }

    /// Puts the headers into a function's answer, in place of its own.
    fn add(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS] {
            answer.remove(name);
        }
        if let Some(origin) = self.origin(request) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, value(&self.exposed));
        }
    }

    /// The origin to allow, if the request names one that is allowed.
    fn origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|allowed| allowed == origin).then(|| origin.clone())
    }
}

fn value(text: &str) -> HeaderValue {
    text.try_into().expect("the template has valid headers")
}
