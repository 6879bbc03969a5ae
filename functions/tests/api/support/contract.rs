//! `functions/web/openapi.yaml`, held against every request that is served and every answer.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonschema::{Draft, Registry, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Answer;
use super::service::TEMPLATE;

/// Where the contract's schemas refer to each other.
const URI: &str = "urn:contract";

static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../../web/openapi.yaml")).unwrap());

/// A part of the contract, by its JSON pointer, behind any `$ref`.
#[derive(Debug)]
struct Part {
    pointer: String,
    value: &'static Value,
}

impl Part {
    fn at(pointer: String) -> Option<Self> {
        let value = CONTRACT.pointer(&pointer)?;
        match value["$ref"].as_str() {
            // The schemas' own are for the validator.
            Some(reference) if !pointer.ends_with("/schema") => {
                Self::at(reference.trim_start_matches('#').into())
            }
            _ => Some(Self { pointer, value }),
        }
    }

    fn get(&self, name: &str) -> Option<Self> {
        Self::at(format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1")))
    }

    /// The members, or elements, by their names.
    fn all(&self) -> Vec<(String, Self)> {
        let names: Vec<_> = match self.value {
            Value::Object(members) => members.keys().cloned().collect(),
            Value::Array(elements) => (0..elements.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        names.into_iter().map(|name| (name.clone(), self.get(&name).unwrap())).collect()
    }

    /// What this schema has against `value`.
    fn faults(&self, value: &Value) -> Vec<String> {
        static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
        let mut validators = VALIDATORS.lock().unwrap();
        let validator = validators.entry(self.pointer.clone()).or_insert_with(|| {
            let registry = Registry::new().add(URI, CONTRACT.clone()).unwrap().prepare().unwrap();
            let schema = json!({"$ref": format!("{URI}#{}", self.pointer)});
            let options = jsonschema::options().with_draft(Draft::Draft202012).with_registry(&registry);
            Arc::new(options.should_validate_formats(true).build(&schema).unwrap())
        });
        let validator = Arc::clone(validator);
        drop(validators);
        validator.iter_errors(value).map(|error| format!("{error} ({})", error.schema_path())).collect()
    }
}

/// An operation, as the contract has it.
#[derive(Debug)]
pub struct Operation {
    /// The name of its function.
    pub name: &'static str,
    pub needs_session: bool,
    /// The fields of its body or, if it has none, its query parameters.
    pub fields: Vec<Field>,
    /// The statuses of its answers, without 5xx.
    pub statuses: Vec<u16>,
    /// The example of its body.
    pub body: Option<&'static Value>,
}

/// A field of a body, or a query parameter.
#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub is_required: bool,
    schema: Part,
}

impl Field {
    /// `string`, `integer` or `boolean`.
    pub fn kind(&self) -> &'static str {
        self.schema.value["type"].as_str().unwrap_or("string")
    }

    /// Whether the contract allows this value.
    pub fn allows(&self, value: &Value) -> bool {
        // JSON Schema takes 1.0 for an integer; the contract says that a number is written in plain digits.
        let is_plain = !value.is_number() || value.to_string().bytes().all(|byte| byte.is_ascii_digit());
        is_plain && self.schema.faults(value).is_empty()
    }
}

fn fields(body: &Part) -> Vec<Field> {
    let schema = Part::at(format!("{}/schema", body.pointer)).unwrap();
    let required = schema.value["required"].as_array().unwrap();
    let properties = schema.get("properties").unwrap().all().into_iter();
    let field = |(name, schema)| Field { is_required: required.contains(&json!(name)), name, schema };
    properties.map(field).collect()
}

fn parameters(operation: &Part) -> Vec<Field> {
    let parameters = operation.get("parameters").map(|parameters| parameters.all()).unwrap_or_default();
    let in_query = parameters.into_iter().filter(|(_, parameter)| parameter.value["in"] == "query");
    let field = |(_, parameter): (_, Part)| Field {
        name: parameter.value["name"].as_str().unwrap().into(),
        is_required: parameter.value["required"] == true,
        schema: parameter.get("schema").unwrap(),
    };
    in_query.map(field).collect()
}

/// The operations of all functions that the template has a route to, but for the one that serves files.
pub static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let read = |name| {
        let operation = operation(name);
        let body = operation.get("requestBody").map(|body| body.get("content").unwrap());
        let body = body.map(|content| content.get("application/json").unwrap());
        let fields = body.as_ref().map_or_else(|| parameters(&operation), fields);
        let statuses = operation.get("responses").unwrap().all().into_iter();
        let statuses = statuses.map(|(status, _)| status.parse().unwrap()).filter(|status| *status < 500);
        Operation {
            name,
            needs_session: operation.get("security").is_none(),
            fields,
            statuses: statuses.collect(),
            body: body.map(|body| &body.get("examples").unwrap().all()[0].1.value["value"]),
        }
    };
    TEMPLATE.binaries().filter(|name| *name != "web").map(read).collect()
});

