//! The few things that certifying does to an API server: apply, delete, list, watch until something holds.

use std::time::Duration;

use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        Preconditions,
    },
    core::TypeMeta,
};
use serde_json::Value;

use super::error::CertifyError;
use crate::cluster::{Kind as ObjectKind, LiveCluster, LiveError, Loaded};

/// Who owns the fields that are applied.
const MANAGER: &str = "netpol-verify";
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(300);
/// How long a run that is under way waits for an API server that is not there: one that is started again takes less.
const OUTAGE: Duration = Duration::from_secs(60);
/// Between two tries meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// A cluster that is written to.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    server: String,
    /// How long a request is tried again that did not reach the server.
    patience: Duration,
}

/// A kind, and where its objects live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
}

pub(super) const NAMESPACE: Kind = core("Namespace");
pub(super) const POD: Kind = core("Pod");
pub(super) const NODE: Kind = core("Node");
pub(super) const SECRET: Kind = core("Secret");
pub(super) const DAEMON_SET: Kind = of("apps", "v1", "DaemonSet");
pub(super) const DEPLOYMENT: Kind = of("apps", "v1", "Deployment");
const NETWORK_POLICY: Kind = of("networking.k8s.io", "v1", "NetworkPolicy");
pub(super) const LEASE: Kind = of("coordination.k8s.io", "v1", "Lease");

const fn core(kind: &'static str) -> Kind {
    of("", "v1", kind)
}

const fn of(group: &'static str, version: &'static str, kind: &'static str) -> Kind {
    Kind { group, version, kind }
}

impl Cluster {
    pub(super) fn new(live: &LiveCluster) -> Self {
        Self {
            client: live.client(),
            server: live.server().to_owned(),
            patience: Duration::ZERO,
        }
    }

    /// The same, for a run under way: an API server that is gone for a while does not end it.
    pub(super) fn patient(&self) -> Self {
        Self {
            patience: OUTAGE,
            ..self.clone()
        }
    }

