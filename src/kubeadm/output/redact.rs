//! Removes secrets from text that was printed by kubeadm, or by another program that may quote its files.
//!
//! Secrets are recognised by their shape, because kubeadm makes some of them itself: bootstrap tokens, certificate keys, PEM blocks,
//! and the base64 in which kubeconfigs and Secrets hold keys. Hashes of public keys (`sha256:...`) are no secret and stay.

/// The shortest run of base64 that is taken for key material: a line of PEM has 64 characters, a sensible path has dots
/// and dashes, which base64 has not.
const BLOB: usize = 60;
/// Hex digits of a certificate key (an AES-256 key).
const CERTIFICATE_KEY: usize = 64;

/// The text with every secret replaced by its kind: `[token]`, `[key]`, `[pem]`.
#[must_use]
pub fn redact(text: &str) -> String {
    words(&tokens(&pem_blocks(text)))
}

fn pem_blocks(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        shown.push_str(&rest[..start]);
        shown.push_str("[pem]");
        let block = &rest[start + BEGIN.len()..];
        // After a truncated block, all that follows is hidden.
        let Some(end) = block.find(END) else {
            return shown;
        };
        let tail = &block[end + END.len()..];
        let closed = tail.find("-----").map_or(tail.len(), |dashes| dashes + "-----".len());
        rest = &tail[closed..];
    }
    shown.push_str(rest);
    shown
}

/// Bootstrap tokens: six characters, a dot, sixteen characters, and nothing like them on either side.
fn tokens(text: &str) -> String {
    let part = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dot) = rest.find('.') {
        let (before, after) = (&rest[..dot], &rest[dot + 1..]);
        let id = before.chars().rev().take_while(|letter| part(*letter)).count();
        let secret = after.chars().take_while(|letter| part(*letter)).count();
        if id == 6 && secret == 16 {
            shown.push_str(&before[..dot - id]);
            shown.push_str("[token]");
            rest = &after[secret..];
        } else {
            shown.push_str(&rest[..=dot]);
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

/// Certificate keys and blobs: long runs of the letters of base64.
fn words(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_base64(letter)).unwrap_or(rest.len());
        let word = &rest[..end];
        let public = shown.ends_with("sha256:") && is_hash(word);
        shown.push_str(if word.len() >= BLOB && !public { "[key]" } else { word });
        let gap = rest[end..].find(is_base64).unwrap_or(rest.len() - end);
        shown.push_str(&rest[end..end + gap]);
        rest = &rest[end + gap..];
    }
    shown
}

fn is_base64(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ['+', '/', '='].contains(&letter)
}

fn is_hash(word: &str) -> bool {
    word.len() == CERTIFICATE_KEY && word.chars().all(|letter| letter.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_a_secret_is_hidden() {
        let blob = "QUJD".repeat(20);
        let hex = "0a".repeat(32);
        let table = [
            ("Using token: abcdef.0123456789abcdef".to_owned(), "Using token: [token]".to_owned()),
            ("--token abcdef.0123456789abcdef \\".to_owned(), "--token [token] \\".to_owned()),
            (format!("Using certificate key:\n{hex}\n"), "Using certificate key:\n[key]\n".to_owned()),
            (format!("--certificate-key {hex}"), "--certificate-key [key]".to_owned()),
            (format!("client-key-data: {blob}\nuser: x"), "client-key-data: [key]\nuser: x".to_owned()),
            (
                "a -----BEGIN RSA PRIVATE KEY-----\nxx\n-----END RSA PRIVATE KEY----- b".to_owned(),
                "a [pem] b".to_owned(),
            ),
            ("a -----BEGIN RSA PRIVATE KEY-----\nxx\n".to_owned(), "a [pem]".to_owned()),
            (
                "-----BEGIN A-----x-----END A-----\n-----BEGIN B-----y-----END B-----".to_owned(),
                "[pem]\n[pem]".to_owned(),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(redact(&text), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let hash = format!("sha256:{}", "0a".repeat(32));
        let table = [
            "",
            "no secrets here.",
            "api.lab.internal:6443 v1.36.1 10.77.0.11 ...",
            "/etc/kubernetes/manifests/kube-controller-manager.yaml already exists",
            "abcdef.0123456789abcdefg too long, xabcdef.0123456789abcdef too",
            "gr\u{fc}n.\u{df}",
            hash.as_str(),
        ];
        for text in table {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn nothing_secret_is_left_of_any_captured_output() {
        let secrets = ["abcdef.0123456789abcdef", "0000000000000000000000000000000000000000000000000000000000000000"];
        let captures = [
            include_str!("../../../tests/fixtures/kubeadm-1.36/init.out"),
            include_str!("../../../tests/fixtures/kubeadm-1.36/init-with-restored-etcd.out"),
            include_str!("../../../tests/fixtures/kubeadm-1.36/token-create.out"),
            include_str!("../../../tests/fixtures/kubeadm-1.36/upload-certs.out"),
        ];
        for capture in captures {
            assert!(secrets.iter().any(|secret| capture.contains(secret)), "the capture holds no secret: no test");
            let shown = redact(capture);
            assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
        }
    }
}
