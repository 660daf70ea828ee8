//! What a failed TLS handshake between two machines of one cluster means: clocks that differ, certificates that have run out, or an
//! authority that is not the same on both.

use std::error::Error;

/// Why a handshake failed, as far as something can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The other's certificate begins later, by this machine's clock.
    NotYetValid,
    /// The other's certificate has run out, by this machine's clock.
    Expired,
    /// The other holds this machine's certificate for expired, or for one that begins later.
    OwnOutOfDate,
    /// The other's certificate is of an authority that this machine does not have.
    OtherAuthority,
    /// The other does not accept this machine's certificate.
    OwnRefused,
}

impl Handshake {
    /// Reads the texts of rustls, which no caller gets as a value: they come through the clients of HTTP and of etcd.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        const TEXTS: [(&str, Handshake); 10] = [
            ("certificate not valid yet", Handshake::NotYetValid),
            ("NotValidYet", Handshake::NotYetValid),
            ("certificate expired", Handshake::Expired),
            ("invalid peer certificate: Expired", Handshake::Expired),
            ("received fatal alert: CertificateExpired", Handshake::OwnOutOfDate),
            ("invalid peer certificate: UnknownIssuer", Handshake::OtherAuthority),
            ("invalid peer certificate: BadSignature", Handshake::OtherAuthority),
            ("received fatal alert: UnknownCA", Handshake::OwnRefused),
            ("received fatal alert: BadCertificate", Handshake::OwnRefused),
            ("received fatal alert: CertificateUnknown", Handshake::OwnRefused),
        ];
        TEXTS.iter().find(|(words, _)| text.contains(words)).map(|(_, meaning)| *meaning)
    }

    /// What is so, and what to do.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotYetValid => {
                "its certificate is not valid yet by this machine's clock: set this machine's clock (let chrony or systemd-timesyncd \
                 follow 169.254.169.123), or that of the machine which made the certificate"
            }
            Self::Expired => {
                "its certificate has expired by this machine's clock: if the clock is right, run 'kubeboot renew' there"
            }
            Self::OwnOutOfDate => {
                "it holds this machine's certificate for expired or not valid yet: compare the clocks of both machines; if they are right, \
                 run 'kubeboot renew' here"
            }
            Self::OtherAuthority => {
                "its certificate is not of the certificate authority that this machine has: the files below /etc/kubernetes/pki are \
                 another cluster's there or here"
            }
            Self::OwnRefused => {
                "it does not accept this machine's certificate: the files below /etc/kubernetes/pki are another cluster's there or here"
            }
        }
    }

    /// Whether the files of this machine may be at fault, rather than the other's.
    #[must_use]
    pub fn is_about_authorities(self) -> bool {
        match self {
            Self::OtherAuthority | Self::OwnRefused => true,
            Self::NotYetValid | Self::Expired | Self::OwnOutOfDate => false,
        }
    }
}

/// An error with its causes in one line, each once; where the handshake failed, what that means.
#[must_use]
pub fn told(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    let mut text = String::new();
    for cause in chain.map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    match Handshake::of(&text) {
        Some(meaning) => format!("{} ({text})", meaning.sentence()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::UnixTime;
    use rustls::{AlertDescription, CertificateError};
    use std::time::Duration;

    #[test]
    fn every_refusal_of_rustls_is_known_by_its_text() {
        let moment = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let rows = [
            (CertificateError::NotValidYet.into(), Some(Handshake::NotYetValid)),
            (
                CertificateError::NotValidYetContext { time: moment(1), not_before: moment(2) }.into(),
                Some(Handshake::NotYetValid),
            ),
            (CertificateError::Expired.into(), Some(Handshake::Expired)),
            (
                CertificateError::ExpiredContext { time: moment(2), not_after: moment(1) }.into(),
                Some(Handshake::Expired),
            ),
            (CertificateError::UnknownIssuer.into(), Some(Handshake::OtherAuthority)),
            (CertificateError::BadSignature.into(), Some(Handshake::OtherAuthority)),
            (rustls::Error::AlertReceived(AlertDescription::CertificateExpired), Some(Handshake::OwnOutOfDate)),
            (rustls::Error::AlertReceived(AlertDescription::UnknownCA), Some(Handshake::OwnRefused)),
            (rustls::Error::AlertReceived(AlertDescription::BadCertificate), Some(Handshake::OwnRefused)),
            (rustls::Error::AlertReceived(AlertDescription::InternalError), None),
            (rustls::Error::DecryptError, None),
        ];
        for (error, expected) in rows {
            let error: rustls::Error = error;
            let io = std::io::Error::new(std::io::ErrorKind::InvalidData, error.clone());
            assert_eq!(Handshake::of(&error.to_string()), expected, "{error}");
            let told = told(&io);
            assert!(expected.is_none_or(|meaning| told.starts_with(meaning.sentence())), "{told}");
            assert_eq!(told.matches(&error.to_string()).count(), 1, "{told}");
        }
    }
}
