//! What a request for a certificate (PKCS#10 in PEM) asks for.
//!
//! Whoever signs parses the same bytes by another parser. So nothing passes that two parsers may read in two ways: one block of PEM with
//! nothing around it, and nothing in it that a kubelet does not put there.

use crate::model::joining::approval::{Asked, LARGEST_REQUEST, Malformed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::prelude::FromDer;

const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----\n";
const END: &str = "-----END CERTIFICATE REQUEST-----";

/// Reads the request that stands in a CertificateSigningRequest: PEM, in base64 once more.
///
/// # Errors
/// [`Malformed`].
pub(super) fn asked(request: &str) -> Result<Asked, Malformed> {
    if request.len() > LARGEST_REQUEST / 3 * 4 + 4 {
        return Err(Malformed::TooLarge);
    }
    let pem = STANDARD.decode(request).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    pem.as_deref().and_then(der).and_then(|der| read(&der)).ok_or(Malformed::NoRequest)
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let body = pem.strip_prefix(BEGIN)?;
    let body = body.strip_suffix('\n').unwrap_or(body).strip_suffix(END)?;
    STANDARD.decode(body.replace('\n', "")).ok()
}

fn read(der: &[u8]) -> Option<Asked> {
    let (rest, request) = X509CertificationRequest::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let info = &request.certification_request_info;
    let mut asked = Asked::default();
    for attribute in info.subject.iter_attributes() {
        let kind = attribute.attr_type();
        match attribute.as_str() {
            Ok(text) if *kind == OID_X509_ORGANIZATION_NAME => asked.organizations.push(text.to_owned()),
            Ok(text) if *kind == OID_X509_COMMON_NAME => asked.common_names.push(text.to_owned()),
            Ok(_) | Err(_) => asked.has_other_names = true,
        }
    }
    // An attribute that is not understood may ask for anything.
    asked.has_extensions = info.iter_attributes().any(|attribute| match attribute.parsed_attribute() {
        ParsedCriAttribute::ExtensionRequest(asks) => !asks.extensions.is_empty(),
        ParsedCriAttribute::ChallengePassword(_) | ParsedCriAttribute::UnsupportedAttribute => true,
    });
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBELETS: &str = include_str!("../../tests/fixtures/requests/kubelet.csr");

    fn of(pem: &str) -> Result<Asked, Malformed> {
        asked(&STANDARD.encode(pem))
    }

    fn expected() -> Asked {
        let (organizations, common_names) = (vec!["system:nodes".into()], vec!["system:node:w1.internal".into()]);
        Asked { organizations, common_names, ..Asked::default() }
    }

    #[test]
    fn a_kubelets_request_is_read_as_openssl_reads_it() {
        assert_eq!(of(KUBELETS), Ok(expected()));
        assert_eq!(of(KUBELETS.trim_end()), Ok(expected()));
    }

    #[test]
    fn everything_else_that_is_asked_for_is_seen() {
        let masters = "system:masters".to_owned();
        let names = of(include_str!("../../tests/fixtures/requests/other-names.csr"));
        assert_eq!(names, Ok(Asked { has_extensions: true, ..expected() }));
        let unit = of(include_str!("../../tests/fixtures/requests/unit.csr"));
        assert_eq!(unit, Ok(Asked { has_other_names: true, ..expected() }));
        for two in [
            include_str!("../../tests/fixtures/requests/two-organizations.csr"),
            include_str!("../../tests/fixtures/requests/multi-valued.csr"),
        ] {
            let asked = of(two).map(|asked| asked.organizations);
            assert!(asked.is_ok_and(|found| found.len() == 2 && found.contains(&masters)));
        }
    }

    #[test]
    fn what_two_parsers_may_read_in_two_ways_is_no_request() {
        let certificate = include_str!("../../tests/fixtures/pki/ca.crt");
        let lines: Vec<&str> = KUBELETS.lines().collect();
        let last = lines.len() - 1;
        let with_header = KUBELETS.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
        let longer = |body: &str| format!("{BEGIN}{body}\n{END}\n");
        let mut trailing = STANDARD.decode(lines[1..last].concat()).unwrap_or_default();
        trailing.push(0);
        let rows = [
            String::new(),
            "\n".to_owned() + KUBELETS,
            KUBELETS.repeat(2),
            KUBELETS.to_owned() + "x",
            certificate.to_owned(),
            certificate.to_owned() + KUBELETS,
            KUBELETS.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
            KUBELETS.replace('\n', "\r\n"),
            with_header,
            longer(""),
            longer("AAAA"),
            longer(&STANDARD.encode(&trailing)),
            lines[..last].join("\n"),
            longer(&lines[1..last - 1].concat()),
        ];
        for pem in rows {
            assert_eq!(of(&pem), Err(Malformed::NoRequest), "{pem}");
        }
        assert_eq!(asked("%"), Err(Malformed::NoRequest));
        assert_eq!(asked("gICA"), Err(Malformed::NoRequest));
        assert_eq!(of(&" ".repeat(LARGEST_REQUEST)), Err(Malformed::NoRequest));
        assert_eq!(of(&" ".repeat(LARGEST_REQUEST + 5)), Err(Malformed::TooLarge));
    }
}
