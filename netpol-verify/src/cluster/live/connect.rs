//! From kubectl's words to a client: which kubeconfig, which context, which server.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{
    LiveError,
    error::{causes, no_credentials},
    proxy,
};

/// A server that takes a connection and never answers must not keep a command for ever.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Which cluster, in kubectl's words.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `--kubeconfig`; else the files of `KUBECONFIG`, else `~/.kube/config`, else the service account of the pod this runs in.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`; else the current one.
    pub context: Option<String>,
    /// `--request-timeout`, for each request: a minute when absent, none when zero.
    pub request_timeout: Option<Duration>,
}

/// A cluster whose API server is asked, and only asked: nothing here writes.
#[derive(Clone)]
pub struct LiveCluster {
    pub(super) client: Client,
    pub(super) server: String,
    /// For each request.
    pub(super) timeout: Option<Duration>,
    pub(super) namespace: String,
}

impl LiveCluster {
    /// Finds the server and how to speak to it. It is not asked yet.
    ///
    /// # Errors
    /// When there is no kubeconfig, no such context, or they name nothing that can be used.
    pub async fn find(access: &Access) -> Result<Self, LiveError> {
        let listed = env::var_os("KUBECONFIG");
        let (files, must_exist) =
            candidates(access.kubeconfig.as_deref(), listed.as_deref(), env::home_dir());
        let found: Vec<PathBuf> = files
            .iter()
            .filter(|file| must_exist || file.exists())
            .cloned()
            .collect();
        let mut config = if !found.is_empty() {
            from_files(found, access.context.as_deref()).await?
        } else if access.context.is_none() && env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            Config::incluster_env().map_err(|error| LiveError::InCluster {
                cause: causes(&error),
            })?
        } else {
            return Err(LiveError::NoKubeconfig { looked: files });
        };
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let timeout = Some(access.request_timeout.unwrap_or(DEFAULT_TIMEOUT)).filter(|it| !it.is_zero());
        // Each request has its own time limit; connecting is part of it.
        config.connect_timeout = None;
        config.write_timeout = None;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(|error| LiveError::Credentials {
            server: server.clone(),
            cause: match &error {
                kube::Error::Auth(error) => no_credentials(error),
                other => causes(other),
            },
        })?;
        Ok(Self {
            client,
            server,
            timeout,
            namespace,
        })
    }

    /// The client, for whoever writes too.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The namespace of the context, for names that are given without one: `default` when it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl fmt::Debug for LiveCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCluster")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The files to look at, and whether each must be there. As for kubectl, missing files of `KUBECONFIG` are passed over.
fn candidates(named: Option<&Path>, listed: Option<&OsStr>, home: Option<PathBuf>) -> (Vec<PathBuf>, bool) {
    if let Some(file) = named {
        return (vec![file.to_owned()], true);
    }
    let listed: Vec<PathBuf> = listed
        .map(|list| {
            env::split_paths(list)
                .filter(|file| !file.as_os_str().is_empty())
                .collect()
        })
        .unwrap_or_default();
    if listed.is_empty() {
        (
            home.map(|home| home.join(".kube/config")).into_iter().collect(),
            false,
        )
    } else {
        (listed, false)
    }
}

async fn from_files(files: Vec<PathBuf>, context: Option<&str>) -> Result<Config, LiveError> {
    let unusable = |error: KubeconfigError| LiveError::Kubeconfig {
        files: files.clone(),
        cause: causes(&error),
    };
    let mut merged = Kubeconfig::default();
    for file in &files {
        merged = Kubeconfig::read_from(file)
            .and_then(|next| merged.merge(next))
            .map_err(unusable)?;
    }
    let known = || {
        merged
            .contexts
            .iter()
            .map(|context| context.name.clone())
            .collect()
    };
    let chosen = context
        .or(merged.current_context.as_deref())
        .filter(|name| !name.is_empty());
    let Some(chosen) = chosen.map(str::to_owned) else {
        return Err(LiveError::NoContext { known: known() });
    };
    let Some(context) = merged.contexts.iter().find(|context| context.name == chosen) else {
        return Err(LiveError::UnknownContext {
            name: chosen,
            known: known(),
        });
    };
    let cluster = context.context.as_ref().map(|context| context.cluster.clone());
    let own_proxy = merged
        .clusters
        .iter()
        .filter(|named| Some(&named.name) == cluster.as_ref())
        .filter_map(|named| named.cluster.as_ref()?.proxy_url.as_deref())
        .any(|url| !url.is_empty());
    let options = KubeConfigOptions {
        context: Some(chosen),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(merged, &options)
        .await
        .map_err(unusable)?;
    if !own_proxy {
        let url = &config.cluster_url;
        let https = url.scheme_str() == Some("https");
        let named = proxy::of(https, url.host().unwrap_or_default(), |name| env::var(name).ok());
        config.proxy_url = named
            .map(|url| url.parse())
            .transpose()
            .map_err(|error| unusable(KubeconfigError::ParseProxyUrl(error)))?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfig_is_where_kubectl_looks_for_it() {
        let home = Some(PathBuf::from("/home/me"));
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let list = Some(OsStr::new("/a:/b::"));
        assert_eq!(
            candidates(Some(Path::new("/named")), list, home.clone()),
            (paths(&["/named"]), true)
        );
        assert_eq!(
            candidates(None, list, home.clone()),
            (paths(&["/a", "/b"]), false)
        );
        for empty in [None, Some(OsStr::new(""))] {
            assert_eq!(
                candidates(None, empty, home.clone()),
                (paths(&["/home/me/.kube/config"]), false)
            );
        }
        assert_eq!(candidates(None, None, None), (paths(&[]), false));
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_named_beside_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(
            &one,
            "contexts: [{name: a, context: {cluster: c, namespace: shop}}]\nclusters: [{name: c, cluster: {server: 'http://10.0.0.1:1'}}]\n",
        )
        .unwrap();
        std::fs::write(&two, "contexts: [{name: b, context: {cluster: gone}}]\n").unwrap();
        let files = vec![one, two];
        let ask = |context: Option<&'static str>| from_files(files.clone(), context);
        let known = ["a".to_owned(), "b".to_owned()];
        assert!(matches!(ask(None).await, Err(LiveError::NoContext { known: it }) if it == known));
        let error = ask(Some("c")).await.unwrap_err();
        assert!(
            matches!(&error, LiveError::UnknownContext { name, known: it } if name == "c" && *it == known)
        );
        assert!(error.to_string().contains(r#""a", "b""#), "{error}");
        let error = ask(Some("b")).await.unwrap_err();
        assert!(
            matches!(&error, LiveError::Kubeconfig { cause, .. } if cause.contains("gone")),
            "{error}"
        );
        assert_eq!(ask(Some("a")).await.unwrap().default_namespace, "shop");
    }
}
