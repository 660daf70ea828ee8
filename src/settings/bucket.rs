//! The bucket's name, by S3's rules, and what people write instead of it.

/// Names with these ends are aliases of access points, or buckets of another kind.
const RESERVED_ENDS: [&str; 4] = ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"];

/// Names with these beginnings are S3's own.
const RESERVED_STARTS: [&str; 2] = ["xn--", "sthree-"];

/// A bucket's name.
pub(super) fn parse(text: &str) -> Result<String, String> {
    if text.to_ascii_lowercase().contains(".mrap") {
        return Err("it is a multi-Region access point, and conditional writes need one Region: give the name of \
                    a bucket"
            .to_owned());
    }
    if let Some(rest) = text.strip_prefix("s3://") {
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!(", and '{prefix}' as prefix"),
        };
        return Err(format!("it is a URL; give the name alone, '{name}'{prefix}"));
    }
    if text.contains("://") {
        return Err("it is a URL; give the bucket's name alone".to_owned());
    }
    if text.starts_with("arn:") {
        return Err(match text.split_once(":::") {
            Some((_, name)) => format!("it is an ARN; give the name alone, '{name}'"),
            None => "it is the ARN of something else; give a bucket's name".to_owned(),
        });
    }
    name(text).map(|()| text.to_owned())
}

/// The rules for names of general-purpose buckets, from the S3 user guide ("General purpose bucket
/// naming rules").
fn name(text: &str) -> Result<(), String> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(|&byte| fine(byte));
    let bytes = text.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Err("it must have 3 to 63 characters".to_owned());
    }
    if !bytes.iter().all(|&byte| fine(byte) || b".-".contains(&byte)) {
        return Err("it must have lower-case letters, digits, '-' and '.' only".to_owned());
    }
    if !ends(bytes.first()) || !ends(bytes.last()) || text.contains("..") {
        return Err("it must begin and end with a letter or digit and have no two dots in a row".to_owned());
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("it is an IP address".to_owned());
    }
    if RESERVED_STARTS.iter().any(|start| text.starts_with(start))
        || RESERVED_ENDS.iter().any(|end| text.ends_with(end))
    {
        return Err("it is an access point, or a bucket of another kind than general purpose".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_that_s3_takes_are_taken() {
        let long = "a".repeat(63);
        for name in ["abc", "kubeboot-demo", "a.b-c.9", "123", &long] {
            assert_eq!(parse(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_would_do() {
        let long = "a".repeat(64);
        for (name, wanted) in [
            ("ab", "3 to 63"),
            (long.as_str(), "3 to 63"),
            ("Bucket", "lower-case"),
            ("under_score", "lower-case"),
            ("b\u{fc}cket", "lower-case"),
            ("-abc", "begin and end"),
            ("abc.", "begin and end"),
            ("a..b", "two dots"),
            ("10.0.0.1", "IP address"),
            ("xn--abc", "another kind"),
            ("logs--eun1-az1--x-s3", "another kind"),
            ("mine-abcdefgh-s3alias", "access point"),
            ("s3://mine", "the name alone, 'mine'"),
            ("s3://mine/a/b/", "'mine', and 'a/b' as prefix"),
            ("https://mine.s3.amazonaws.com", "a URL"),
            ("arn:aws:s3:::mine", "the name alone, 'mine'"),
            ("arn:aws:s3:eu-central-1:123456789012:accesspoint/mine", "something else"),
            ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "one Region"),
            ("mfzwi23gnjvgw.mrap", "one Region"),
        ] {
            let error = parse(name).expect_err(name);
            assert!(error.contains(wanted), "{name}: {error}");
        }
    }
}
