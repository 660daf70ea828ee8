//! Which request for a kubelet's first certificate is approved.
//!
//! To Kubernetes' own approver a bootstrap token is the identity of any node. So the tokens that kubeboot publishes carry a group of their
//! own, which that approver does not know, and the leader looks at the name that is asked for.

use super::queue::MOST_OF_A_NAME;
use std::collections::BTreeSet;
use std::fmt;

/// The group of kubeboot's tokens. Nothing binds it to automatic approval.
pub const GROUP: &str = "system:bootstrappers:kubeboot";
/// The signer of kubelets' client certificates.
pub const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// The largest request, in bytes of PEM. A kubelet's has some four hundred; one with an RSA key of 8192 bits about two thousand.
pub const LARGEST_REQUEST: usize = 8 * 1024;
/// Before the ID of a bootstrap token in the name of its user.
const TOKEN_USER: &str = "system:bootstrap:";
/// The organization of every node, and what comes before its name.
const NODES: &str = "system:nodes";
const NODE_USER: &str = "system:node:";
/// The usages that kubelets ask for: with an RSA key all three, otherwise the first two.
const USAGES: [&str; 3] = ["client auth", "digital signature", "key encipherment"];

/// A CertificateSigningRequest as Kubernetes keeps it. Who asked is Kubernetes' own word, all else is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who is to sign.
    pub signer: String,
    /// The name of the user who asked.
    pub user: String,
    /// The groups of that user.
    pub groups: Vec<String>,
    /// What the certificate is to be used for.
    pub usages: Vec<String>,
    /// Whether somebody has approved or refused it, or it has failed.
    pub is_settled: bool,
    /// The request itself, or why it is none.
    pub asks: Result<Asked, Malformed>,
}

/// What a PKCS#10 request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The organizations in its subject.
    pub organizations: Vec<String>,
    /// The common names in its subject.
    pub common_names: Vec<String>,
    /// Whether its subject has anything else.
    pub has_other_names: bool,
    /// Whether it asks for extensions, such as other names.
    pub has_extensions: bool,
}

/// Why a request is none that a kubelet makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than any kubelet sends.
    #[error("it is larger than {LARGEST_REQUEST} bytes")]
    TooLarge,
    /// No PEM of one PKCS#10 request.
    #[error("it is no PKCS#10 request")]
    NoRequest,
}

/// What is known of the name that a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamedNode {
    /// Kubernetes does not say that it hears nothing of its kubelet any more: its machine lives. One that waits for a pod network is
    /// not ready, and lives all the same.
    pub is_alive: bool,
    /// Its Node is marked as a control-plane machine's.
    pub is_control_plane: bool,
}

/// What a request is before its Node is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody came with a token of kubeboot's, or another signer is to sign: Kubernetes' own approver or somebody else decides.
    NotOurs,
    /// It was decided before.
    Settled,
    /// It is refused whatever Nodes there are.
    Refused(Refusal),
    /// It is for this name, of which the Node decides.
    Node(String),
}

/// What becomes of a request for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A certificate is made.
    Approve,
    /// It is looked at again later.
    Wait(Pending),
    /// No certificate is made.
    Refuse(Refusal),
}

/// Why a request stays pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Pending {
    /// Its machine lives, as far as Kubernetes knows: for about 40 seconds after it has died.
    #[error("Kubernetes hears of the Node of this name, so another machine has it")]
    Alive,
    /// Its machine is gone or will come back, and its Node still says what it was.
    #[error(
        "it asks for the name of a control-plane machine of which Kubernetes hears nothing, and which is not reaped yet"
    )]
    OfControlPlane,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is malformed.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The group without a bootstrap token.
    #[error("whoever asks has the group '{GROUP}', and is no bootstrap token")]
    NoTokenUser,
    /// Another subject than a node's.
    #[error(
        "its subject is not that of a node: the organization '{NODES}', the name '{NODE_USER}NAME', and nothing else"
    )]
    Subject,
    /// It asks for more than a client's certificate.
    #[error("it asks for extensions, which no kubelet does")]
    Extensions,
    /// It asks for other usages.
    #[error(
        "it asks for other usages than a kubelet's: 'client auth', 'digital signature', and perhaps 'key encipherment'"
    )]
    Usages,
    /// The name of a machine that serves the control plane.
    #[error("it asks for the name of a control-plane machine")]
    ControlPlane,
    /// More for one name than any kubelet makes.
    #[error("{MOST_OF_A_NAME} other requests for the same name stay pending already")]
    TooMany,
}

