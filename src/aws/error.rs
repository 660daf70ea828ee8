//! What a failed call to AWS means for its caller.

use crate::exit::Exit;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;

/// Why a call failed, as far as a caller branches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFailure {
    /// AWS refused: a permission is missing, or the role has not reached every place yet.
    Denied,
    /// AWS does not accept the credentials.
    Credentials,
    /// This machine's clock is too far off.
    Clock,
    /// The bucket is in another Region than the one that is asked.
    Region,
    /// The bucket does not exist.
    NoSuchBucket,
    /// Too many calls; waited out.
    Throttled,
    /// A time-out, a cut connection or a server error: waited out, and after a write anything may have happened.
    NoAnswer,
    /// The request itself was wrong: trying again will not mend it.
    Rejected,
}

/// A call to AWS that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.what(), self.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default())]
pub struct CallFailed {
    /// What was tried, such as `read`.
    pub verb: &'static str,
    /// On what, such as `s3://bucket/prefix/control-plane/cluster.json`.
    pub object: String,
    /// The IAM action that the call needs.
    pub permission: &'static str,
    /// What it means.
    pub kind: CallFailure,
    /// What the SDK says.
    pub detail: String,
}

/// Error codes that mean "not allowed", over all services used. Some of them pass by themselves while a fresh role
/// propagates, which is why a denial is only final after its grace.
const DENIALS: [&str; 4] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMS.AccessDeniedException"];

/// Error codes that mean "not these credentials".
const CREDENTIALS: [&str; 9] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// Error codes that mean "another time than ours". Source: S3's list of error responses, the common errors of EC2 and Auto Scaling.
const CLOCK: [&str; 3] = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"];

/// Error codes that mean "another Region". Source: S3's list of error responses.
const REGION: [&str; 4] =
    ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

impl CallFailed {
    /// Reads the SDK's error.
    pub fn new<E>(
        verb: &'static str,
        object: impl Into<String>,
        permission: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let detail = match error.as_service_error() {
            Some(service) => match (service.code(), service.message()) {
                (Some(code), Some(message)) => format!("{code}: {}", constant(message)),
                (Some(code), None) => code.to_owned(),
                (None, _) => status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}")),
            },
            None => without_answer(causes(error)),
        };
        let bucket_region = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
        // An answer that was cut off says nothing, whatever its first line: behind a 404 may have come that there is no such object.
        let kind = match error {
            SdkError::ResponseError(_) => CallFailure::NoAnswer,
            _ => classify(status, code),
        };
        let detail = match (kind, bucket_region) {
            (CallFailure::Region, Some(region)) => format!("{detail} (the bucket is in {})", region.escape_debug()),
            _ => detail,
        };
        Self { verb, object: object.into(), permission, kind, detail }
    }

    /// A call that had no answer in time.
    #[must_use]
    pub fn silent(verb: &'static str, object: impl Into<String>, permission: &'static str) -> Self {
        Self {
            verb,
            object: object.into(),
            permission,
            kind: CallFailure::NoAnswer,
            detail: "no answer in time".to_owned(),
        }
    }

    /// What failed.
    #[must_use]
    pub fn what(&self) -> String {
        format!("failed to {} {}: {}", self.verb, self.object, self.detail)
    }

    /// What the operator can do, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self.kind {
            CallFailure::Denied => {
                let others = match self.permission {
                    "s3:PutObject" => {
                        ", and look at the policies of bucket and key (a bucket may want an encryption header: the setting \
                         'server_side_encryption' sends it)"
                    }
                    s3 if s3.starts_with("s3:") => ", and look at the policies of bucket and key",
                    _ => "",
                };
                Some(format!("allow '{}' in the instance's role{others}", self.permission))
            }
            CallFailure::NoSuchBucket => {
                Some("create the bucket, or correct the setting 'bucket' or 'region'".to_owned())
            }
            CallFailure::Credentials => Some(
                "give the instance its profile, or whoever runs this credentials that are valid (the session may have expired)".to_owned(),
            ),
            CallFailure::Clock => {
                Some("set this machine's clock: let chrony or systemd-timesyncd follow 169.254.169.123".to_owned())
            }
            CallFailure::Region => Some("correct the setting 'bucket' or 'region'".to_owned()),
            CallFailure::Throttled | CallFailure::NoAnswer | CallFailure::Rejected => None,
        }
    }

    /// Whether trying again may help although nothing was changed.
    #[must_use]
    pub fn may_mend(&self) -> bool {
        match self.kind {
            CallFailure::Throttled | CallFailure::NoAnswer => true,
            CallFailure::Denied
            | CallFailure::Credentials
            | CallFailure::Clock
            | CallFailure::Region
            | CallFailure::NoSuchBucket
            | CallFailure::Rejected => false,
        }
    }
}

