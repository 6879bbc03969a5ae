//! A function that does nothing: what the runtime and the local Lambda cost by themselves.
//!
//! On `lambda_runtime`, as the functions are, and not on `lambda_http`, which panics on some query strings.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<ApiGatewayV2httpRequest>| {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = 200;
        response.body = Some(Body::Text("Hello, world!".into()));
        Ok::<_, Error>(response)
    }))
    .await
}