impl Refusal {
    /// The word for programs, in the condition and the Event.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Subject | Self::Extensions | Self::Usages => "KubebootMalformedRequest",
            Self::NoTokenUser => "KubebootNoBootstrapToken",
            Self::ControlPlane => "KubebootControlPlaneName",
            Self::TooMany => "KubebootTooManyRequests",
        }
    }
}

/// Judges a request by itself.
#[must_use]
pub fn claimed(request: &Request) -> Claimed {
    if request.signer != SIGNER || !request.groups.iter().any(|group| group == GROUP) {
        return Claimed::NotOurs;
    }
    if request.is_settled {
        return Claimed::Settled;
    }
    match name(request) {
        Err(refusal) => Claimed::Refused(refusal),
        Ok(name) => Claimed::Node(name.to_owned()),
    }
}

/// Judges a request for a name by the Node of that name, if there is one. `is_registered`: a machine of the control plane has registered
/// that name, and the registration is not finished.
#[must_use]
pub fn judge(node: Option<NamedNode>, is_registered: bool) -> Verdict {
    let is_alive = node.is_some_and(|node| node.is_alive);
    let is_control_plane = is_registered || node.is_some_and(|node| node.is_control_plane);
    match (is_alive, is_control_plane) {
        (true, true) => Verdict::Refuse(Refusal::ControlPlane),
        (true, false) => Verdict::Wait(Pending::Alive),
        // A worker may have got the address of a machine that is gone, and with it the name. What is refused is not asked for again.
        (false, true) => Verdict::Wait(Pending::OfControlPlane),
        (false, false) => Verdict::Approve,
    }
}

fn name(request: &Request) -> Result<&str, Refusal> {
    let is_token =
        |id: &str| id.len() == 6 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !request.user.strip_prefix(TOKEN_USER).is_some_and(is_token) {
        return Err(Refusal::NoTokenUser);
    }
    let asked = request.asks.as_ref().map_err(|why| *why)?;
    let name = match (&asked.organizations[..], &asked.common_names[..]) {
        ([organization], [name]) if organization == NODES && !asked.has_other_names => name.strip_prefix(NODE_USER),
        _ => None,
    };
    let name = name.filter(|name| is_name(name)).ok_or(Refusal::Subject)?;
    if asked.has_extensions {
        return Err(Refusal::Extensions);
    }
    let usages: BTreeSet<&str> = request.usages.iter().map(String::as_str).collect();
    let is_kubelets = usages.len() == request.usages.len()
        && (usages == BTreeSet::from(USAGES) || usages == USAGES[..2].iter().copied().collect());
    if is_kubelets { Ok(name) } else { Err(Refusal::Usages) }
}