/// Gives an error of AWS the [`Exit`] that it asks for, where nothing else has: a command that a person has started does not
/// wait until a denial has passed, as `up` does at boot.
#[must_use]
pub fn with_exit(error: anyhow::Error) -> anyhow::Error {
    let failed = error.downcast_ref::<CallFailed>().filter(|_| error.downcast_ref::<Exit>().is_none());
    match failed.map(|failed| failed.may_mend()) {
        Some(true) => error.context(Exit::TryAgain),
        Some(false) => error.context(Exit::Aws),
        None => error,
    }
}

/// An error of the SDK with its causes. (`DisplayErrorContext` would append all of it once more, as Rust's `Debug`.)
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Why a call was not even made, or had no answer. Where no source has given credentials, the SDK's text names none of them.
fn without_answer(text: String) -> String {
    const NO_CREDENTIALS: [&str; 2] = ["no providers in chain provided credentials", "while loading credentials"];
    if NO_CREDENTIALS.iter().any(|words| text.contains(words)) {
        return format!(
            "there are no credentials, because the instance metadata service (IMDS) does not answer or gives none: see that its endpoint is \
             enabled for this instance, that http://169.254.169.254 can be reached from it, and that it has its instance profile ({text})"
        );
    }
    text
}

/// What AWS says, without what is another at every call: the same refusal is told once, and known again. EC2 appends a message that only
/// `sts:DecodeAuthorizationMessage` reads (and CloudTrail keeps); where a clock is off, several services name both times.
fn constant(message: &str) -> String {
    const ENCODED: &str = "Encoded authorization failure message:";
    // Nothing follows it.
    let told = message.split_once(ENCODED).map_or(message, |(told, _)| told.trim_end());
    let mut constant = String::with_capacity(told.len());
    for word in told.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let end = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        let is_time = is_basic_time(&word[..word.len() - end.len()]);
        constant.push_str(if is_time { "(a time)" } else { &word[..word.len() - end.len()] });
        constant.push_str(end);
    }
    constant
}

/// Whether this is a time as signatures have it, such as `20261201T042200Z`.
fn is_basic_time(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "00000000T000000Z"
}