/// The operation that the function `name` serves: `send_message` is `SendMessage`.
fn operation(name: &str) -> Part {
    let is_its = |operation: &Part| {
        let id = operation.value["operationId"].as_str();
        id.is_some_and(|id| id.to_lowercase() == name.replace('_', ""))
    };
    let paths = Part::at("/paths".into()).unwrap().all();
    let mut operations = paths.iter().flat_map(|(_, path)| path.all()).map(|(_, operation)| operation);
    operations.find(is_its).unwrap_or_else(|| panic!("the contract has no operation of {name}"))
}

/// Fails unless `answer` is one that the contract has for the operation, and `event`, if it was served, a request.
pub fn check(name: &str, event: &Value, answer: &Answer) {
    let operation = operation(name);
    // API Gateway sends nothing that can't be read: the contract doesn't know the answer to it.
    if answer.code() == "INVALID_JSON" && operation.get("requestBody").is_none() {
        return;
    }
    check_answer(&operation, answer);
    if answer.status < 400 {
        check_request(&operation, event);
    }
}

fn check_answer(operation: &Part, answer: &Answer) {
    let id = &operation.value["operationId"];
    let response = operation.get("responses").unwrap().get(&answer.status.to_string());
    let response = response.unwrap_or_else(|| panic!("{id} answers no {}: {}", answer.status, answer.body));
    let content = response.get("content").unwrap();
    let media_type = answer.header("content-type").and_then(|media_type| content.get(media_type));
    let media_type = media_type.unwrap_or_else(|| panic!("{id}, {}: {:?}", answer.status, answer.headers));
    let faults = media_type.get("schema").unwrap().faults(&answer.body);
    assert!(faults.is_empty(), "{id}, {}: {faults:#?}", answer.status);

    let headers = response.get("headers").unwrap().all();
    for (name, header) in &headers {
        let Some(value) = answer.header(&name.to_lowercase()) else {
            assert!(header.value["required"] != true, "{id}, {}, lacks {name}", answer.status);
            continue;
        };
        let schema = header.get("schema").unwrap();
        let faults = schema.faults(&typed(&schema, value));
        assert!(faults.is_empty(), "{id}, {}, {name}: {faults:#?}", answer.status);
    }
    for name in answer.headers.keys().filter(|name| *name != "content-type") {
        let is_known = headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        assert!(is_known, "{id}, {}, has {name}, which is not in the contract", answer.status);
    }
}

fn check_request(operation: &Part, event: &Value) {
    let id = &operation.value["operationId"];
    if let Some(body) = operation.get("requestBody") {
        let schema = body.get("content").unwrap().get("application/json").unwrap().get("schema").unwrap();
        let text = event["body"].as_str().unwrap();
        let bytes = match event["isBase64Encoded"].as_bool() {
            Some(true) => BASE64_STANDARD.decode(text).unwrap(),
            _ => text.into(),
        };
        let faults = schema.faults(&serde_json::from_slice(&bytes).unwrap());
        assert!(faults.is_empty(), "{id} has served {text}: {faults:#?}");
    }

    let parameters = operation.get("parameters").map(|parameters| parameters.all()).unwrap_or_default();
    let check = |place: &str, name: &str, value: &str| {
        let is_it = |parameter: &&Part| {
            let known = parameter.value["name"].as_str().unwrap();
            parameter.value["in"] == place && known.eq_ignore_ascii_case(name)
        };
        let Some(parameter) = parameters.iter().map(|(_, parameter)| parameter).find(is_it) else {
            assert!(place == "header", "{id} has served a request with the unknown parameter {name}");
            return;
        };
        let schema = parameter.get("schema").unwrap();
        let faults = schema.faults(&typed(&schema, value));
        assert!(faults.is_empty(), "{id} has served a request with {name}={value}: {faults:#?}");
    };
    let query = event["rawQueryString"].as_str().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        let decoded = |text| percent_decode_str(text).decode_utf8().unwrap();
        check("query", &decoded(name), &decoded(value));
    }
    for (name, value) in event["headers"].as_object().into_iter().flatten() {
        check("header", name, value.as_str().unwrap_or_default());
    }
}

/// A parameter or header as the value that its schema describes.
fn typed(schema: &Part, value: &str) -> Value {
    match value.parse::<u64>() {
        Ok(number) if schema.value["type"] == "integer" => number.into(),
        _ => value.into(),
    }
}