/// A name that a Node can have: a DNS subdomain as Kubernetes takes it.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_end(label.bytes().next())
            && is_end(label.bytes().last())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve => f.write_str("approved"),
            Self::Wait(why) => write!(f, "stays pending: {why}"),
            Self::Refuse(why) => write!(f, "refused: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Asked {
        Asked {
            organizations: vec![NODES.into()],
            common_names: vec![format!("{NODE_USER}{name}")],
            ..Asked::default()
        }
    }

    fn request() -> Request {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Request {
            signer: SIGNER.into(),
            user: "system:bootstrap:abc123".into(),
            groups: words(&["system:bootstrappers", GROUP, "system:authenticated"]),
            usages: words(&["digital signature", "client auth"]),
            is_settled: false,
            asks: Ok(asked("w1.internal")),
        }
    }

    fn after(change: impl FnOnce(&mut Request)) -> Claimed {
        let mut request = request();
        change(&mut request);
        claimed(&request)
    }

    #[test]
    fn a_kubelets_request_is_for_its_name_and_others_decide_about_others() {
        let named = |name: &str| Claimed::Node(name.into());
        type Change = fn(&mut Request);
        let rows: [(&str, Change, Claimed); 7] = [
            ("as a kubelet asks", |_| {}, named("w1.internal")),
            ("with an RSA key", |it| it.usages.push("key encipherment".into()), named("w1.internal")),
            ("another name", |it| it.asks = Ok(asked("ip-10-0-1-11")), named("ip-10-0-1-11")),
            ("another signer", |it| it.signer = "kubernetes.io/kubelet-serving".into(), Claimed::NotOurs),
            (
                "kubeadm's own token",
                |it| it.groups = vec!["system:bootstrappers:kubeadm:default-node-token".into()],
                Claimed::NotOurs,
            ),
            ("a kubelet's renewal", |it| it.groups = vec!["system:nodes".into()], Claimed::NotOurs),
            ("approved before", |it| it.is_settled = true, Claimed::Settled),
        ];
        for (why, change, expected) in rows {
            assert_eq!(after(change), expected, "{why}");
        }
    }

    #[test]
    fn what_no_kubelet_asks_is_refused() {
        type Change<'a> = &'a dyn Fn(&mut Request);
        let asks = |change: fn(&mut Asked)| {
            move |it: &mut Request| {
                let mut changed = asked("w1");
                change(&mut changed);
                it.asks = Ok(changed);
            }
        };
        let named = |name: String| move |it: &mut Request| it.asks = Ok(asked(&name));
        let usages = |usages: &'static [&'static str]| {
            move |it: &mut Request| it.usages = usages.iter().map(|usage| (*usage).to_owned()).collect()
        };
        let rows: [(&str, Change<'_>, Refusal); 28] = [
            ("too large", &|it| it.asks = Err(Malformed::TooLarge), Refusal::Malformed(Malformed::TooLarge)),
            ("none", &|it| it.asks = Err(Malformed::NoRequest), Refusal::Malformed(Malformed::NoRequest)),
            ("a service account", &|it| it.user = "system:serviceaccount:a:b".into(), Refusal::NoTokenUser),
            ("no ID", &|it| it.user = "system:bootstrap:".into(), Refusal::NoTokenUser),
            ("half an ID", &|it| it.user = "system:bootstrap:abc12".into(), Refusal::NoTokenUser),
            ("an administrator", &asks(|it| it.organizations = vec!["system:masters".into()]), Refusal::Subject),
            ("one more", &asks(|it| it.organizations.push("system:masters".into())), Refusal::Subject),
            ("the same twice", &asks(|it| it.organizations.push(NODES.into())), Refusal::Subject),
            ("no organization", &asks(|it| it.organizations.clear()), Refusal::Subject),
            ("no name", &asks(|it| it.common_names.clear()), Refusal::Subject),
            ("two names", &asks(|it| it.common_names.push("system:node:n1".into())), Refusal::Subject),
            ("a unit beside them", &asks(|it| it.has_other_names = true), Refusal::Subject),
            ("another user", &asks(|it| it.common_names = vec!["kubernetes-admin".into()]), Refusal::Subject),
            ("an empty name", &named(String::new()), Refusal::Subject),
            ("capitals", &named("W1".into()), Refusal::Subject),
            ("a path", &named("../n1".into()), Refusal::Subject),
            ("a space", &named("n1 ".into()), Refusal::Subject),
            ("an empty label", &named("n1..x".into()), Refusal::Subject),
            ("a dot at its end", &named("n1.".into()), Refusal::Subject),
            ("a dash at its end", &named("n1-".into()), Refusal::Subject),
            ("too long", &named("a".repeat(254)), Refusal::Subject),
            ("other names", &asks(|it| it.has_extensions = true), Refusal::Extensions),
            ("no usages", &usages(&[]), Refusal::Usages),
            ("a server's", &usages(&["client auth", "digital signature", "server auth"]), Refusal::Usages),
            ("one alone", &usages(&["client auth"]), Refusal::Usages),
            ("twice the same", &usages(&["client auth", "digital signature", "client auth"]), Refusal::Usages),
            ("an authority's", &usages(&["cert sign", "digital signature"]), Refusal::Usages),
            ("without the signature", &usages(&["client auth", "key encipherment"]), Refusal::Usages),
        ];
        for (why, change, expected) in rows {
            assert_eq!(after(change), Claimed::Refused(expected.clone()), "{why}");
            assert!(expected.reason().starts_with("Kubeboot") && expected.to_string().len() > 20, "{expected}");
        }
    }

    #[test]
    fn nobody_gets_the_name_of_a_machine_that_lives() {
        let node = |is_alive, is_control_plane| Some(NamedNode { is_alive, is_control_plane });
        let (refused, gone) = (Verdict::Refuse(Refusal::ControlPlane), Verdict::Wait(Pending::OfControlPlane));
        // What becomes of it, and what where a machine of the control plane has registered the name.
        let rows = [
            (None, Verdict::Approve, &gone),
            (node(false, false), Verdict::Approve, &gone),
            (node(true, false), Verdict::Wait(Pending::Alive), &refused),
            (node(false, true), gone.clone(), &gone),
            (node(true, true), refused.clone(), &refused),
        ];
        for (node, expected, registered) in rows {
            assert_eq!(judge(node, false), expected, "{node:?}");
            assert_eq!(judge(node, true), *registered, "{node:?}");
        }
        assert!(refused.to_string().starts_with("refused: ") && gone.to_string().starts_with("stays pending: "));
    }
}
