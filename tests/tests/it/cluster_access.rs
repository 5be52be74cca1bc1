//! Whether a real API server may be read: credentials, rights, and servers that cannot be used; each error says what to do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify::cluster::{Access, LiveCluster, LiveError};
use netpol_verify_tests::ApiServer;
use serde_json::Value;

use crate::cluster_live::{NEEDED, load, rules};

const fn server_url() -> &'static str {
    "https://10.99.0.1:6443"
}

fn error(server: &ApiServer, context: &str) -> Result<LiveError> {
    match load(server, &server.access(context))? {
        Ok(_) => bail!("{context} reads the cluster"),
        Err(error) => Ok(error),
    }
}

#[test]
fn a_right_that_is_missing_is_named_and_the_rule_that_is_named_gives_it() -> Result<()> {
    let Some(server) =
        ApiServer::shared("a_right_that_is_missing_is_named_and_the_rule_that_is_named_gives_it")?
    else {
        return Ok(());
    };
    let nobody = error(&server, "nobody")?;
    let LiveError::Forbidden { denied, said, .. } = &nobody else {
        bail!("{nobody}")
    };
    let resources: Vec<_> = denied.iter().map(|it| (it.verb, it.group, it.resource)).collect();
    let expected = [
        ("list", "", "namespaces"),
        ("list", "", "pods"),
        ("list", "networking.k8s.io", "networkpolicies"),
    ];
    assert_eq!(resources, expected);
    assert!(
        said.contains(r#"User "nobody" cannot list resource "namespaces""#),
        "{said}"
    );
    let text = nobody.to_string();
    for part in [
        "list pods in all namespaces",
        "`kubectl auth can-i list networkpolicies.networking.k8s.io --all-namespaces`",
        r#"{apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list"]}"#,
        server_url(),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    server.grant("partial", &rules(&[("", &["pods"])]))?;
    let partial = error(&server, "partial")?;
    let LiveError::Forbidden { denied, .. } = &partial else {
        bail!("{partial}")
    };
    let resources: Vec<_> = denied.iter().map(|it| it.resource).collect();
    assert_eq!(resources, ["namespaces", "networkpolicies"]);
    let mut helpful = Vec::new();
    for denied in denied {
        helpful.push(serde_saphyr::from_str::<Value>(&denied.rule())?);
    }
    server.grant("partial", &helpful)?;
    load(&server, &server.access("partial"))??;
    Ok(())
}

#[test]
fn what_an_answer_can_do_without_is_a_problem_and_no_error() -> Result<()> {
    let Some(server) = ApiServer::shared("what_an_answer_can_do_without_is_a_problem_and_no_error")? else {
        return Ok(());
    };
    server.grant("reader", &rules(&NEEDED))?;
    let loaded = load(&server, &server.access("reader"))??;
    let kinds: Vec<_> = loaded
        .problems
        .iter()
        .filter_map(|problem| problem.object.as_deref())
        .collect();
    assert_eq!(
        kinds,
        ["Node", "Service", "EndpointSlice"],
        "and nothing of policies that no such server has"
    );
    for (problem, (check, rule)) in loaded.problems.iter().zip([
        ("list nodes -", r#"[""], resources: ["nodes"]"#),
        ("list services -", r#"[""], resources: ["services"]"#),
        (
            "list endpointslices.discovery.k8s.io -",
            r#"["discovery.k8s.io"], resources: ["endpointslices"]"#,
        ),
    ]) {
        let text = problem.to_string();
        assert!(text.starts_with("cluster: "), "{text}");
        assert!(
            text.contains(&format!("`kubectl auth can-i {check}")) && text.contains(rule),
            "{text}"
        );
    }
    assert!(!loaded.objects.is_empty());
    Ok(())
}

#[test]
fn a_server_that_cannot_be_used_is_named_with_the_reason() -> Result<()> {
    let Some(server) = ApiServer::shared("a_server_that_cannot_be_used_is_named_with_the_reason")? else {
        return Ok(());
    };
    let stranger = error(&server, "stranger")?;
    ensure!(matches!(stranger, LiveError::Unauthorized { .. }), "{stranger:?}");
    assert!(stranger.to_string().contains(server_url()), "{stranger}");

    let distrusted = error(&server, "distrusted")?;
    let LiveError::Unreachable { cause, .. } = &distrusted else {
        bail!("{distrusted:?}")
    };
    assert!(cause.contains("certificate"), "{cause}");

    let closed = error(&server, "closed")?;
    let LiveError::Unreachable { server: url, cause } = &closed else {
        bail!("{closed:?}")
    };
    assert_eq!(url, "https://10.99.0.1:1");
    assert!(cause.contains("refused"), "{cause}");

    let etcd = error(&server, "etcd")?;
    ensure!(matches!(etcd, LiveError::Refused { code: 404, .. }), "{etcd:?}");

    let absent = error(&server, "absent")?;
    let LiveError::UnknownContext { name, known } = &absent else {
        bail!("{absent:?}")
    };
    assert_eq!(name, "absent");
    assert!(known.iter().any(|name| name == "reader"), "{known:?}");

    let no_file = Access {
        kubeconfig: Some("/nonexistent/kubeconfig".into()),
        ..Access::default()
    };
    let Err(no_file) = load(&server, &no_file)? else {
        bail!("a file that is not there is read")
    };
    assert!(
        no_file.to_string().contains("/nonexistent/kubeconfig"),
        "{no_file}"
    );
    Ok(())
}

#[test]
fn every_usual_credential_is_taken_and_one_that_cannot_be_had_is_named() -> Result<()> {
    let Some(server) =
        ApiServer::shared("every_usual_credential_is_taken_and_one_that_cannot_be_had_is_named")?
    else {
        return Ok(());
    };
    for context in ["admin", "certified", "plugin"] {
        load(&server, &server.access(context))?.with_context(|| context)?;
    }
    let failed = error(&server, "plugin-fails")?;
    let LiveError::Credentials { cause, .. } = &failed else {
        bail!("{failed:?}")
    };
    assert!(cause.contains("no session"), "{cause}");
    assert!(
        !cause.contains("a-secret"),
        "what a plugin prints may be a token: {cause}"
    );
    Ok(())
}

#[test]
fn a_context_names_its_server_and_its_namespace() -> Result<()> {
    let Some(server) = ApiServer::shared("a_context_names_its_server_and_its_namespace")? else {
        return Ok(());
    };
    let found = server.inside(async || LiveCluster::find(&server.access("reader")).await)??;
    assert_eq!((found.server(), found.namespace()), (server_url(), "of-reader"));
    Ok(())
}

#[test]
fn a_server_that_falls_silent_or_dies_is_given_up() -> Result<()> {
    let Some(mut server) = ApiServer::start("a_server_that_falls_silent_or_dies_is_given_up")? else {
        return Ok(());
    };
    let limit = Duration::from_millis(1_500);
    let access = Access {
        request_timeout: Some(limit),
        ..server.access("admin")
    };
    let silent = server.inside(async || {
        let cluster = LiveCluster::find(&access).await?;
        cluster.load().await?;
        server.freeze()?;
        // The connection stands; then a new one, of which the kernel answers the first packets.
        let standing = cluster.load().await;
        let new = LiveCluster::find(&access).await?.load().await;
        anyhow::Ok([standing, new])
    })??;
    for result in silent {
        let Err(error) = result else {
            bail!("a server that stands still answers")
        };
        let LiveError::Timeout { after, what, .. } = &error else {
            bail!("{error:?}")
        };
        assert_eq!((*after, what.as_str()), (limit, "list namespaces"));
        assert!(error.to_string().contains("within 1.5 s"), "{error}");
    }
    server.kill()?;
    let Err(error) = load(&server, &access)? else {
        bail!("a dead server answers")
    };
    let LiveError::Unreachable { cause, .. } = &error else {
        bail!("{error:?}")
    };
    assert!(cause.contains("refused"), "{cause}");
    Ok(())
}

/// The role that is shipped gives what reading needs, and a test would not see more: it may list and nothing else.
#[test]
fn the_role_that_is_shipped_is_enough() -> Result<()> {
    let Some(server) = ApiServer::shared("the_role_that_is_shipped_is_enough")? else {
        return Ok(());
    };
    let text = std::fs::read_to_string(crate::source::workspace().join("deploy/reader.yaml"))?;
    let role: Value = serde_saphyr::from_str(&text)?;
    let rules = role["rules"].as_array().context("the role has rules")?;
    assert!(
        rules
            .iter()
            .all(|rule| rule["verbs"] == serde_json::json!(["list"])),
        "{text}"
    );
    server.grant("shipped", rules)?;
    let loaded = load(&server, &server.access("shipped"))??;
    assert_eq!(loaded.problems, []);
    Ok(())
}
