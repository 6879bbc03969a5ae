//! From a request to API Gateway's event, and from a function's response to an answer (Amazon API Gateway Developer
//! Guide, "Create AWS Lambda proxy integrations for HTTP APIs", payload format 2.0).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use http_body_util::Full;
use hyper::header::{
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::gateway::Parameters;
use crate::http::{Answer, json};

pub(crate) const HOST: &str = "localhost";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<Cow<'a, str>>,
    headers: Values<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: Values<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'a Parameters,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

/// By name; those of one name are joined by commas.
type Values<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'static str,
    domain_prefix: &'static str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: u128,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: Cow<'a, str>,
}

/// The event of a request, as JSON.
pub(crate) fn event(
    parts: &Parts,
    body: &[u8],
    route: &str,
    path_parameters: &Parameters,
    id: &str,
    source: IpAddr,
) -> String {
    let query = parts.uri.query().unwrap_or_default();
    let mut query_string_parameters = Values::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        add(&mut query_string_parameters, name, value);
    }
    let now = SystemTime::now();
    let headers = headers(parts, body, source);
    let (body, is_base64_encoded) = match str::from_utf8(body) {
        Ok("") => (None, false),
        Ok(text) => (Some(text.into()), false),
        Err(_) => (Some(BASE64_STANDARD.encode(body).into()), true),
    };
    let event = Event {
        version: "2.0",
        route_key: route,
        raw_path: parts.uri.path(),
        raw_query_string: query,
        cookies: parts.headers.get_all(COOKIE).iter().flat_map(cookies).collect(),
        request_context: RequestContext {
            account_id: "000000000000",
            api_id: HOST,
            domain_name: HOST,
            domain_prefix: HOST,
            http: Http {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                protocol: "HTTP/1.1",
                source_ip: source,
                user_agent: headers.get("user-agent").cloned().unwrap_or_default(),
            },
            request_id: id,
            route_key: route,
            stage: "$default",
            time: time(now),
            time_epoch: epoch(now),
        },
        headers,
        query_string_parameters,
        path_parameters,
        body,
        is_base64_encoded,
    };
    serde_json::to_string(&event).expect("text can be written as JSON")
}

/// The headers, with those that API Gateway adds.
fn headers<'a>(parts: &'a Parts, body: &[u8], source: IpAddr) -> Values<'a> {
    let mut headers = Values::new();
    for (name, value) in &parts.headers {
        if ![COOKIE, TRANSFER_ENCODING].contains(name) {
            add(&mut headers, name.as_str().into(), text(value));
        }
    }
    if !body.is_empty() {
        headers.insert(CONTENT_LENGTH.as_str().into(), body.len().to_string().into());
    }
    add(&mut headers, "x-forwarded-for".into(), source.to_string().into());
    headers.insert("x-forwarded-proto".into(), "http".into());
    headers
}

fn add<'a>(values: &mut Values<'a>, name: Cow<'a, str>, value: Cow<'a, str>) {
    values.entry(name).and_modify(|first| *first = format!("{first},{value}").into()).or_insert(value);
}

/// A header's value in UTF-8, or else in Latin-1.
pub(crate) fn text(value: &HeaderValue) -> Cow<'_, str> {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

fn cookies(header: &HeaderValue) -> Vec<Cow<'_, str>> {
    match text(header) {
        Cow::Borrowed(text) => text.split(';').map(|cookie| cookie.trim().into()).collect(),
        Cow::Owned(text) => text.split(';').map(|cookie| cookie.trim().to_owned().into()).collect(),
    }
}

/// As in `23/Nov/2026:10:41:20 +0000`.
pub(crate) fn time(time: SystemTime) -> String {
    // "Mon, 23 Nov 2026 10:41:20 GMT"
    let date = httpdate::fmt_http_date(time);
    let parts: Vec<_> = date.split(' ').collect();
    format!("{}/{}/{}:{} +0000", parts[1], parts[2], parts[3], parts[4])
}

/// Milliseconds since 1970.
pub(crate) fn epoch(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// An id of a request or a connection; they look like `L0SM9cOFvHcCIhw=`.
pub(crate) fn new_id() -> String {
    BASE64_URL_SAFE.encode(std::array::from_fn::<_, 11, _>(|_| fastrand::u8(..)))
}

/// Whether a text is one that [`new_id`] may have made.
pub(crate) fn is_id(text: &str) -> bool {
    BASE64_URL_SAFE.decode(text).is_ok_and(|id| id.len() == 11)
}

/// A function's response.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The answer that a function's response stands for; none if it is malformed.
pub(crate) fn answer(response: String) -> Option<Answer> {
    let Ok(response) = serde_json::from_str::<FunctionResponse>(&response) else {
        // JSON without a status is itself the body.
        let value: serde_json::Value = serde_json::from_str(&response).ok()?;
        return value.get("statusCode").is_none().then(|| json(StatusCode::OK, response));
    };
    let body = response.body.unwrap_or_default();
    let body = if response.is_base64_encoded { BASE64_STANDARD.decode(body).ok()? } else { body.into() };
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(response.status_code).ok()?;
    let headers = answer.headers_mut();
    for (name, value) in response.headers {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    for cookie in response.cookies {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(answer)
}
