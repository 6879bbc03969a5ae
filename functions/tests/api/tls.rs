//! TLS to the database: only the server that was asked for, proven by a certificate, gets to see a secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::Function;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::support::bad_input::UNKNOWN_TOKEN;
use crate::support::{Database, OwnServer, Service, binary};

/// A certificate authority, and a server's certificate for `localhost` from it; where their files are.
struct Authority {
    directory: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        fs::write(directory.join("ca.pem"), params.self_signed(&ca_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &Issuer::new(params, ca_key)).unwrap();
        fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
        fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
        Self { directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// What a function that connects through `url` answers to a request without a session: 401 where it has
/// reached the database, else 503; and what it has logged.
fn asked(database: &Database, url: &str, environment: &[(&'static str, &str)]) -> (i64, String) {
    let environment = [&[("DATABASE_URL", url)], environment].concat();
    let function = Function::start(binary("get_users"), 1, &environment);
    let service = Service::on(Database::unmigrated(&database.admin_url()));
    let event = service.call("get_users").token(UNKNOWN_TOKEN).event().to_string();
    let response = function.invoke(event, Duration::from_secs(10)).unwrap();
    let response: Value = serde_json::from_str(&response.body).unwrap();
    (response["statusCode"].as_i64().unwrap(), function.log())
}

#[test]
fn only_the_right_server_with_the_right_certificate_is_talked_to() {
    let (authority, other) = (Authority::new("right"), Authority::new("wrong"));
    let server = OwnServer::start(&format!(
        "--ssl-ca={} --ssl-cert={} --ssl-key={}",
        authority.file("ca.pem"),
        authority.file("cert.pem"),
        authority.file("key.pem"),
    ));
    let database = Database::on(&server.url);
    let base = database.functions_url.split('?').next().unwrap().to_owned();
    let localhost = base.replace("127.0.0.1", "localhost");
    let verified = |base: &str, authority: &Authority| {
        format!("{base}?ssl-mode=VERIFY_IDENTITY&ssl-ca={}", authority.file("ca.pem"))
    };

    assert_eq!(asked(&database, &verified(&localhost, &authority), &[]).0, 401, "right CA, right name");
    for (url, reason) in [
        (verified(&localhost, &other), "wrong CA"),
        (verified(&base, &authority), "wrong name"),
        (format!("{localhost}?ssl-mode=VERIFY_IDENTITY"), "a CA that is not public"),
    ] {
        let (status, log) = asked(&database, &url, &[]);
        assert_eq!(status, 503, "{reason}");
        assert!(log.contains("TLS, authentication or protocol error"), "{reason}: {log}");
    }

    let iam = [
        ("DATABASE_AUTH", "iam"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    let user = format!("mysql://{}@localhost:{}/{0}", database.name(), server.port());
    let (status, log) = asked(&database, &user, &iam);
    assert_eq!(status, 503, "the region's root is asked for");
    assert!(log.contains("TLS, authentication or protocol error"), "{log}");
    let (status, log) = asked(&database, &verified(&user, &authority), &iam);
    assert_eq!(status, 503, "this server knows no IAM");
    assert!(log.contains("MySQL error 1045"), "the token was sent, inside TLS, and refused: {log}");
}

#[test]
fn a_server_without_tls_gets_no_token() {
    let server = OwnServer::start("--loose-skip-ssl --loose-tls-version=");
    let database = Database::on(&server.url);
    let base = database.functions_url.split('?').next().unwrap().replace("127.0.0.1", "localhost");
    let (status, log) = asked(&database, &format!("{base}?ssl-mode=VERIFY_IDENTITY"), &[]);
    assert_eq!(status, 503);
    assert!(log.contains("TLS, authentication or protocol error"), "{log}");
}
