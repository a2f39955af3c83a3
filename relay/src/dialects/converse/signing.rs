//! What proves a request to AWS: Signature Version 4, made by AWS' own library, or a Bedrock API key.
//!
//! Source: "Signature Version 4 for API requests" (IAM user guide) and "Bedrock API keys" (Bedrock user guide).

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::{ExposeSecret, SecretString};

use crate::RelayError;

/// The name of the service in a signature.
const SERVICE: &str = "bedrock";
/// How ids of access keys begin: of users, and of temporary credentials.
const ACCESS_KEYS: [&str; 2] = ["AKIA", "ASIA"];

/// The key of an account.
#[derive(Clone)]
pub enum AwsKey {
    /// A Bedrock API key, which is sent as it is.
    Bearer(SecretString),
    /// An access key, by which each request is signed.
    Signing {
        /// Such as `AKIAIOSFODNN7EXAMPLE`; no secret.
        access_key_id: String,
        /// The secret.
        secret_access_key: SecretString,
        /// Where the address does not tell the region.
        region: Option<String>,
        /// Of temporary credentials.
        session_token: Option<SecretString>,
    },
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Signing { .. } => "Signing",
        })
    }
}

impl AwsKey {
    /// The key that an operator wrote down: `ID:SECRET`, `ID:SECRET:REGION` or `ID:SECRET:REGION:SESSION_TOKEN` (the region
    /// may be empty) for an access key, and anything else is an API key.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut fields = text.trim().splitn(4, ':');
        let field = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        match (fields.next(), field(fields.next())) {
            (Some(id), Some(secret)) if ACCESS_KEYS.iter().any(|kind| id.starts_with(kind)) => Self::Signing {
                access_key_id: id.to_owned(),
                secret_access_key: secret.into(),
                region: field(fields.next()),
                session_token: field(fields.next()).map(SecretString::from),
            },
            _ => Self::Bearer(text.trim().into()),
        }
    }

    /// The headers to send with a `POST` of `body` as `application/json` to `url`, which is signed as it will be sent.
    ///
    /// # Errors
    /// [`RelayError::Misconfigured`] where no region is known or the address cannot be signed.
    pub fn headers(&self, url: &str, body: &[u8], now: SystemTime) -> Result<Vec<(String, String)>, RelayError> {
        let Self::Signing { access_key_id, secret_access_key, region, session_token } = self else {
            return Ok(self.bearer());
        };
        let wrong = |what: &str| RelayError::Misconfigured(what.to_owned());
        let region = region.as_deref().or_else(|| region_of(url));
        let region = region.ok_or_else(|| wrong("neither the address nor the key names the AWS region"))?;
        let token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let credentials = Credentials::new(access_key_id, secret_access_key.expose_secret(), token, None, "channel");
        let signed = Signed { credentials, region, service: SERVICE, time: now };
        let headers = [("content-type", "application/json")];
        signed.headers("POST", url, &headers, body).ok_or_else(|| wrong("a request to this address cannot be signed"))
    }

    fn bearer(&self) -> Vec<(String, String)> {
        match self {
            Self::Bearer(key) => vec![("authorization".to_owned(), format!("Bearer {}", key.expose_secret()))],
            Self::Signing { .. } => vec![],
        }
    }
}

/// Whose signature it is, and for what.
struct Signed<'a> {
    credentials: Credentials,
    region: &'a str,
    service: &'a str,
    time: SystemTime,
}

impl Signed<'_> {
    /// The headers that a signature adds.
    fn headers(self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Vec<(String, String)>> {
        let identity = self.credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(SigningSettings::default())
            .build()
            .ok()?;
        let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body)).ok()?;
        let (instructions, _) = sign(request, &params.into()).ok()?.into_parts();
        Some(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The region that an address of Bedrock's names: `https://bedrock-runtime.us-east-1.amazonaws.com`, those for FIPS, and
/// those of private links.
fn region_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':', '?']).next()?;
    let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock-runtime"));
    labels.next()?;
    labels.next().filter(|_| host.contains(".amazonaws.com") || host.contains(".api.aws"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z, the time of AWS' test suite.
    const TIME: u64 = 1_440_938_160;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The signature of a request of AWS' test suite (github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4).
    fn signature(url: &str, token: Option<&str>) -> String {
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, token.map(str::to_owned), None, "test");
        let signed = Signed { credentials, region: "us-east-1", service: "service", time: at(TIME) };
        let headers = signed.headers("POST", url, &[], b"").unwrap();
        let authorization = headers.iter().find(|(name, _)| name == "authorization").unwrap();
        authorization.1.clone()
    }

    #[test]
    fn the_signatures_of_aws_test_suite_are_made() {
        let vanilla = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(signature("https://example.amazonaws.com/", None), vanilla);
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let temporary = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date;x-amz-security-token, \
            Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert_eq!(signature("https://example.amazonaws.com/", Some(token)), temporary);
    }

    #[test]
    fn a_request_to_bedrock_is_signed_for_the_region_of_its_address() {
        let key = AwsKey::parse(&format!("AKIAIOSFODNN7EXAMPLE:{SECRET}::token"));
        let url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v2%3A1/converse";
        let headers = key.headers(url, b"{}", at(TIME)).unwrap();
        let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20150830/eu-west-1/bedrock/aws4_request, \
            SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
        assert!(value("authorization").unwrap().starts_with(scope));
        assert_eq!((value("x-amz-date"), value("x-amz-security-token")), (Some("20150830T123600Z"), Some("token")));
        let other = key.headers(url, b"{} ", at(TIME)).unwrap();
        assert_ne!(other, headers);
    }

    #[test]
    fn a_region_is_named_by_the_address_or_by_the_key() {
        assert_eq!(region_of("https://bedrock-runtime-fips.us-west-2.amazonaws.com"), Some("us-west-2"));
        assert_eq!(region_of("https://vpce-0a.bedrock-runtime.us-east-1.vpce.amazonaws.com/x"), Some("us-east-1"));
        assert_eq!(region_of("http://127.0.0.1:8080/"), None);
        let unknown = AwsKey::parse(&format!("AKIAIOSFODNN7EXAMPLE:{SECRET}"));
        let error = unknown.headers("http://127.0.0.1:8080/", b"", at(TIME)).unwrap_err();
        assert_eq!(error.code(), "misconfigured");
        let known = AwsKey::parse(&format!("AKIAIOSFODNN7EXAMPLE:{SECRET}:ap-south-1"));
        let headers = known.headers("http://127.0.0.1:8080/", b"", at(TIME)).unwrap();
        assert!(headers.iter().any(|(_, value)| value.contains("/ap-south-1/bedrock/")));
    }

    #[test]
    fn an_api_key_is_sent_as_it_is_and_no_key_is_shown() {
        let key = AwsKey::parse(" bedrock-api-key-YmVk:cm9jaw== ");
        let headers = key.headers("http://127.0.0.1/", b"", at(TIME)).unwrap();
        assert_eq!(headers, [("authorization".to_owned(), "Bearer bedrock-api-key-YmVk:cm9jaw==".to_owned())]);
        assert_eq!(format!("{key:?}"), "Bearer");
        assert_eq!(format!("{:?}", AwsKey::parse(&format!("ASIA1:{SECRET}"))), "Signing");
    }
}
