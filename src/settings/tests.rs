//! From sources to settings: who wins, what is wrong, and how that is told.

use super::table::{Fallback, SETTINGS, SettingKind};
use super::*;
use std::path::Path;

const GOOD: &str = "cluster = \"demo\"\nbucket = \"kubeboot-demo\"\nendpoint = \"api.demo.internal:6443\"\n";

/// Loads from a file of this text, these flags and these variables.
fn load(text: &str, flags: &[(&'static str, &str)], env: &[(&str, &str)]) -> Result<Settings> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text)?;
    let values = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let flags = Flags { config: Some(path), values };
    Settings::load(&flags, |name| {
        let found = env.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn error(text: &str) -> String {
    let error = load(text, &[], &[]).expect_err(text);
    assert_eq!(Exit::of(&error), Exit::Usage);
    format!("{error:#}")
}

#[test]
fn three_settings_are_enough() -> Result<()> {
    let settings = load(GOOD, &[], &[])?;
    assert_eq!((settings.cluster.as_deref(), settings.prefix.as_str()), (Some("demo"), "demo"));
    assert_eq!(settings.bucket, "kubeboot-demo");
    assert_eq!(settings.endpoint.to_string(), "api.demo.internal:6443");
    assert_eq!(settings.claim_ttl, Duration::from_mins(1));
    assert_eq!(settings.deadline, Duration::from_mins(30));
    assert_eq!((settings.init_attempts, settings.expected_size), (3, None));
    assert_eq!(settings.cloud_provider, None);
    assert_eq!(settings.agent_listen, Some(SocketAddr::from(([127, 0, 0, 1], 4040))));
    assert_eq!(settings.log_level, LogLevel::INFO);
    assert_eq!(settings.warnings(), []);
    Ok(())
}

#[test]
fn everything_can_be_set_in_the_file() -> Result<()> {
    let text = r#"
        cluster = "demo"
        bucket = "kubeboot-demo"
        prefix = "clusters/demo"
        endpoint = "[fd00::1]:6443"
        expected_size = 4
        group = "demo control plane"
        region = "eu-central-1"
        kms_key_id = "alias/demo"
        server_side_encryption = "aws:kms"
        kubeadm_config = "/etc/kubeboot/kubeadm.yaml"
        extra_shared_files = ["/etc/kubernetes/enc.yaml", "/etc/kubernetes/audit.yaml"]
        node_name = "ip-10-0-1-11.eu-central-1.compute.internal"
        cloud_provider = "external"
        settle_timeout = "1m 30s"
        claim_stagger = "0s"
        claim_ttl = "3s"
        lease_ttl = "4s"
        init_attempts = 1
        gone_grace = "2m"
        deadline = "1h"
        leave_budget = "30s"
        renew_before = "60d"
        launch_hook = "launch"
        launch_hook_on_failure = "abandon"
        terminate_hook = "leave"
        role = "control-plane"
        drain_timeout = "5m"
        rejoin = "wipe"
        source_dest_check = "off"
        prefetch = false
        workers = "off"
        kubernetes_upgrade = "by-image"
        agent_listen = "[::1]:4041"
        unhealthy_after = "20m"
        snapshot_interval = "1h"
        snapshot_location = "s3://my-backups/demo"
        snapshot_kms_key_id = "alias/backups"
        log_format = "json"
        log_level = "debug"
    "#;
    let settings = load(text, &[], &[])?;
    for setting in SETTINGS {
        assert!(matches!(settings.origin(setting.name), Origin::File { .. }), "{}", setting.name);
    }
    assert_eq!(settings.prefix, "clusters/demo");
    assert_eq!(settings.expected_size, Some(4));
    assert_eq!(settings.extra_shared_files[1], Path::new("/etc/kubernetes/audit.yaml"));
    assert_eq!(settings.server_side_encryption, Some(ObjectEncryption::Kms));
    assert_eq!(settings.cloud_provider, Some(CloudProvider::External));
    assert_eq!(settings.settle_timeout, Duration::from_secs(90));
    assert_eq!(settings.launch_hook_on_failure, HookOnFailure::Abandon);
    assert_eq!(settings.terminate_hook.as_deref(), Some("leave"));
    assert_eq!(settings.agent_listen, Some(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 4041))));
    assert_eq!((settings.log_format, settings.log_level), (LogFormat::Json, LogLevel::DEBUG));
    assert_eq!((settings.role, settings.rejoin), (Role::ControlPlane, Rejoin::Wipe));
    assert_eq!((settings.source_dest_check, settings.prefetch), (SourceDestCheck::Off, false));
    assert_eq!(settings.kubernetes_upgrade, KubernetesUpgrade::ByImage);
    assert!(!settings.workers && load(GOOD, &[], &[])?.workers);
    let warnings: Vec<String> = settings.warnings().into_iter().map(|warning| warning.text).collect();
    assert!(warnings[0].contains("expected_size is 4"), "{warnings:?}");
    assert_eq!(warnings[1], "with role 'control-plane' these settings do nothing: drain_timeout, rejoin");
    Ok(())
}

#[test]
fn the_later_source_wins_and_is_remembered() -> Result<()> {
    let text = format!("{GOOD}claim_ttl = \"10s\"\nlease_ttl = \"10s\"\ngone_grace = \"10s\"\n");
    let env = [("KUBEBOOT_LEASE_TTL", "20s"), ("KUBEBOOT_GONE_GRACE", "20s"), ("KUBEBOOT_EXPECTED_SIZE", "3")];
    let settings = load(&text, &[("gone_grace", "30s"), ("extra_shared_files", "/etc/a, /etc/b")], &env)?;
    let seconds = [settings.claim_ttl, settings.lease_ttl, settings.gone_grace].map(|ttl| ttl.as_secs());
    assert_eq!(seconds, [10, 20, 30]);
    assert_eq!(settings.expected_size, Some(3));
    assert_eq!(settings.extra_shared_files, [Path::new("/etc/a"), Path::new("/etc/b")]);
    assert!(settings.origin("claim_ttl").to_string().ends_with("config.toml:4"));
    assert_eq!(settings.origin("lease_ttl").to_string(), "variable KUBEBOOT_LEASE_TTL");
    assert_eq!(settings.origin("gone_grace").to_string(), "flag --gone-grace");
    assert_eq!(settings.origin("deadline").to_string(), "the default");
    Ok(())
}

#[test]
fn a_bad_value_is_told_with_name_place_and_what_is_valid() {
    for (line, wanted) in [
        ("bucket = \"s3://mine\"", "bucket = 's3://mine' (", "the name alone, 'mine'"),
        ("prefix = \"/a/\"", "prefix = '/a/'", "'a' would do"),
        ("prefix = \"a/../b\"", "prefix", "empty part, '.' or '..'"),
        ("prefix = \"a b\"", "prefix", "must not contain ' '"),
        ("prefix = \"a\\u0007\"", "prefix", "must not contain '\\u{7}'"),
        ("cluster = \"de/mo\"", "cluster", "must not contain '/'"),
        ("endpoint = \"api\"", "endpoint", "no port"),
        ("expected_size = 0", "expected_size = '0'", "a whole number from 1 to 7"),
        ("expected_size = 8", "expected_size", "out of range"),
        ("expected_size = -3", "expected_size", "no whole number"),
        ("expected_size = \"three\"", "expected_size", "no whole number"),
        ("expected_size = 3.0", "expected_size (", "a fraction"),
        ("region = \"eu-central-1a\"", "region", "'eu-central-1'"),
        ("region = \"Frankfurt\"", "region", "no Region's name"),
        ("server_side_encryption = \"aes256\"", "server_side_encryption = 'aes256'", "one of: none, AES256, aws:kms"),
        ("kms_key_id = \"my key\"", "kms_key_id", "the ARN or the alias"),
        ("group = \"arn:aws:autoscaling:r:1:autoScalingGroup:u:autoScalingGroupName/mine\"", "group", "'mine'"),
        ("kubeadm_config = \"kubeadm.yaml\"", "kubeadm_config", "not absolute"),
        ("kubeadm_config = \"/etc/../x\"", "kubeadm_config", "through '..'"),
        ("extra_shared_files = [\"/etc/a\", \"/var/b\"]", "extra_shared_files = '/var/b'", "below /etc"),
        ("extra_shared_files = [\"/etc/\"]", "extra_shared_files", "below /etc"),
        ("extra_shared_files = [1]", "extra_shared_files", "a list of something other than texts"),
        ("extra_shared_files = true", "extra_shared_files", "true or false"),
        ("node_name = \"Node\"", "node_name", "'node'"),
        ("node_name = [\"node\"]", "node_name", "a list"),
        ("cloud_provider = \"aws\"", "cloud_provider", "one of: none, external"),
        ("claim_ttl = 60", "claim_ttl", "60 seconds are '60s'"),
        ("claim_ttl = \"2s\"", "claim_ttl", "too short"),
        ("claim_ttl = \"1day\"", "claim_ttl", "too long"),
        ("claim_ttl = \"soon\"", "claim_ttl", "a time with its unit"),
        ("claim_ttl = \"-5s\"", "claim_ttl", "a time with its unit"),
        ("lease_ttl = \"30m\"", "lease_ttl = '30m' (", "shorter than deadline, which is '30m' (the default)"),
        ("deadline = \"30s\"", "claim_ttl = '1m' (the default)", "config.toml:4"),
        ("init_attempts = 0", "init_attempts", "from 1 to 10"),
        ("launch_hook = \"a b\"", "launch_hook", "must not contain ' '"),
        ("terminate_hook = \"a b\"", "terminate_hook", "must not contain ' '"),
        ("launch_hook_on_failure = \"continue\"", "launch_hook_on_failure", "one of: none, abandon"),
        ("role = \"node\"", "role = 'node'", "one of: control-plane, worker"),
        ("rejoin = \"yes\"", "rejoin = 'yes'", "one of: none, wipe"),
        ("source_dest_check = \"on\"", "source_dest_check = 'on'", "one of: none, off"),
        ("kubernetes_upgrade = \"on\"", "kubernetes_upgrade = 'on'", "one of: off, by-image"),
        ("workers = \"none\"", "workers = 'none'", "one of: on, off"),
        ("drain_timeout = \"49h\"", "drain_timeout", "too long"),
        ("log_level = \"verbose\"", "log_level", "one of: error, warn"),
        ("group = \"\"", "group = ''", "it is empty"),
        ("region = { name = \"x\" }", "region", "a table"),
    ]
    .map(|(line, name, why)| (line, [name, why]))
    {
        let setting = line.split(' ').next().unwrap_or_default();
        let others: String = GOOD.split_inclusive('\n').filter(|other| !other.starts_with(setting)).collect();
        let text = format!("{others}{}{line}\n", "\n".repeat(3 - others.lines().count()));
        let error = error(&text);
        for wanted in wanted {
            assert!(error.contains(wanted), "{line}: {error}");
        }
        assert!(error.contains("config.toml:4"), "{line}: {error}");
    }
}

#[test]
fn what_is_missing_is_named_with_every_way_to_give_it() {
    let error = error("");
    for wanted in [
        "3 problems",
        "bucket is not given; set it in the file, as variable KUBEBOOT_BUCKET or by --bucket",
        "endpoint is not given",
        "neither cluster nor prefix is given",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_bad_cluster_is_not_also_called_missing() {
    let error = error(&GOOD.replace("\"demo\"", "\"a b\""));
    assert!(error.contains("cluster = 'a b'") && !error.contains("neither"), "{error}");
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    for (line, wanted) in [
        ("buckets = \"x\"", "config.toml:4: unknown setting 'buckets'; did you mean 'bucket'?"),
        ("claim-ttl = \"9s\"", "did you mean 'claim_ttl'?"),
        ("EndPoint = \"x\"", "did you mean 'endpoint'?"),
        ("qqq = 1", "unknown setting 'qqq'; `kubeboot up --help` names them all"),
        ("[aws]\nregion = \"eu-central-1\"", "config.toml:4: unknown setting 'aws'"),
    ] {
        let error = error(&format!("{GOOD}{line}\n"));
        assert!(error.contains(wanted), "{line}: {error}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_line() {
    for (text, wanted) in [
        ("bucket = \"x\"\nbucket = \"y\"\n", "config.toml:2: no valid TOML: duplicate key"),
        ("bucket = \"x\"\n\nendpoint = api:6443\n", "config.toml:3: no valid TOML"),
    ] {
        let error = error(text);
        assert!(error.contains(wanted), "{error}");
    }
    let flags = Flags { config: Some("/no/such/config.toml".into()), ..Flags::default() };
    let error = Settings::load(&flags, |_| None).expect_err("the file is not there");
    assert!(format!("{error:#}").contains("failed to read '/no/such/config.toml'"), "{error:#}");
}

#[test]
fn the_variable_names_the_file_and_the_flag_is_stronger() {
    for (flag, wanted) in [(None, "/no/variable"), (Some(PathBuf::from("/no/flag")), "/no/flag")] {
        let flags = Flags { config: flag, ..Flags::default() };
        let env = |name: &str| (name == FILE_VARIABLE).then(|| "/no/variable".to_owned());
        let error = Settings::load(&flags, env).expect_err("the file is not there");
        assert!(format!("{error:#}").contains(wanted), "{error:#}");
    }
}

#[test]
fn the_table_is_in_order() {
    for setting in SETTINGS {
        assert_eq!(SETTINGS.iter().filter(|other| other.name == setting.name).count(), 1, "{}", setting.name);
        assert!(setting.about.ends_with('.'), "{}", setting.name);
        if let (SettingKind::Choice(words), Fallback::Value(default)) = (setting.kind, setting.fallback) {
            assert!(words.contains(&default), "{}", setting.name);
        }
    }
}

#[test]
fn every_choice_of_the_table_is_understood() -> Result<()> {
    for setting in SETTINGS {
        let SettingKind::Choice(words) = setting.kind else { continue };
        for word in words {
            load(GOOD, &[(setting.name, word)], &[])?;
        }
    }
    Ok(())
}

#[test]
fn what_is_true_or_false_is_given_as_such_in_the_file_and_as_a_word_elsewhere() -> Result<()> {
    assert!(load(GOOD, &[], &[])?.prefetch, "unless it is said otherwise");
    for text in ["prefetch = false", "prefetch = \"false\""] {
        assert!(!load(&format!("{GOOD}{text}\n"), &[], &[])?.prefetch, "{text}");
    }
    assert!(!load(GOOD, &[("prefetch", "false")], &[])?.prefetch);
    assert!(load(&format!("{GOOD}prefetch = false\n"), &[], &[("KUBEBOOT_PREFETCH", "true")])?.prefetch);
    for text in ["prefetch = 0", "prefetch = \"no\"", "prefetch = [true]"] {
        assert!(error(&format!("{GOOD}{text}\n")).contains("valid is true or false"), "{text}");
    }
    for text in ["claim_ttl = true", "extra_shared_files = true"] {
        assert!(error(&format!("{GOOD}{text}\n")).contains("true or false"), "{text}");
    }
    Ok(())
}

const WORKER: &str = "cluster = \"demo\"\nbucket = \"kubeboot-demo\"\nrole = \"worker\"\n";

#[test]
fn a_worker_is_not_asked_for_what_does_not_concern_it() -> Result<()> {
    let settings = load(WORKER, &[], &[])?;
    assert_eq!((settings.role, settings.rejoin), (Role::Worker, Rejoin::Stop));
    assert_eq!((settings.endpoint, settings.drain_timeout), (Endpoint::default(), Duration::from_mins(10)));
    // Its short deadline contradicts no claim.
    load(&format!("{WORKER}deadline = \"20s\"\n"), &[], &[])?;
    let settings = load(&format!("{WORKER}claim_ttl = \"10s\"\nexpected_size = 2\n"), &[], &[])?;
    let warnings: Vec<String> = settings.warnings().into_iter().map(|warning| warning.text).collect();
    assert_eq!(warnings, ["with role 'worker' these settings do nothing: expected_size, claim_ttl"]);
    let told = load(&format!("{WORKER}endpoint = \"api:6443\"\n"), &[], &[])?;
    assert_eq!(told.endpoint.to_string(), "api:6443");
    Ok(())
}

#[test]
fn a_worker_with_a_hook_must_be_told_its_group() -> Result<()> {
    for hook in ["launch_hook", "terminate_hook"] {
        let text = format!("{WORKER}{hook} = \"it\"\n");
        let error = error(&text);
        assert!(error.contains(&format!("{hook} = 'it' (")) && error.contains("set group as well"), "{error}");
        load(&format!("{text}group = \"workers\"\n"), &[], &[])?;
        load(&text.replace("\"worker\"", "\"control-plane\""), &[("endpoint", "api:6443")], &[])?;
    }
    Ok(())
}

#[test]
fn a_command_of_the_control_plane_is_refused_on_a_worker() -> Result<()> {
    let refused = load(WORKER, &[], &[])?.of_control_plane().expect_err("it is a worker");
    assert_eq!(Exit::of(&refused), Exit::Usage);
    assert!(format!("{refused:#}").contains("config.toml:3"), "{refused:#}");
    load(GOOD, &[], &[])?.of_control_plane().map(drop)
}
