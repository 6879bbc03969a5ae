//! The fields of a request: parsed into their types, with all faults reported at once.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::str::FromStr;

use lambda_http::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::Bounded;
use shared::conversation::InboxCursor;
use shared::message::{IdempotencyKey, Text};
use shared::password::Password;
use shared::session::{Device, SessionId};
use shared::user::Username;

use crate::ApiError;
use crate::request::FromFields;

/// How many unknown fields are listed at most.
const MAX_UNKNOWN: usize = 20;

/// What is wrong with a field, a query parameter or a header.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    #[serde(skip)]
    pub(crate) code: &'static str,
    pub(crate) field: String,
    pub(crate) detail: Cow<'static, str>,
}

/// Stands for a value that can't be read. Its [`Fault`] is noted among those of the request.
#[derive(Debug, Clone, Copy)]
pub struct AtFault(());

/// A type that a field can be read as.
pub trait Value: FromStr<Err: Display> {
    /// Its type in JSON, with an article. In a query string or a header everything is text.
    const JSON_TYPE: &'static str = "a string";
}

impl Value for Username {}
impl Value for Password {}
impl Value for Text {}
impl Value for IdempotencyKey {}
impl Value for InboxCursor {}
impl Value for Device {}
impl Value for SessionId {}

impl<const MIN: i64, const MAX: i64> Value for Bounded<MIN, MAX> {
    const JSON_TYPE: &'static str = "a number";
}

impl Value for bool {
    const JSON_TYPE: &'static str = "a boolean";
}

/// A [`Value`] that is required, or an `Option` of one.
pub trait Field: Sized {
    /// Takes the field `name` out of `fields`.
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Result<Self, AtFault>;
}

impl<T: Value> Field for T {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Result<Self, AtFault> {
        fields.required(name)
    }
}

impl<T: Value> Field for Option<T> {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Result<Self, AtFault> {
        fields.optional(name)
    }
}

/// The fields of one request. Each is taken out by its name; those that are left at the end are unknown.
pub struct Fields<'a> {
    entries: Vec<Entry<'a>>,
    /// Query parameters of a request whose fields are in its body: all of them are unknown.
    strays: Vec<Entry<'a>>,
    headers: &'a HeaderMap,
    faults: Vec<Fault>,
}

struct Entry<'a> {
    name: Cow<'a, str>,
    value: Raw<'a>,
}

