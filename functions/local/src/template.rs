//! What is read of `template.yaml`: functions, their routes, and CORS.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The HTTP API and the WebSocket API of a SAM template, and the functions behind them.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) functions: Vec<FunctionTemplate>,
    /// The logical id of the function that the WebSocket API's `$connect` route leads to.
    pub(crate) connect: Option<String>,
    pub(crate) cors: Cors,
    /// How long an invocation may take.
    pub(crate) timeout: Duration,
}

/// A function that one of the APIs has a route to.
#[derive(Debug, Clone)]
pub(crate) struct FunctionTemplate {
    /// Its logical id in the template.
    pub(crate) id: String,
    pub(crate) binary: String,
    /// Those of the HTTP API: method and path, as in `GET /users` or `GET /web/{file}`.
    pub(crate) routes: Vec<String>,
}

/// The API's `CorsConfiguration`; lists are joined by commas, as the headers have them.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<String>,
    pub(crate) methods: String,
    pub(crate) headers: String,
    pub(crate) exposed: String,
    pub(crate) max_age: String,
}

impl Template {
    /// Reads a template; panics if it is none that it understands.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Tags are left out: of `!Ref Name`, the name remains.
        let template: Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let resources = template["Resources"].as_object().expect("Resources");
        let api = resources.values().find(|resource| resource["Type"] == "AWS::Serverless::HttpApi");
        let cors = &api.expect("an HTTP API")["Properties"]["CorsConfiguration"];
        // An origin may be a parameter.
        let default = |name: &String| {
            template["Parameters"][name.as_str()]["Default"].as_str().map_or(name.clone(), Into::into)
        };
        let connect = resources.values().find_map(connect);
        let functions = resources.iter().filter_map(|(id, resource)| {
            let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?.into();
            let routes: Vec<_> = routes(resource).collect();
            let has_route = !routes.is_empty() || connect == Some(id.as_str());
            has_route.then(|| FunctionTemplate { id: id.clone(), binary, routes })
        });
        Self {
            functions: functions.collect(),
            connect: connect.map(Into::into),
            cors: Cors {
                origins: texts(&cors["AllowOrigins"]).iter().map(default).collect(),
                methods: texts(&cors["AllowMethods"]).join(","),
                headers: texts(&cors["AllowHeaders"]).join(",").to_lowercase(),
                exposed: texts(&cors["ExposeHeaders"]).join(",").to_lowercase(),
                max_age: cors["MaxAge"].to_string(),
            },
            timeout: Duration::from_secs(
                template["Globals"]["Function"]["Timeout"].as_u64().expect("Timeout"),
            ),
        }
    }

    /// Method and path of the first route to the function of a binary, as in `GET /users`.
    #[must_use]
    pub fn route(&self, binary: &str) -> Option<&str> {
        let function = self.functions.iter().find(|function| function.binary == binary)?;
        function.routes.first().map(String::as_str)
    }

    /// The binaries of the functions behind the HTTP API.
    pub fn binaries(&self) -> impl Iterator<Item = &str> {
        let of_the_api = self.functions.iter().filter(|function| !function.routes.is_empty());
        of_the_api.map(|function| function.binary.as_str())
    }
}

/// The function behind `$connect`, if the resource is a WebSocket API: of `!GetAtt Connect.Arn`, it is `Connect`.
fn connect(resource: &Value) -> Option<&str> {
    let route = &resource["Properties"]["Routes"]["$connect"];
    let is_web_socket = resource["Type"] == "AWS::Serverless::WebSocketApi";
    route["FunctionArn"].as_str().filter(|_| is_web_socket)?.strip_suffix(".Arn")
}

fn routes(function: &Value) -> impl Iterator<Item = String> {
    let events = function["Properties"]["Events"].as_object();
    let of_the_api = |event: &&Value| event["Type"] == "HttpApi";
    events.into_iter().flat_map(|events| events.values()).filter(of_the_api).map(|event| {
        let property = |name| event["Properties"][name].as_str().unwrap_or_default();
        format!("{} {}", property("Method"), property("Path"))
    })
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(Into::into).collect()
}
