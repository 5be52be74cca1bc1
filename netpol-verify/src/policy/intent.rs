//! What the owner of a cluster wants open and closed, in a small file, and where the policies contradict it.
//!
//! ```yaml
//! apiVersion: netpol-verify.io/v1alpha1
//! kind: Intent
//! paths:                       # must be open
//! - {from: shop/web, to: shop/api, port: 8080}                      # protocol: TCP when absent
//! - {from: shop/*, to: kube-system/kube-dns, port: 53, protocol: UDP}
//! closed:                      # must be closed
//! - {from: shop/web, to: 203.0.113.7, port: 443}
//! others: closed               # so must every pair named above, on every port named above, that `paths` does not list
//! ```

use std::{collections::BTreeSet, fmt, net::IpAddr, path::Path};

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    cluster::{ObjectName, Place, Problem, document},
    net::Protocol,
};

const API_VERSION: &str = "netpol-verify.io/v1alpha1";

/// The paths an owner wants open or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// What must be open.
    pub paths: Vec<IntentPath>,
    /// What must be closed.
    pub closed: Vec<IntentPath>,
    /// Whether everything else between the pods named must be closed, on the ports named.
    pub others_closed: bool,
}

/// One path of an intent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntentPath {
    /// Who opens connections.
    pub from: Whom,
    /// To whom.
    pub to: Whom,
    /// With which protocol.
    pub protocol: Protocol,
    /// To which port of the pod, after Service translation (R19).
    pub port: u16,
}

/// An end of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whom {
    /// One pod.
    Pod(ObjectName),
    /// Every pod of a namespace: `shop/*`.
    Namespace(String),
    /// An address outside the cluster.
    Address(IpAddr),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => name.fmt(f),
            Self::Namespace(namespace) => write!(f, "{namespace}/*"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    paths: Vec<Spanned<Entry>>,
    #[serde(default)]
    closed: Vec<Spanned<Entry>>,
    #[serde(default)]
    others: Option<Others>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Others {
    Closed,
    Unspecified,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    from: String,
    to: String,
    port: i64,
    #[serde(default)]
    protocol: Option<String>,
}

impl Intent {
    /// Reads an intent; `file` is what problems name. A bad value leaves out its entry, a wrong type or unknown
    /// key its document.
    #[must_use]
    pub fn parse(text: &str, file: &Path) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut problem = |line: u64, path: Option<String>, message: String| {
            let place = Place {
                file: file.to_owned(),
                line,
            };
            problems.push(Problem {
                place,
                object: Some("Intent".to_owned()),
                path,
                message,
            });
        };
        let mut intent = Self::default();
        let documents = document::split(text);
        if documents.is_empty() {
            problem(
                0,
                None,
                format!("is empty; expected apiVersion: {API_VERSION} and kind: Intent"),
            );
        }
        for document in documents {
            let parsed: File = match document.read() {
                Ok(parsed) => parsed,
                Err(error) => {
                    problem(error.line, None, format!("{error}; the document is left out"));
                    continue;
                }
            };
            if parsed.api_version != API_VERSION || parsed.kind != "Intent" {
                let found = format!("{:?} {:?}", parsed.api_version, parsed.kind);
                let message =
                    format!("found {found}; expected {API_VERSION} Intent; the document is left out");
                problem(document.line, None, message);
                continue;
            }
            intent.others_closed |= matches!(parsed.others, Some(Others::Closed));
            let lists = [
                ("paths", parsed.paths, &mut intent.paths),
                ("closed", parsed.closed, &mut intent.closed),
            ];
            for (list, entries, into) in lists {
                for (index, entry) in entries.into_iter().enumerate() {
                    let line = document.line_in_file(entry.referenced.line());
                    match entry.value.checked() {
                        Ok(path) => into.push(path),
                        Err((key, message)) => {
                            let message = format!("{message}; the entry is left out");
                            problem(line, Some(format!("{list}[{index}].{key}")), message);
                        }
                    }
                }
            }
        }
        let open: BTreeSet<&IntentPath> = intent.paths.iter().collect();
        for path in intent.closed.iter().filter(|path| open.contains(path)) {
            problem(
                0,
                None,
                format!("wants {path} open and closed; both are checked and one must fail"),
            );
        }
        (intent, problems)
    }
}

impl fmt::Display for IntentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} to {} on {}/{}",
            self.from, self.to, self.protocol, self.port
        )
    }
}

impl Entry {
    /// The entry as a path, or the key that is wrong and why.
    fn checked(self) -> Result<IntentPath, (&'static str, String)> {
        let from = whom(&self.from).map_err(|message| ("from", message))?;
        let to = whom(&self.to).map_err(|message| ("to", message))?;
        if let (Whom::Address(_), Whom::Address(_)) = (&from, &to) {
            return Err(("to", "no end is a pod, so that no policy speaks of it".to_owned()));
        }
        let port = u16::try_from(self.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| ("port", format!("{} is no port; expected 1 to 65535", self.port)))?;
        let protocol = match self.protocol {
            None => Protocol::Tcp,
            Some(text) => text.parse().map_err(|error| ("protocol", format!("{error}")))?,
        };
        Ok(IntentPath {
            from,
            to,
            protocol,
            port,
        })
    }
}

fn whom(text: &str) -> Result<Whom, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Whom::Address(address.to_canonical()));
    }
    match text.parse::<ObjectName>() {
        Ok(name) if name.name == "*" => Ok(Whom::Namespace(name.namespace)),
        Ok(name) => Ok(Whom::Pod(name)),
        Err(_) => Err(format!(
            "{text:?} is no end of a path; expected namespace/pod, namespace/* or an IP address"
        )),
    }
}