/// What status and error code mean.
fn classify(status: Option<u16>, code: Option<&str>) -> CallFailure {
    match (status, code) {
        (_, Some("NoSuchBucket")) => CallFailure::NoSuchBucket,
        (_, Some(code)) if THROTTLING_ERRORS.contains(&code) => CallFailure::Throttled,
        (_, Some(code)) if DENIALS.contains(&code) => CallFailure::Denied,
        (_, Some(code)) if CREDENTIALS.contains(&code) => CallFailure::Credentials,
        (_, Some(code)) if CLOCK.contains(&code) => CallFailure::Clock,
        (Some(301 | 307), _) => CallFailure::Region,
        (_, Some(code)) if REGION.contains(&code) => CallFailure::Region,
        // S3 waited for the rest of a request: the connection is at fault.
        (_, Some(code)) if TRANSIENT_ERRORS.contains(&code) => CallFailure::NoAnswer,
        (Some(429 | 503), _) => CallFailure::Throttled,
        (Some(401 | 403), _) => CallFailure::Denied,
        (Some(400..=499), _) => CallFailure::Rejected,
        (Some(_) | None, _) => CallFailure::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn codes_and_status_mean_one_thing() {
        let rows = [
            (Some(403), Some("AccessDenied"), CallFailure::Denied),
            (Some(403), None, CallFailure::Denied),
            (Some(400), Some("AccessDenied"), CallFailure::Denied),
            (Some(404), Some("NoSuchBucket"), CallFailure::NoSuchBucket),
            (Some(503), Some("SlowDown"), CallFailure::Throttled),
            (Some(400), Some("Throttling"), CallFailure::Throttled),
            // Of the SDK's own list.
            (Some(400), Some("EC2ThrottledException"), CallFailure::Throttled),
            (Some(400), Some("RequestTimeoutException"), CallFailure::NoAnswer),
            (Some(500), Some("InternalError"), CallFailure::NoAnswer),
            (Some(400), Some("ValidationError"), CallFailure::Rejected),
            (None, None, CallFailure::NoAnswer),
            (Some(400), Some("RequestTimeout"), CallFailure::NoAnswer),
            (Some(400), Some("ExpiredToken"), CallFailure::Credentials),
            (Some(401), Some("AuthFailure"), CallFailure::Credentials),
            (Some(403), Some("RequestTimeTooSkewed"), CallFailure::Clock),
            (Some(400), Some("RequestExpired"), CallFailure::Clock),
            (Some(301), Some("PermanentRedirect"), CallFailure::Region),
            (Some(301), None, CallFailure::Region),
            (Some(400), Some("AuthorizationHeaderMalformed"), CallFailure::Region),
        ];
        for (status, code, kind) in rows {
            assert_eq!(classify(status, code), kind, "{status:?} {code:?}");
        }
    }

    #[test]
    fn the_same_refusal_has_the_same_words_at_every_call() {
        let denied = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/i-1 is not authorized to perform: \
                      ec2:ModifyInstanceAttribute on resource: arn:aws:ec2:eu-central-1:1:instance/i-1 because no identity-based policy allows the \
                      ec2:ModifyInstanceAttribute action.";
        for blob in ["qVT7mlfJ-3_x", "lJ0a9", ""] {
            assert_eq!(constant(&format!("{denied} Encoded authorization failure message: {blob}")), denied);
        }
        let expired = |now| format!("Signature expired: 20261201T042200Z is now earlier than {now} ({now} - 5 min.)");
        assert_eq!(constant(&expired("20261201T052213Z")), constant(&expired("20261201T052214Z")));
        assert_eq!(constant(&expired("x")), "Signature expired: (a time) is now earlier than x (x - 5 min.)");
        for same in ["", "Access Denied", "the key é is 20261201T0422 and 1.36", "a\nb  c."] {
            assert_eq!(constant(same), same);
        }
    }

    #[test]
    fn an_answer_that_was_cut_off_says_nothing() {
        for status in [200, 403, 404, 500] {
            let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let cut: SdkError<GetObjectError, HttpResponse> = SdkError::response_error("end of file", raw);
            let failed = CallFailed::new("read", "an object", "s3:GetObject", &cut);
            assert_eq!(failed.kind, CallFailure::NoAnswer, "{status}");
            assert!(failed.may_mend() && failed.detail.contains("end of file"), "{failed}");
        }
    }

    #[test]
    fn a_metadata_service_that_is_gone_is_told_as_that() {
        let gone = "dispatch failure: other: no providers in chain provided credentials".to_owned();
        let told = without_answer(gone.clone());
        assert!(told.starts_with("there are no credentials, because the instance metadata service (IMDS)"), "{told}");
        assert!(told.ends_with(&format!("({gone})")), "{told}");
        assert_eq!(without_answer("dispatch failure: timeout".into()), "dispatch failure: timeout");
    }

    #[test]
    fn each_refusal_has_a_remedy_of_its_own() {
        let rows = [
            (CallFailure::Denied, Some("allow 's3:GetObject'")),
            (CallFailure::Credentials, Some("give the instance its profile")),
            (CallFailure::Clock, Some("set this machine's clock")),
            (CallFailure::Region, Some("correct the setting 'bucket' or 'region'")),
            (CallFailure::NoSuchBucket, Some("create the bucket")),
            (CallFailure::Throttled, None),
            (CallFailure::NoAnswer, None),
            (CallFailure::Rejected, None),
        ];
        for (kind, remedy) in rows {
            let failed = CallFailed { kind, ..CallFailed::silent("read", "an object", "s3:GetObject") };
            assert_eq!(failed.remedy().is_some(), remedy.is_some(), "{kind:?}");
            assert!(remedy.is_none_or(|remedy| failed.to_string().contains(remedy)), "{failed}");
        }
        let write =
            CallFailed { kind: CallFailure::Denied, ..CallFailed::silent("write", "an object", "s3:PutObject") };
        assert!(write.to_string().contains("the setting 'server_side_encryption' sends it"), "{write}");
    }

    #[test]
    fn a_bucket_elsewhere_is_told_with_its_region() {
        let mut raw = HttpResponse::new(301_u16.try_into().unwrap(), SdkBody::empty());
        raw.headers_mut().insert("x-amz-bucket-region", "eu-west-3");
        let moved: SdkError<GetObjectError, HttpResponse> =
            SdkError::service_error(GetObjectError::unhandled("moved"), raw);
        let failed = CallFailed::new("read", "an object", "s3:GetObject", &moved);
        assert_eq!(failed.kind, CallFailure::Region);
        assert!(failed.to_string().contains("(the bucket is in eu-west-3); correct the setting"), "{failed}");
    }

    #[test]
    fn a_denial_names_the_permission() {
        let failed = CallFailed {
            verb: "read",
            object: "s3://b/k".into(),
            permission: "s3:GetObject",
            kind: CallFailure::Denied,
            detail: "AccessDenied: no".into(),
        };
        assert!(failed.to_string().contains("allow 's3:GetObject'"), "{failed}");
    }

    #[test]
    fn an_error_of_aws_has_its_exit_unless_it_has_another() {
        let failed = |kind| CallFailed { kind, ..CallFailed::silent("read", "an object", "s3:GetObject") };
        let rows = [
            (anyhow::Error::from(failed(CallFailure::Denied)).context("looking"), Exit::Aws),
            (failed(CallFailure::Rejected).into(), Exit::Aws),
            (failed(CallFailure::NoAnswer).into(), Exit::TryAgain),
            (anyhow::Error::from(failed(CallFailure::Denied)).context(Exit::Operator), Exit::Operator),
            (anyhow::anyhow!("odd"), Exit::Internal),
        ];
        for (error, expected) in rows {
            assert_eq!(Exit::of(&with_exit(error)), expected);
        }
    }
}
