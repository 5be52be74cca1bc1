//! Reads what policies and packets depend on: one list a resource, and what may not be read becomes an error or a problem.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIGroupList, APIResourceList};
use kube::core::{Request, params::ListParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Denied, LiveCluster, LiveError,
    error::{bounded, causes, no_credentials},
    page::{self, Answer},
    resource::{ADMIN_POLICIES, Need, RESOURCES, Resource},
};
use crate::cluster::Loaded;

/// As many as kubectl asks for at once.
pub(super) const PAGE_SIZE: u32 = 500;
pub(super) const FORBIDDEN: u16 = 403;
pub(super) const GONE: u16 = 410;

/// The versions of a group, each with the resources it serves.
type Served = BTreeMap<String, Vec<String>>;

impl LiveCluster {
    /// Reads the cluster.
    ///
    /// # Errors
    /// When the server cannot be reached, does not accept the credentials, or does not let them list pods, namespaces and
    /// policies. What else may not be read is a problem that says what the answer lacks.
    pub async fn load(&self) -> Result<Loaded, LiveError> {
        let mut loaded = Loaded::default();
        let (mut denied, mut first_said) = (Vec::new(), None);
        for resource in RESOURCES.iter().filter(|it| it.need == Need::Required) {
            match self.list(resource).await {
                Ok(items) => loaded.take_listed(resource.api_version(), resource.kind, items),
                // All of them are asked for, so that one look names every right that is missing.
                Err(LiveError::Refused {
                    code: FORBIDDEN,
                    said,
                    ..
                }) => {
                    denied.push(Denied::list(resource));
                    first_said.get_or_insert(said);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(said) = first_said {
            let server = self.server.clone();
            return Err(LiveError::Forbidden { server, denied, said });
        }
        let served = self.admin_policies(&mut loaded).await?;
        for resource in RESOURCES.iter().filter(|it| it.need != Need::Required) {
            if matches!(resource.need, Need::Served(_)) && !is_served(resource, &served, &mut loaded) {
                continue;
            }
            match self.list(resource).await {
                Ok(items) => loaded.take_listed(resource.api_version(), resource.kind, items),
                Err(LiveError::Refused { code, said, .. }) => {
                    loaded.lacks(resource.kind, without(resource, code, &said));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    /// Which resources of the administrator's policies the server serves; none on most clusters.
    async fn admin_policies(&self, loaded: &mut Loaded) -> Result<Served, LiveError> {
        let groups = match self.groups().await {
            Ok(groups) => groups,
            Err(LiveError::Refused { code, said, .. }) => {
                loaded.lacks("APIGroup", format!("cannot be listed ({code}), so whether the cluster has policies of {ADMIN_POLICIES} cannot be told, and the answer does not know them: bind the ClusterRole system:discovery; the server says: {said}"));
                return Ok(Served::new());
            }
            Err(error) => return Err(error),
        };
        self.served_of(groups).await
    }

    /// The versions in which the server serves a resource of the administrator's policies.
    pub(super) async fn versions_of(&self, resource: &Resource) -> Result<Vec<String>, LiveError> {
        let served = self.served_of(self.groups().await?).await?;
        Ok(versions(resource, &served).map(str::to_owned).collect())
    }

    async fn groups(&self) -> Result<Vec<APIGroup>, LiveError> {
        let list: APIGroupList = self
            .ask("list API groups", "/apis", &ListParams::default())
            .await?;
        Ok(list.groups)
    }

    async fn served_of(&self, groups: Vec<APIGroup>) -> Result<Served, LiveError> {
        let mut served = Served::new();
        let versions = groups
            .into_iter()
            .filter(|group| group.name == ADMIN_POLICIES)
            .flat_map(|group| group.versions);
        for version in versions {
            let what = format!("list the resources of {}", version.group_version);
            let path = format!("/apis/{ADMIN_POLICIES}/{}", version.version);
            let list: APIResourceList = self.ask(&what, &path, &ListParams::default()).await?;
            let names = list.resources.into_iter().map(|resource| resource.name);
            served.insert(version.version, names.collect());
        }
        Ok(served)
    }

    /// Lists a resource in all namespaces.
    async fn list(&self, resource: &Resource) -> Result<Vec<Value>, LiveError> {
        let items = page::all(async |next| self.page(resource, PAGE_SIZE, next).await).await?;
        items.ok_or_else(|| self.expired(resource))
    }

    /// One page of a resource's list in all namespaces.
    pub(super) async fn page(
        &self,
        resource: &Resource,
        limit: u32,
        next: Option<String>,
    ) -> Result<Answer, LiveError> {
        let params = ListParams {
            limit: Some(limit),
            continue_token: next,
            ..ListParams::default()
        };
        let what = format!("list {}", resource.plural);
        match self.ask(&what, &resource.path(), &params).await {
            Err(LiveError::Refused { code: GONE, .. }) => Ok(Answer::Gone),
            page => page.map(Answer::Page),
        }
    }

    pub(super) fn expired(&self, resource: &Resource) -> LiveError {
        LiveError::Expired {
            server: self.server.clone(),
            what: resource.plural.to_owned(),
            tries: page::TRIES,
        }
    }

    /// One GET, and its answer as JSON.
    async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        params: &ListParams,
    ) -> Result<T, LiveError> {
        let request = Request::new(path)
            .list(params)
            .map_err(|error| self.not_kubernetes(what, causes(&error)))?;
        let text = self.in_time(what, self.client.request_text(request)).await?;
        serde_json::from_str(&text).map_err(|error| self.not_kubernetes(what, error.to_string()))
    }

    /// Waits for an answer as long as a request may take.
    pub(super) async fn in_time<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, LiveError> {
        let answer = match self.timeout {
            None => answer.await,
            Some(after) => tokio::time::timeout(after, answer)
                .await
                .map_err(|_| LiveError::Timeout {
                    server: self.server.clone(),
                    what: what.to_owned(),
                    after,
                })?,
        };
        answer.map_err(|error| self.failed(what, error))
    }

    pub(super) fn not_kubernetes(&self, what: &str, cause: String) -> LiveError {
        LiveError::NotKubernetes {
            server: self.server.clone(),
            what: what.to_owned(),
            cause,
        }
    }

    pub(super) fn failed(&self, what: &str, error: kube::Error) -> LiveError {
        let (server, what) = (self.server.clone(), what.to_owned());
        match error {
            kube::Error::Api(status) => {
                let said = bounded(&status.message);
                match status.code {
                    401 => LiveError::Unauthorized { server, said },
                    code => LiveError::Refused {
                        server,
                        what,
                        code,
                        said,
                    },
                }
            }
            kube::Error::Auth(error) => LiveError::Credentials {
                server,
                cause: no_credentials(&error),
            },
            kube::Error::FromUtf8(error) => self.not_kubernetes(&what, causes(&error)),
            kube::Error::SerdeError(error) => self.not_kubernetes(&what, causes(&error)),
            // kube's own words for it say only which layer of it failed.
            kube::Error::Service(error) => LiveError::Unreachable {
                server,
                cause: causes(&*error),
            },
            kube::Error::HyperError(error) => LiveError::Unreachable {
                server,
                cause: causes(&error),
            },
            other => LiveError::Unreachable {
                server,
                cause: causes(&other),
            },
        }
    }
}

/// What a server's refusal to list a resource costs, and what to do about it.
fn without(resource: &Resource, code: u16, said: &str) -> String {
    let remedy = if code == FORBIDDEN {
        let denied = Denied::list(resource);
        let (check, rule) = (denied.check(), denied.rule());
        format!("RBAC lacks {denied}: check with `{check}`, a ClusterRole needs {rule}; ")
    } else {
        String::new()
    };
    let cost = resource.cost();
    format!("cannot be listed ({code}): {cost}; {remedy}the server says: {said}")
}

/// Whether the version that is read is served; another one that is served instead is a problem.
fn is_served(resource: &Resource, served: &Served, loaded: &mut Loaded) -> bool {
    let serving: Vec<&str> = versions(resource, served).collect();
    if serving.is_empty() || serving.contains(&resource.version) {
        return !serving.is_empty();
    }
    loaded.lacks(resource.kind, in_other_versions(resource, &serving.join(", ")));
    false
}

/// The versions in which a resource is served.
fn versions<'a>(resource: &Resource, served: &'a Served) -> impl Iterator<Item = &'a str> {
    let serving = served
        .iter()
        .filter(|(_, resources)| resources.iter().any(|name| name == resource.plural));
    serving.map(|(version, _)| version.as_str())
}

/// What it costs that a resource is served, and not as it is read.
pub(super) fn in_other_versions(resource: &Resource, versions: &str) -> String {
    format!(
        "is served as {versions} only, and {} is what is read: {}",
        resource.version,
        resource.cost()
    )
}
