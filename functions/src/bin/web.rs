//! `Web`: `GET /`, the page, and `GET /web/{file}`, what belongs to it and the contract

use std::collections::HashMap;
use std::process::ExitCode;

use functions::{ApiError, File, Response};
use lambda_http::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use lambda_http::http::{HeaderName, HeaderValue};
use lambda_http::{Request, RequestExt};
use shared::{SettingError, setting};

/// The files of `functions/web/` beside the page, by name.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        HashMap::from([$(($name, File::new($name, include_str!(concat!("../../web/", $name))))),*])
    };
}

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run_without_database("web", Web::from_env(), handle).await
}

struct Web {
    page: File,
    files: HashMap<&'static str, File>,
}

fn handle(web: &Web, request: &Request) -> Result<Response, ApiError> {
    let parameters = request.path_parameters_ref();
    let file = match parameters.and_then(|parameters| parameters.first("file")) {
        Some(name) => web.files.get(name).ok_or(ApiError::UnknownFile)?,
        None => &web.page,
    };
    Ok(file.answer(request.headers()))
}

impl Web {
    /// The files, with a page that connects to `WEB_SOCKET_URL`.
    fn from_env() -> Result<Self, SettingError> {
        let name = "WEB_SOCKET_URL";
        let url = setting(name)?;
        let problem = "is no URL of a WebSocket, such as wss://example.com/path";
        let origin = origin(&url).ok_or(SettingError { name, problem })?;
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {origin}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'"
        );
        let page = include_str!("../../web/index.html").replace("{{WEB_SOCKET_URL}}", &url);
        let page = File::new("index.html", page)
            .header(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).expect("a plain origin"))
            .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
            .header(OPENER_POLICY, HeaderValue::from_static("same-origin"));
        Ok(Self {
            page,
            files: files![
                "client.js",
                "conversation.js",
                "dom.js",
                "icon.svg",
                "inbox.js",
                "new_message.js",
                "openapi.yaml",
                "page.css",
                "page.js",
                "settings.js",
                "sign_in.js",
            ],
        })
    }
}

/// Scheme, host and port of a WebSocket's URL. `None` if it is not one, or holds what a policy or HTML might read as
/// its own.
fn origin(url: &str) -> Option<&str> {
    let host_and_path = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"))?;
    let host = host_and_path.split('/').next().filter(|host| !host.is_empty())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    url.bytes().all(is_plain).then(|| &url[..url.len() - host_and_path.len() + host.len()])
}
