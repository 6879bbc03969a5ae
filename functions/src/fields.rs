//! The fields of a request: parsed into their types, with everything at fault told at once.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::message::{IdempotencyKey, Text};
use shared::password::Password;
use shared::session::Scope;
use shared::user::Username;
use shared::{Bounded, Invalid};

use crate::ApiError;
use crate::request::Headers;

/// More faults than this are not listed.
const MAX_FAULTS: usize = 20;

/// What is wrong with a field, a query parameter or a header.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    #[serde(skip)]
    pub(crate) code: &'static str,
    pub(crate) field: String,
    pub(crate) detail: Cow<'static, str>,
}

/// What a field can be read as.
pub trait Value: FromStr<Err = Invalid> {
    /// Its type in JSON, with an article. In a query string or a header everything is text.
    const JSON_TYPE: &'static str = "a string";
}

impl Value for Username {}
impl Value for Password {}
impl Value for Text {}
impl Value for IdempotencyKey {}

impl<const MIN: i64, const MAX: i64> Value for Bounded<MIN, MAX> {
    const JSON_TYPE: &'static str = "a number";
}

impl Value for Scope {
    const JSON_TYPE: &'static str = "a boolean";
}

/// The fields of one request, each taken out by its name; what is left over in the end is unknown.
pub struct Fields<'a> {
    entries: Vec<Entry<'a>>,
    /// Query parameters of a request whose fields are in its body: none is known.
    strays: Vec<Entry<'a>>,
    headers: &'a Headers,
    faults: Vec<Fault>,
}

struct Entry<'a> {
    name: Cow<'a, str>,
    value: RawText<'a>,
}

enum RawText<'a> {
    Json(&'a RawValue),
    /// Percent-encoded (RFC 3986, section 2.1): `+` is a plus sign.
    Parameter(&'a str),
}

impl<'a> Fields<'a> {
    /// The members of the JSON object `body`.
    pub(crate) fn of_body(body: &'a [u8], query: &'a str, headers: &'a Headers) -> Result<Self, ApiError> {
        let body = str::from_utf8(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
        let Members(entries) = serde_json::from_str(body).map_err(|error| {
            // An error about the data would quote it; the syntax may be at fault further on.
            match serde_json::from_str::<IgnoredAny>(body) {
                Ok(_) if error.is_data() => ApiError::NoObject,
                Ok(_) => ApiError::InvalidJson(error.to_string()),
                Err(error) => ApiError::InvalidJson(error.to_string()),
            }
        })?;
        Ok(Self { entries, strays: parameters(query), headers, faults: Vec::new() })
    }

    /// The parameters of the query string.
    pub(crate) fn of_query(query: &'a str, headers: &'a Headers) -> Self {
        Self { entries: parameters(query), strays: Vec::new(), headers, faults: Vec::new() }
    }

    /// What `read` makes of the fields, unless any is at fault.
    pub(crate) fn read<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, ApiError> {
        let value = read(&mut self);
        let rest = self.entries.iter().chain(&self.strays).map(Entry::unknown);
        self.faults.extend(rest.take(MAX_FAULTS));
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(ApiError::Fields(self.faults)),
        }
    }

    /// The field `name`; `None` where it is missing or at fault.
    pub fn required<T: Value>(&mut self, name: &'static str) -> Option<T> {
        match self.optional(name)? {
            Some(value) => Some(value),
            None => self.fault("MISSING_FIELD", name, "is missing"),
        }
    }

    /// The field `name`, `Some(None)` where it is not there; `None` where it is at fault.
    pub fn optional<T: Value>(&mut self, name: &'static str) -> Option<Option<T>> {
        let mut found = self.entries.extract_if(.., |entry| entry.name == name);
        let Some(entry) = found.next() else {
            return Some(None);
        };
        if found.count() > 0 {
            return self.fault("DUPLICATE_FIELD", name, "is there more than once");
        }
        match entry.value.read() {
            Ok(value) => Some(Some(value)),
            Err((code, detail)) => self.fault(code, name, detail),
        }
    }

    /// The header `name`, `Some(None)` where it is not there; `None` where it is at fault.
    pub fn header<T: Value>(&mut self, name: &'static str) -> Option<Option<T>> {
        let Some(value) = self.headers.get(name) else {
            return Some(None);
        };
        match value.parse() {
            Ok(value) => Some(Some(value)),
            Err(Invalid(detail)) => self.fault("INVALID_FIELD", name, detail),
        }
    }

    /// Notes that `field` is at fault; always `None`.
    pub fn fault<T>(
        &mut self,
        code: &'static str,
        field: &str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Option<T> {
        self.faults.push(Fault { code, field: field.into(), detail: detail.into() });
        None
    }
}

impl Entry<'_> {
    fn unknown(&self) -> Fault {
        let (code, detail) = match self.value {
            RawText::Json(_) => ("UNKNOWN_FIELD", "is not a field of this request"),
            RawText::Parameter(_) => ("UNKNOWN_PARAMETER", "is not a query parameter of this request"),
        };
        Fault { code, field: self.name.to_string(), detail: detail.into() }
    }
}

impl RawText<'_> {
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
                .map_err(|_| invalid("holds half of a surrogate pair, which is no character".into()))?,
            Self::Json(raw) => Cow::Borrowed(raw.get()),
        };
        text.parse().map_err(|Invalid(detail)| invalid(detail))
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
            Entry { name: percent_decode_str(name).decode_utf8_lossy(), value: RawText::Parameter(value) }
        })
        .collect()
}

/// The members of a JSON object as they stand there: in order, repeated ones too.
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
                    members.push(Entry { name: name.into(), value: RawText::Json(value) });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}
