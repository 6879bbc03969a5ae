//! Signature Version 4, by which API Gateway knows that a function may push (AWS Identity and Access Management User
//! Guide, "AWS Signature Version 4 for API requests").

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use hyper::http::request::Parts;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

use crate::event::new_id;

/// The functions' region.
pub(crate) const REGION: &str = "local";
/// API Gateway's name in signatures.
const SERVICE: &str = "execute-api";
/// How far the time of a signature may be from now (same guide, "Create a signed AWS API request").
const MAX_AGE: Duration = Duration::from_mins(5);

/// New credentials of the kind that Lambda gives to functions.
pub(crate) fn credentials() -> Credentials {
    Credentials::new(new_id(), new_id(), Some(new_id()), None, "local")
}

/// Checks the signature of a request; fails with what API Gateway says of it.
pub(crate) fn check(credentials: &Credentials, parts: &Parts, body: &[u8]) -> Result<(), &'static str> {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or("Missing Authentication Token")?;
    let time = header("x-amz-date").and_then(|time| OffsetDateTime::parse(time, &Iso8601::PARSING).ok());
    let time =
        SystemTime::from(time.ok_or("Authorization header requires existence of a 'X-Amz-Date' header.")?);
    let age = SystemTime::now().duration_since(time).unwrap_or_else(|in_future| in_future.duration());
    if age > MAX_AGE {
        return Err("Signature expired");
    }
    let expected = expected(credentials, parts, body, authorization, time);
    let without_spaces = |text: &str| text.replace(' ', "");
    if expected.is_ok_and(|expected| without_spaces(&expected) == without_spaces(authorization)) {
        Ok(())
    } else {
        Err("The request signature we calculated does not match the signature you provided.")
    }
}

/// The `Authorization` header that the request should have, with the signature of the headers that are said to be
/// signed. If one is missing there that must be signed, it is here, and the two differ.
fn expected(
    credentials: &Credentials,
    parts: &Parts,
    body: &[u8],
    authorization: &str,
    time: SystemTime,
) -> Result<String, SigningError> {
    let signed = authorization.split_once("SignedHeaders=").map_or("", |(_, names)| names);
    let signed = signed.split_once(',').map_or(signed, |(names, _)| names).split(';');
    let headers = signed.flat_map(|name| {
        parts
            .headers
            .get_all(name.trim())
            .iter()
            .filter_map(move |value| Some((name.trim(), value.to_str().ok()?)))
    });
    // What the client takes for the host is among the headers.
    let uri = format!("http://localhost{}", parts.uri);
    let request = SignableRequest::new(parts.method.as_str(), uri, headers, SignableBody::Bytes(body))?;
    let identity = credentials.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(SERVICE)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .expect("all of them");
    let (signed, _) = sign(request, &parameters.into())?.into_parts();
    let authorization = signed.headers().find(|(name, _)| *name == "authorization");
    Ok(authorization.map(|(_, value)| value.into()).unwrap_or_default())
}
