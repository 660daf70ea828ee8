//! The machine itself: who it is, and what it lets kubeboot do.

use super::finding::{Finding, Found};
use super::input::CheckInput;
use super::swap::swap;
use super::{Check, at_once};
use crate::host::namespace;
use crate::host::process::{Command, ProcessFailed};
use std::path::Path;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "root", run: |input| at_once(root(input)) },
    Check { name: "imds", run: |input| at_once(imds(input)) },
    Check { name: "node-name", run: |input| at_once(node_name(input)) },
    Check { name: "namespace", run: |input| Box::pin(own_hosts_file(input)) },
    Check { name: "swap", run: |input| at_once(swap(input)) },
];

/// Whether this process may see and do what `up` must.
fn root(input: &CheckInput) -> Found {
    Ok(vec![if input.is_root {
        Finding::ok("this is root")
    } else {
        Finding::warning("this is not root: what only root can see or do is skipped", "run it with sudo")
    }])
}

/// Whether the metadata service says who this machine is.
fn imds(input: &CheckInput) -> Found {
    let machine = input.machine.own()?;
    let addresses: Vec<_> = machine.addresses.iter().map(ToString::to_string).collect();
    Ok(vec![Finding::ok(format!(
        "{} in account {}, {}, at {}",
        machine.instance,
        machine.account,
        machine.zone,
        addresses.join(", ")
    ))])
}

/// Whether the Node has a name.
fn node_name(input: &CheckInput) -> Found {
    Ok(vec![Finding::ok(input.facts.own()?.node_name.clone())])
}

/// Whether a command can be given a hosts file of its own, as `kubeadm join` is. Tried with one that does nothing.
async fn own_hosts_file(input: &CheckInput) -> Found {
    if input.settings.needed()?.endpoint.ip().is_some() {
        return Ok(vec![Finding::ok("not needed: the endpoint is an address")]);
    }
    input.needs_root()?;
    let args = namespace::with_hosts(Path::new("/etc/hosts"), ["true"]);
    match Command::new(namespace::PROGRAM).args(args).env_allow(["PATH"]).run().await {
        Ok(_) => Ok(vec![Finding::ok("kubeadm can be given a hosts file of its own")]),
        Err(failed @ ProcessFailed::NotFound { .. }) => {
            Err(Finding::failed(failed.to_string(), "install util-linux, which brings unshare and mount"))
        }
        Err(failed) => Err(Finding::failed(
            format!("kubeadm cannot be given a hosts file of its own: {failed}"),
            "run on a machine, not in a container, with 'sh' and 'mount' along PATH",
        )),
    }
}
