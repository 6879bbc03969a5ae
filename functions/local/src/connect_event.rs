//! From a WebSocket client's first request to API Gateway's `$connect` event (Amazon API Gateway Developer Guide, "Set
//! up a WebSocket API integration request in API Gateway" and "WebSocket API mapping template reference").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use hyper::header::{CONNECTION, UPGRADE};
use hyper::http::request::Parts;
use serde::Serialize;

use crate::event::{HOST, epoch, new_id, text, time};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    headers: Last<'a>,
    multi_value_headers: All<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: Last<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    multi_value_query_string_parameters: All<'a>,
    request_context: RequestContext<'a>,
    is_base64_encoded: bool,
}

/// By name, all values.
type All<'a> = BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>;
/// By name, the last value.
type Last<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    route_key: &'static str,
    event_type: &'static str,
    extended_request_id: &'a str,
    request_time: String,
    message_direction: &'static str,
    stage: &'static str,
    connected_at: u128,
    request_time_epoch: u128,
    identity: &'a Identity,
    request_id: &'a str,
    domain_name: &'static str,
    connection_id: &'a str,
    api_id: &'static str,
}

/// Who has connected.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    source_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl Identity {
    pub(crate) fn new(parts: &Parts, source_ip: IpAddr) -> Self {
        let user_agent = parts.headers.get("user-agent").map(|value| text(value).into());
        Self { source_ip, user_agent }
    }
}

/// The event of a client's first request, as JSON.
pub(crate) fn connect_event(parts: &Parts, connection: &str, identity: &Identity) -> String {
    let mut headers = All::new();
    for (name, value) in &parts.headers {
        if ![CONNECTION, UPGRADE].contains(name) {
            headers.entry(usual_case(name.as_str()).into()).or_default().push(text(value));
        }
    }
    let source = identity.source_ip.to_string();
    headers.entry("X-Forwarded-For".into()).or_default().push(source.into());
    headers.insert("X-Forwarded-Proto".into(), vec!["http".into()]);

    let mut parameters = All::new();
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        parameters.entry(name).or_default().push(value);
    }
    let now = SystemTime::now();
    let id = new_id();
    let event = Event {
        headers: last(&headers),
        multi_value_headers: headers,
        query_string_parameters: last(&parameters),
        multi_value_query_string_parameters: parameters,
        request_context: RequestContext {
            route_key: "$connect",
            event_type: "CONNECT",
            extended_request_id: &id,
            request_time: time(now),
            message_direction: "IN",
            stage: "$default",
            connected_at: epoch(now),
            request_time_epoch: epoch(now),
            identity,
            request_id: &id,
            domain_name: HOST,
            connection_id: connection,
            api_id: HOST,
        },
        is_base64_encoded: false,
    };
    serde_json::to_string(&event).expect("text can be written as JSON")
}

fn last<'a>(values: &All<'a>) -> Last<'a> {
    let last = |values: &Vec<Cow<'a, str>>| values.last().cloned().unwrap_or_default();
    values.iter().map(|(name, values)| (name.clone(), last(values))).collect()
}

/// A header's name as most clients write it, and as events have it therefore: `Sec-WebSocket-Key`. hyper has only the
/// name in lower case.
fn usual_case(name: &str) -> String {
    let word = |word: &str| match word {
        "websocket" => "WebSocket".into(),
        _ => word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default(),
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