    /// Asks until the server has answered, or patience is at an end.
    async fn ask<T, F: Future<Output = Result<T, kube::Error>>>(
        &self,
        request: impl Fn() -> F,
    ) -> Result<T, kube::Error> {
        let until = tokio::time::Instant::now() + self.patience;
        loop {
            match request().await {
                Err(error) if is_passing(&error) && tokio::time::Instant::now() < until => {
                    tracing::debug!(%error, "The API server did not answer; asking again.");
                    tokio::time::sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    fn failed(&self, step: &'static str, what: String) -> impl FnOnce(kube::Error) -> CertifyError {
        let server = self.server.clone();
        move |error| CertifyError::api(server, step, what, &error)
    }

    fn api(&self, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        self.of_gvk(
            &GroupVersionKind::gvk(kind.group, kind.version, kind.kind),
            namespace,
        )
    }

    fn of_gvk(&self, gvk: &GroupVersionKind, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(gvk);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Applies an object as it is written, by server-side apply. All that is applied is ours alone.
    pub(super) async fn apply(&self, object: &Value) -> Result<DynamicObject, CertifyError> {
        let parsed: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| CertifyError::Manifest {
                cause: error.to_string(),
            })?;
        let types = parsed.types.clone().unwrap_or_default();
        let gvk = GroupVersionKind::try_from(&types).map_err(|error| CertifyError::Manifest {
            cause: error.to_string(),
        })?;
        let what = named(&types, parsed.meta().namespace.as_deref(), &parsed.name_any());
        let api = self.of_gvk(&gvk, parsed.meta().namespace.as_deref());
        let (name, params) = (parsed.name_any(), PatchParams::apply(MANAGER).force());
        let patch = Patch::Apply(object);
        self.ask(|| api.patch(&name, &params, &patch))
            .await
            .map_err(self.failed("apply", what))
    }

    /// Whether the server would make an object, without making it.
    pub(super) async fn would_create(&self, kind: Kind, object: &Value) -> Result<(), CertifyError> {
        let parsed: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| CertifyError::Manifest {
                cause: error.to_string(),
            })?;
        let what = format!("{} {}", kind.kind, parsed.name_any());
        let params = kube::api::PostParams {
            dry_run: true,
            field_manager: None,
        };
        self.api(kind, parsed.meta().namespace.as_deref())
            .create(&params, &parsed)
            .await
            .map(|_| ())
            .map_err(self.failed("create", what))
    }

    /// Makes an object; `false` where one of its name is there.
    pub(super) async fn create(&self, kind: Kind, object: &Value) -> Result<bool, CertifyError> {
        let parsed: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| CertifyError::Manifest {
                cause: error.to_string(),
            })?;
        let what = format!("{} {}", kind.kind, parsed.name_any());
        let (api, params) = (
            self.api(kind, parsed.meta().namespace.as_deref()),
            kube::api::PostParams::default(),
        );
        match self.ask(|| api.create(&params, &parsed)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(self.failed("create", what)(error)),
        }
    }

    /// Replaces an object that has not changed since it was read; `false` where it has.
    pub(super) async fn replace(&self, kind: Kind, object: &DynamicObject) -> Result<bool, CertifyError> {
        let what = format!("{} {}", kind.kind, object.name_any());
        let api = self.api(kind, object.namespace().as_deref());
        let (name, params) = (object.name_any(), kube::api::PostParams::default());
        match self.ask(|| api.replace(&name, &params, object)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(self.failed("replace", what)(error)),
        }
    }

    /// An object, where it is there.
    pub(super) async fn get(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, CertifyError> {
        let what = format!("{} {name}", kind.kind);
        let api = self.api(kind, namespace);
        self.ask(|| api.get_opt(name))
            .await
            .map_err(self.failed("get", what))
    }

    /// Objects of a kind by their labels.
    pub(super) async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<DynamicObject>, CertifyError> {
        let params = ListParams::default().labels(labels);
        let api = self.api(kind, namespace);
        let list = self
            .ask(|| api.list(&params))
            .await
            .map_err(self.failed("list", kind.kind.to_owned()))?;
        Ok(list.items)
    }

    /// Deletes an object; that it is not there is as good.
    pub(super) async fn delete(&self, object: &DynamicObject) -> Result<(), CertifyError> {
        let types = object.types.clone().unwrap_or_default();
        let gvk = GroupVersionKind::try_from(&types).map_err(|error| CertifyError::Manifest {
            cause: error.to_string(),
        })?;
        let what = named(&types, object.namespace().as_deref(), &object.name_any());
        // The same object, not one that somebody made in its place.
        let params = DeleteParams {
            preconditions: object.uid().map(|uid| Preconditions {
                uid: Some(uid),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let (api, name) = (
            self.of_gvk(&gvk, object.namespace().as_deref()),
            object.name_any(),
        );
        match self.ask(|| api.delete(&name, &params)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(self.failed("delete", what)(error)),
        }
    }

    /// Deletes an object of a suite by its name; that it is not there is as good.
    pub(super) async fn remove(
        &self,
        kind: ObjectKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), CertifyError> {
        let kind = match kind {
            ObjectKind::Namespace => NAMESPACE,
            ObjectKind::Pod => POD,
            ObjectKind::NetworkPolicy => NETWORK_POLICY,
            // Never made by a suite on a cluster.
            ObjectKind::Node
            | ObjectKind::AdminPolicy(_)
            | ObjectKind::Service
            | ObjectKind::EndpointSlice => {
                return Ok(());
            }
        };
        match self.get(kind, namespace, name).await? {
            Some(object) => self.delete(&typed(kind, object)).await,
            None => Ok(()),
        }
    }

    /// Looks again and again until `holds` gives something, or the time is up.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut holds: impl AsyncFnMut() -> Result<Result<T, String>, CertifyError>,
    ) -> Result<T, CertifyError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            let found = holds().await?;
            match found {
                Ok(found) => return Ok(found),
                Err(state) if tokio::time::Instant::now() >= until => {
                    return Err(CertifyError::Waited {
                        what: what.to_owned(),
                        patience,
                        state,
                    });
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

fn named(types: &TypeMeta, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{} {namespace}/{name}", types.kind),
        None => format!("{} {name}", types.kind),
    }
}

/// Whether the next try may be answered: the server was not reached, or says that it is busy or not ready.
fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
        kube::Error::Service(_) | kube::Error::HyperError(_) => true,
        _ => false,
    }
}

/// What a cluster holds, read with patience: a run under way outlives an API server that is started again.
pub(super) async fn read(live: &LiveCluster) -> Result<Loaded, CertifyError> {
    let until = tokio::time::Instant::now() + OUTAGE;
    loop {
        match live.load().await {
            Ok(loaded) => return Ok(loaded),
            Err(LiveError::Unreachable { .. } | LiveError::Timeout { .. })
                if tokio::time::Instant::now() < until =>
            {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Marks an object that came without its types, as items of lists do.
pub(super) fn typed(kind: Kind, mut object: DynamicObject) -> DynamicObject {
    object.types = Some(TypeMeta {
        api_version: if kind.group.is_empty() {
            kind.version.to_owned()
        } else {
            format!("{}/{}", kind.group, kind.version)
        },
        kind: kind.kind.to_owned(),
    });
    object
}