enum Raw<'a> {
    Json(&'a RawValue),
    /// Percent-encoded (RFC 3986, section 2.1): `+` is a plus sign.
    Parameter(&'a str),
}

impl<'a> Fields<'a> {
    /// The members of the JSON object `body`.
    pub(crate) fn of_body(body: &'a [u8], query: &'a str, headers: &'a HeaderMap) -> Result<Self, ApiError> {
        let body = str::from_utf8(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
        let Members(entries) = serde_json::from_str(body).map_err(|error| {
            // A message about the data would quote it. The syntax may be at fault as well, further on.
            match serde_json::from_str::<IgnoredAny>(body) {
                Ok(_) if error.is_data() => ApiError::NoObject,
                Ok(_) => ApiError::InvalidJson(error.to_string()),
                Err(error) => ApiError::InvalidJson(error.to_string()),
            }
        })?;
        Ok(Self { entries, strays: parameters(query), headers, faults: Vec::new() })
    }

    /// The parameters of the query string.
    pub(crate) fn of_query(query: &'a str, headers: &'a HeaderMap) -> Self {
        Self { entries: parameters(query), strays: Vec::new(), headers, faults: Vec::new() }
    }

    /// The request that the fields make, unless one of them is at fault.
    pub(crate) fn read<T: FromFields>(mut self) -> Result<T, ApiError> {
        let request = T::from_fields(&mut self);
        let unknown = self.entries.iter().chain(&self.strays).map(Entry::unknown);
        let mut faults = self.faults.into_iter().chain(unknown.take(MAX_UNKNOWN));
        match (request, faults.next()) {
            (Ok(request), None) => Ok(request),
            (_, Some(first)) => Err(ApiError::Fields(first, faults.collect())),
            (Err(AtFault(())), None) => Err(ApiError::Bug("a field is at fault without a reason")),
        }
    }

    /// The field `name`.
    pub fn required<T: Value>(&mut self, name: &'static str) -> Result<T, AtFault> {
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => Err(self.fault("MISSING_FIELD", name, "is missing")),
        }
    }

    /// The field `name`, if it is there.
    pub fn optional<T: Value>(&mut self, name: &'static str) -> Result<Option<T>, AtFault> {
        let mut found = self.entries.extract_if(.., |entry| entry.name == name);
        let Some(entry) = found.next() else {
            return Ok(None);
        };
        if found.count() > 0 {
            return Err(self.fault("DUPLICATE_FIELD", name, "is there more than once"));
        }
        entry.value.read().map(Some).map_err(|(code, detail)| self.fault(code, name, detail))
    }

    /// The field `name`: a password that its user may choose.
    pub fn new_password(
        &mut self,
        name: &'static str,
        username: &Result<Username, AtFault>,
    ) -> Result<Password, AtFault> {
        let password: Password = self.required(name)?;
        match username.as_ref().map(|username| password.check_strength(username)) {
            Ok(Err(weakness)) => Err(self.fault("WEAK_PASSWORD", name, weakness.0)),
            _ => Ok(password),
        }
    }

    /// The header `name`, if it is there.
    pub fn header<T: Value>(&mut self, name: &'static str) -> Result<Option<T>, AtFault> {
        let value = header(self.headers, name).map(|value| value.parse::<T>()).transpose();
        value.map_err(|error| self.fault("INVALID_FIELD", name, error.to_string()))
    }

    /// Notes that `field` is at fault.
    pub fn fault(
        &mut self,
        code: &'static str,
        field: &str,
        detail: impl Into<Cow<'static, str>>,
    ) -> AtFault {
        self.faults.push(Fault { code, field: field.into(), detail: detail.into() });
        AtFault(())
    }
}

/// The value of a header. Bytes that are not UTF-8 become characters that no parser accepts.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

impl Entry<'_> {
    fn unknown(&self) -> Fault {
        let (code, detail) = match self.value {
            Raw::Json(_) => ("UNKNOWN_FIELD", "is not a field of this request"),
            Raw::Parameter(_) => ("UNKNOWN_PARAMETER", "is not a query parameter of this request"),
        };
        Fault { code, field: self.name.to_string(), detail: detail.into() }
    }
}

impl Raw<'_> {
    /// The value, or the code and detail of what is wrong with it.
    fn read<T: Value>(&self) -> Result<T, (&'static str, Cow<'static, str>)> {
        let invalid = |detail: Cow<'static, str>| ("INVALID_FIELD", detail);
        let text = match self {
            Self::Parameter(text) => percent_decode_str(text)
                .decode_utf8()
                .map_err(|_| invalid("is not UTF-8, percent-encoded".into()))?,
            Self::Json(raw) if json_type(raw) != T::JSON_TYPE => {
                return Err((
                    "WRONG_TYPE",
                    format!("must be {}, not {}", T::JSON_TYPE, json_type(raw)).into(),
                ));
            }
            Self::Json(raw) if json_type(raw) == "a string" => serde_json::from_str(raw.get())
                .map_err(|_| invalid("holds half of a surrogate pair, which is not a character".into()))?,
            Self::Json(raw) => Cow::Borrowed(raw.get()),
        };
        text.parse().map_err(|error: T::Err| invalid(error.to_string().into()))
    }
}

fn json_type(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes()[0] {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}

fn parameters(query: &str) -> Vec<Entry<'_>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Entry { name: percent_decode_str(name).decode_utf8_lossy(), value: Raw::Parameter(value) }
        })
        .collect()
}

/// The members of a JSON object as they are written: in order, with repeated ones.
struct Members<'a>(Vec<Entry<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, _>()? {
                    members.push(Entry { name: name.into(), value: Raw::Json(value) });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
